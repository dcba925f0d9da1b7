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

// A Unigram vocabulary is an array whose index is the id.
Result<std::string> piecesArray(const TokenizerParts &parts) {
  size_t n = parts.tokens.size();
  while (n > 0 && parts.tokens[n - 1].empty()) --n; // added tokens follow
  std::string out = "[";
  for (size_t id = 0; id < n; ++id) {
    if (parts.tokens[id].empty())
      return errorf(
          "cannot save the tokenizer: tokenizer.json cannot express a Unigram vocabulary without id {}", id);
    if (id) out += ", ";
    out += '[' + quoted(parts.tokens[id]) + ", " + Json(parts.scores[id]).dump() + ']';
  }
  return out + "]";
}

std::string mergesArray(const TokenizerParts &parts) {
  std::string out = "[";
  for (const std::string &merge : parts.merges) {
    if (out.size() > 1) out += ", ";
    size_t space = merge.find(' ');
    // tokenizers before 0.20 read only the form of GPT-2's files.
    out += parts.stages.empty()
               ? quoted(merge)
               : '[' + quoted(merge.substr(0, space)) + ", " + quoted(merge.substr(space + 1)) + ']';
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
  if (parts.prefix.empty() && parts.suffix.empty()) {
    if (!parts.stages.empty()) return nullptr;
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  }
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
  if (parts.missing_byte == MissingByte::Refused && !(parts.stages.empty() && tokenizer.hasAllBytes()))
    return quoted("<no unknown token>");
  return "null";
}

Result<std::string> modelJson(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string out = "{\"type\": ";
  if (parts.model == ModelKind::Unigram) {
    LINNET_ASSIGN(std::string pieces, piecesArray(parts));
    std::string unknown = parts.unknown_byte < 0 ? "null" : std::to_string(parts.unknown_byte);
    return out + "\"Unigram\", \"unk_id\": " + unknown + ", \"byte_fallback\": " + flag(parts.byte_fallback) +
           ", \"vocab\": " + pieces + "}";
  }
  out += "\"BPE\", \"dropout\": null, \"unk_token\": " + unknownToken(parts, tokenizer);
  // Strings in old files, null in others.
  out += parts.stages.empty() ? ", \"continuing_subword_prefix\": \"\", \"end_of_word_suffix\": \"\""
                              : ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null";
  out += std::string(", \"fuse_unk\": ") + flag(parts.fuse_unknown) +
         ", \"byte_fallback\": " + flag(parts.byte_fallback) +
         ", \"ignore_merges\": " + flag(parts.ignore_merges);
  return out + ", \"vocab\": " + vocabObject(parts) + ", \"merges\": " + mergesArray(parts) + "}";
}

// Normalizer, pre_tokenizer and decoder, as members of tokenizer.json.
std::string stagesJson(const TokenizerParts &parts) {
  Json kept;
  if (parts.stages.empty()) {
    Json byte_level = {{"type", "ByteLevel"},
                       {"add_prefix_space", parts.add_prefix_space},
                       {"trim_offsets", true},
                       {"use_regex", true}};
    kept = {{"pre_tokenizer", byte_level}, {"decoder", byte_level}};
  } else if (auto stages = parseJson(parts.stages, "stages")) {
    kept = *stages;
  }
  std::string out;
  for (const char *key : {"normalizer", "pre_tokenizer", "decoder"})
    out += ", " + quoted(key) + ": " + (kept.contains(key) ? kept[key].dump() : "null");
  return out;
}

Result<std::string> tokenizerJson(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  Json added = Json::array();
  for (const AddedToken &token : parts.added) {
    Json entry = {{"id", token.id}};
    entry.update(addedJson(token));
    added.push_back(entry);
  }
  LINNET_ASSIGN(std::string model, modelJson(parts, tokenizer));
  std::string out = "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null";
  out += ", \"added_tokens\": " + added.dump() + stagesJson(parts);
  out += ", \"post_processor\": " + postProcessor(parts, tokenizer).dump();
  return out + ", \"model\": " + model + "}\n";
}

std::string configJson(const TokenizerParts &parts, const Tokenizer &tokenizer) {
  Json config = Json::object();
  if (parts.stages.empty()) config["add_prefix_space"] = parts.add_prefix_space;
  Json decoder = Json::object();
  for (const AddedToken &token : parts.added) decoder[std::to_string(token.id)] = addedJson(token);
  config["added_tokens_decoder"] = decoder;
  config["bos_token"] = parts.bos < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.bos));
  config["clean_up_tokenization_spaces"] = false;
  config["eos_token"] = parts.eos < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.eos));
  if (parts.model_max_length) config["model_max_length"] = parts.model_max_length;
  config["pad_token"] = parts.pad < 0 ? Json() : Json(tokenizer.tokenSpelling(parts.pad));
  config["padding_side"] = parts.padding_side == Side::Left ? "left" : "right";
  config["tokenizer_class"] = parts.stages.empty() ? "GPT2Tokenizer" : "PreTrainedTokenizerFast";
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
  LINNET_ASSIGN(std::string json, tokenizerJson(p, *this));
  if (p.stages.empty()) {
    LINNET_TRY(writeTextFile(directory + "/vocab.json", vocabObject(p) + '\n'));
    LINNET_TRY(writeTextFile(directory + "/merges.txt", mergesText(p)));
  }
  if (p.stages.empty() && !outside.empty())
    LINNET_TRY(writeTextFile(directory + "/added_tokens.json", outside.dump(2) + '\n'));
  LINNET_TRY(writeTextFile(directory + "/special_tokens_map.json", specialTokensMap(p, *this)));
  LINNET_TRY(writeTextFile(directory + "/tokenizer_config.json", configJson(p, *this)));
  return writeTextFile(directory + "/tokenizer.json", json);
}

} // namespace linnet
