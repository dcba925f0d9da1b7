// Reads the model of a tokenizer.json: vocabulary, merges, scores.
#include "support/error.h"
#include "support/text.h"
#include "tokenizer/hf_values.h"

namespace linnet::hf {
namespace {

Result<void> readVocab(const SortedJson &vocab, const std::string &where, TokenizerParts &parts) {
  if (!vocab.is_object())
    return errorf("{}: expected the vocabulary as an object, found {}", where, vocab.type_name());
  if (vocab.empty()) return errorf("{}: the vocabulary is empty", where);
  for (const auto &[token, value] : vocab.items()) {
    LINNET_ASSIGN(TokenId id, readId(value, token, where));
    auto i = static_cast<size_t>(id);
    if (token.empty()) return errorf("{}: token {} is empty", where, id);
    if (parts.tokens.size() <= i) parts.tokens.resize(i + 1);
    if (!parts.tokens[i].empty())
      return errorf("{}: tokens \"{}\" and \"{}\" have the same id {}", where, parts.tokens[i], token, id);
    parts.tokens[i] = token;
  }
  return {};
}

Result<void> readMergeArray(const SortedJson &merges, const std::string &where, TokenizerParts &parts) {
  if (!merges.is_array())
    return errorf("{}: expected the merges as an array, found {}", where, merges.type_name());
  for (const SortedJson &merge : merges) {
    size_t number = parts.merges.size() + 1;
    if (merge.is_string()) {
      parts.merges.push_back(merge.get<std::string>());
      continue;
    }
    if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string())
      return errorf("{}: merge {}: expected two pieces, found {}", where, number, merge.dump().substr(0, 80));
    parts.merges.push_back(merge[0].get<std::string>() + ' ' + merge[1].get<std::string>());
  }
  return {};
}

// Checks the settings of a BPE model besides vocabulary and merges. Unsupported ones are errors.
Result<void> checkBpe(const SortedJson &model, const std::string &where) {
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const SortedJson *value = member(model, key); value && *value != "")
      return errorf("{}: model: {} {} is not supported", where, key, value->dump());
  if (const SortedJson *value = member(model, "dropout"); value && *value != 0)
    return errorf("{}: model: dropout {} is not supported", where, value->dump());
  return {};
}

// Reads the pieces of a Unigram model with their scores; the index is the id.
Result<void> readPieces(const SortedJson &pieces, const std::string &where, TokenizerParts &parts) {
  if (!pieces.is_array())
    return errorf("{}: model: expected the pieces of Unigram as an array, found {}", where,
                  pieces.type_name());
  if (pieces.size() > static_cast<size_t>(kMaxTokenId) + 1)
    return errorf("{}: model: expected at most {} pieces, found {}", where, kMaxTokenId + 1, pieces.size());
  for (const SortedJson &piece : pieces) {
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number())
      return errorf("{}: model: piece {}: expected a text and a score, found {}", where, parts.tokens.size(),
                    piece.dump().substr(0, 80));
    parts.tokens.push_back(piece[0].get<std::string>());
    parts.scores.push_back(piece[1].get<double>());
    if (parts.tokens.back().empty())
      return errorf("{}: model: piece {} is empty", where, parts.tokens.size() - 1);
  }
  return {};
}

Result<void> readUnigram(const SortedJson &model, const std::string &where, TokenizerParts &parts,
                         AddedToken &unk) {
  parts.model = ModelKind::Unigram;
  const SortedJson *vocab = member(model, "vocab");
  if (!vocab) return errorf("{}: model: expected vocab", where);
  LINNET_TRY(readPieces(*vocab, where, parts));
  if (const SortedJson *value = member(model, "unk_id")) {
    LINNET_ASSIGN(TokenId id, readId(*value, "unk_id", where));
    if (static_cast<size_t>(id) >= parts.tokens.size())
      return errorf("{}: model: unk_id is {}, but there are {} pieces", where, id, parts.tokens.size());
    unk.content = parts.tokens[static_cast<size_t>(id)];
  }
  return {};
}

Result<void> readBpe(const SortedJson &model, const std::string &where, TokenizerParts &parts,
                     AddedToken &unk) {
  LINNET_TRY(checkBpe(model, where));
  const SortedJson *vocab = member(model, "vocab"), *merges = member(model, "merges");
  if (!vocab || !merges) return errorf("{}: model: expected vocab and merges", where);
  LINNET_TRY(readVocab(*vocab, where, parts));
  LINNET_TRY(readMergeArray(*merges, where, parts));
  LINNET_TRY(readFlag(model, "ignore_merges", parts.ignore_merges, where));
  LINNET_TRY(readFlag(model, "fuse_unk", parts.fuse_unknown, where));
  if (const SortedJson *value = member(model, "unk_token")) {
    LINNET_ASSIGN(unk, readToken(*value, where));
  }
  return {};
}

} // namespace

Result<void> readModel(const SortedJson &root, const std::string &where, TokenizerParts &parts,
                       AddedToken &unk) {
  const SortedJson *model = member(root, "model");
  if (!model || !model->is_object()) return errorf("{}: expected a model object", where);
  LINNET_TRY(readFlag(*model, "byte_fallback", parts.byte_fallback, where));
  const SortedJson *type = member(*model, "type");
  if (type && *type == "Unigram") return readUnigram(*model, where, parts, unk);
  if (type && *type != "BPE")
    return errorf("{}: model: expected type BPE or Unigram, found {}", where, type->dump());
  return readBpe(*model, where, parts, unk);
}

Result<void> readVocab(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(SortedJson vocab, parse(json, where));
  return readVocab(vocab, where, parts);
}

Result<void> readMerges(std::string_view text, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(text, withoutByteOrderMark(text, where));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (number == 1 && line.substr(0, 8) == "#version") continue;
    size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != line.npos)
      return errorf("{}:{}: expected a merge of two pieces, found \"{}\"", where, number, line.substr(0, 80));
    parts.merges.emplace_back(line);
  }
  return {};
}

} // namespace linnet::hf
