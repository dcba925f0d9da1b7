// Decodes ids to text, all at once or one at a time.
#include "support/error.h"
#include "tokenizer/decoder.h"
#include "tokenizer/tables.h"
#include "tokenizer/unicode.h"

namespace linnet {

Result<std::string> Tokenizer::decodeBytes(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  std::vector<DecoderState> states;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!isToken(ids[i]))
      return errorf("cannot decode: id {} at position {} is not a token (ids go from 0 to {})", ids[i], i,
                    idLimit() - 1);
    if (skip_special && isSpecial(ids[i])) continue;
    if (tables->decodes_bytes) {
      bytes += tables->bytesOf(ids[i]);
    } else {
      LINNET_ASSIGN(std::string text, decodeNext(*tables->stages, tables->spellingOf(ids[i]), states));
      bytes += text;
    }
  }
  if (tables->decodes_bytes) return bytes;
  LINNET_ASSIGN(std::string rest, decodeEnd(*tables->stages, states));
  return bytes + rest;
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  LINNET_ASSIGN(std::string bytes, decodeBytes(ids, skip_special));
  if (unicode::isValid(bytes)) return bytes;
  std::string text;
  unicode::appendReplacing(text, bytes);
  return text;
}

size_t completeLength(std::string_view bytes) {
  // Only the last three bytes can be an incomplete character.
  size_t complete = bytes.size();
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    auto scan = unicode::scanCharacter(bytes.substr(bytes.size() - back));
    if (scan.incomplete && scan.bad == back) complete = bytes.size() - back;
  }
  return complete;
}

StreamDecoder::StreamDecoder(Tokenizer t, bool skip) : tokenizer(std::move(t)), skip_special(skip) {}

std::string StreamDecoder::push(TokenId id) {
  const TokenizerTables &tables = *tokenizer.tables;
  const bool counts = tables.present(id) && (!skip_special || !tokenizer.isSpecial(id));
  if (!tables.decodes_bytes) {
    auto text = counts ? decodeNext(*tables.stages, tables.spellingOf(id), states) : Result<std::string>("");
    return text ? std::move(*text) : std::string();
  }
  if (counts) pending += tokenizer.tokenBytes(id);
  size_t complete = completeLength(pending);
  std::string text;
  unicode::appendReplacing(text, std::string_view(pending).substr(0, complete));
  pending.erase(0, complete);
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  if (!tokenizer.tables->decodes_bytes) {
    auto rest = decodeEnd(*tokenizer.tables->stages, states);
    return rest ? std::move(*rest) : std::string();
  }
  unicode::appendReplacing(text, pending);
  pending.clear();
  return text;
}

} // namespace linnet
