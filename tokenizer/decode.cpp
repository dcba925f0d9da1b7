// Decodes ids to text, all at once or one at a time.
#include "support/error.h"
#include "tokenizer/tables.h"
#include "tokenizer/unicode.h"

namespace linnet {

Result<std::string> Tokenizer::decodeBytes(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!isToken(ids[i]))
      return errorf("cannot decode: id {} at position {} is not a token (ids go from 0 to {})", ids[i], i,
                    idLimit() - 1);
    if (!skip_special || !isSpecial(ids[i])) bytes += tables->bytesOf(ids[i]);
  }
  return bytes;
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  LINNET_ASSIGN(std::string bytes, decodeBytes(ids, skip_special));
  if (unicode::isValid(bytes)) return bytes;
  std::string text;
  unicode::appendReplacing(text, bytes);
  return text;
}

StreamDecoder::StreamDecoder(Tokenizer t, bool skip) : tokenizer(std::move(t)), skip_special(skip) {}

std::string StreamDecoder::push(TokenId id) {
  if (!skip_special || !tokenizer.isSpecial(id)) pending += tokenizer.tokenBytes(id);
  // Only the last three bytes can be an incomplete character.
  size_t complete = pending.size();
  for (size_t back = 1; back <= 3 && back <= pending.size(); ++back) {
    auto scan = unicode::scanCharacter(std::string_view(pending).substr(pending.size() - back));
    if (scan.incomplete && scan.bad == back) complete = pending.size() - back;
  }
  std::string text;
  unicode::appendReplacing(text, std::string_view(pending).substr(0, complete));
  pending.erase(0, complete);
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  unicode::appendReplacing(text, pending);
  pending.clear();
  return text;
}

} // namespace linnet
