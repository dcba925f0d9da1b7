// Writes the tokenizer's files for transformers. Large objects are written directly, in order of id.
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "tokenizer/tables.h"

namespace linnet {
namespace {

std::string quoted(const std::string &text) { return Json(text).dump(); }

std::string vocabObject(const TokenizerParts &parts) {
  std::string out = "{";
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (parts.tokens[id].empty()) continue;
    if (out.size() > 1) out += ", ";
    out += quoted(parts.tokens[id]) + ": " + std::to_string(id);
  }
  return out + "}";
}

std::string mergesText(const TokenizerParts &parts) {
  std::string out = "#version: 0.2\n";
  for (const std::string &merge : parts.merges) out += merge + '\n';
  return out;
}

std::string mergesArray(const TokenizerParts &parts) {
  std::string out = "[";
  for (const std::string &merge : parts.merges) {
    if (out.size() > 1) out += ", ";
    out += quoted(merge);
  }
  return out + "]";
}

Json addedJson(const AddedToken &t) {
  return {{"content", t.content}, {"lstrip", t.lstrip},           {"normalized", t.normalized},
          {"rstrip", t.rstrip},   {"single_word", t.single_word}, {"special", t.special}};
}

// Appends an element of tokenizer.json's template for each of `ids`.
void appendSpecials(Json &list, const std::vector<TokenId> &ids, const Tokenizer &tokenizer, int type_id) {
  for (TokenId id : ids)
    list.push_back({{"SpecialToken", {{"id", tokenizer.tokenSpelling(id)}, {"type_id", type_id}}}});
}

Json postProcessor(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  if (parts.prefix.empty() && parts.suffix.empty())
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  Json single = Json::array(), pair = Json::array(), specials = Json::object();
  appendSpecials(single, parts.prefix, tokenizer, 0);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  appendSpecials(single, parts.suffix, tokenizer, 0);
  for (auto [name, type_id] : {std::pair("A", 0), std::pair("B", 1)}) {
    appendSpecials(pair, parts.prefix, tokenizer, type_id);
    pair.push_back({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
    appendSpecials(pair, parts.suffix, tokenizer, type_id);
  }
  for (const auto *ids : {&parts.prefix, &parts.suffix})
    for (TokenId id : *ids) {
      std::string name = tokenizer.tokenSpelling(id);
      specials[name] = {{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({name})}};
    }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

/// The model's unk_token. GPT-2's file has none, because every byte has a token. With a name that is not in
/// the vocabulary, tokenizers reports an error for missing bytes.
std::string unknownToken(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  if (parts.missing_byte == MissingByte::Unknown) return quoted(tokenizer.tokenSpelling(parts.unknown_byte));
  if (parts.missing_byte == MissingByte::Refused && !tokenizer.hasAllBytes())
    return quoted("<no unknown token>");
  return "null";
}

std::string tokenizerJson(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  Json added = Json::array();
  for (const AddedToken &token : parts.added) {
    Json entry = {{"id", token.id}};
    entry.update(addedJson(token));
    added.push_back(entry);
  }
  Json byte_level = {{"type", "ByteLevel"},
                     {"add_prefix_space", parts.add_prefix_space},
                     {"trim_offsets", true},
                     {"use_regex", true}};
  std::string out = "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null";
  out += ", \"added_tokens\": " + added.dump() + ", \"normalizer\": null";
  out += ", \"pre_tokenizer\": " + byte_level.dump();
  out += ", \"post_processor\": " + postProcessor(parts, tokenizer).dump();
  out += ", \"decoder\": " + byte_level.dump();
  out += ", \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ";
  out += unknownToken(parts, tokenizer);
  out += ", \"continuing_subword_prefix\": \"\", \"end_of_word_suffix\": \"\"";
  out += std::string(", \"fuse_unk\": ") + (parts.fuse_unknown ? "true" : "false") +
         ", \"byte_fallback\": false";
  out += std::string(", \"ignore_merges\": ") + (parts.ignore_merges ? "true" : "false");
  out += ", \"vocab\": " + vocabObject(parts) + ", \"merges\": " + mergesArray(parts) + "}}\n";
  return out;
}

std::string configJson(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  Json config = {{"add_prefix_space", parts.add_prefix_space}};
  Json decoder = Json::object();
  for (const AddedToken &token : parts.added) decoder[std::to_string(token.id)] = addedJson(token);
  config["added_tokens_decoder"] = decoder;
  config["bos_token"] = parts.bos < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.bos));
  config["clean_up_tokenization_spaces"] = false;
  config["eos_token"] = parts.eos < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.eos));
  if (parts.model_max_length) config["model_max_length"] = parts.model_max_length;
  config["pad_token"] = parts.pad < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.pad));
  config["padding_side"] = parts.padding_side == Side::Left ? "left" : "right";
  config["tokenizer_class"] = "GPT2Tokenizer";
  config["truncation_side"] = parts.truncation_side == Side::Left ? "left" : "right";
  config["unk_token"] = parts.unk < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.unk));
  return config.dump(2) + '\n';
}

std::string specialTokensMap(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  Json map = Json::object();
  std::pair<const char *, TokenId> roles[] = {
      {"bos_token", parts.bos}, {"eos_token", parts.eos}, {"pad_token", parts.pad}, {"unk_token", parts.unk}};
  for (auto [role, id] : roles)
    if (id >= 0) map[role] = tokenizer.tokenSpelling(id);
  return map.dump(2) + '\n';
}

} // namespace

Result<void> Tokenizer::save(const std::string &directory) const {
  TokenizerParts p = parts();
  Json outside = Json::object(); // added tokens that the model's vocabulary lacks
  for (const AddedToken &token : p.added)
    if (static_cast<size_t>(token.id) >= p.tokens.size() || p.tokens[static_cast<size_t>(token.id)].empty())
      outside[token.content] = token.id;
  LINNET_TRY(writeTextFile(directory + "/vocab.json", vocabObject(p) + '\n'));
  LINNET_TRY(writeTextFile(directory + "/merges.txt", mergesText(p)));
  if (!outside.empty()) LINNET_TRY(writeTextFile(directory + "/added_tokens.json", outside.dump(2) + '\n'));
  LINNET_TRY(writeTextFile(directory + "/special_tokens_map.json", specialTokensMap(p, *this)));
  LINNET_TRY(writeTextFile(directory + "/tokenizer_config.json", configJson(p, *this)));
  return writeTextFile(directory + "/tokenizer.json", tokenizerJson(p, *this));
}

} // namespace linnet
