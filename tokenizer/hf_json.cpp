#include "tokenizer/hf_json.h"
#include "support/error.h"
#include "support/file.h"
#include "tokenizer/hf_values.h"
#include "tokenizer/stages.h"

namespace linnet::hf {
namespace {

// Keeps normalizer, pre_tokenizer and decoder as they are, unless they are GPT-2's.
Result<void> readStages(const SortedJson &root, const std::string &where, TokenizerParts &parts) {
  SortedJson kept = SortedJson::object();
  for (const char *key : {"normalizer", "pre_tokenizer", "decoder"})
    if (const SortedJson *stage = member(root, key)) kept[key] = *stage;
  std::string text = kept.dump();
  auto stages = Stages::parse(text);
  if (!stages) return errorf("{}: {}", where, stages.error().message);
  if ((*stages)->areGpt2s())
    parts.add_prefix_space = (*stages)->pre.front().add_prefix_space;
  else
    parts.stages = std::move(text);
  return {};
}

// Reads one element of a template: a special token, or the text "A".
Result<void> readTemplateItem(const SortedJson &item, const SortedJson *specials, const std::string &where,
                              bool &seen_text, TokenizerParts &parts) {
  if (item.is_object() && item.contains("Sequence")) {
    if (seen_text)
      return errorf("{}: post_processor: a template that repeats its text is not supported", where);
    seen_text = true;
    return {};
  }
  const SortedJson *token = item.is_object() ? member(item, "SpecialToken") : nullptr;
  const SortedJson *name = token && token->is_object() ? member(*token, "id") : nullptr;
  if (!name || !name->is_string())
    return errorf("{}: post_processor: a template item that is neither text nor token", where);
  const SortedJson *entry =
      specials && specials->is_object() ? member(*specials, name->get<std::string>().c_str()) : nullptr;
  const SortedJson *ids = entry && entry->is_object() ? member(*entry, "ids") : nullptr;
  if (!ids || !ids->is_array())
    return errorf("{}: post_processor: no ids for the token {}", where, name->dump());
  for (const SortedJson &value : *ids) {
    LINNET_ASSIGN(TokenId id, readId(value, name->get<std::string>(), where));
    (seen_text ? parts.suffix : parts.prefix).push_back(id);
  }
  return {};
}

Result<void> readPostProcessor(const SortedJson &stage, const std::string &where, TokenizerParts &parts,
                               int depth = 0) {
  std::string type = typeOf(stage);
  if (type == "ByteLevel") return {}; // only changes offsets
  if (type == "Sequence" && depth == 0) {
    const SortedJson *steps = member(stage, "processors");
    if (!steps || !steps->is_array())
      return errorf("{}: post_processor: expected an array of processors", where);
    for (const SortedJson &step : *steps) LINNET_TRY(readPostProcessor(step, where, parts, depth + 1));
    return {};
  }
  if (type != "TemplateProcessing")
    return errorf("{}: post_processor of type {} is not supported", where, type);
  if (!parts.prefix.empty() || !parts.suffix.empty())
    return errorf("{}: post_processor: two templates", where);
  const SortedJson *single = member(stage, "single");
  if (!single || !single->is_array())
    return errorf("{}: post_processor: expected a template in \"single\"", where);
  bool seen_text = false;
  for (const SortedJson &item : *single)
    LINNET_TRY(readTemplateItem(item, member(stage, "special_tokens"), where, seen_text, parts));
  if (!seen_text) return errorf("{}: post_processor: a template without its text", where);
  return {};
}

Result<void> readAddedArray(const SortedJson &root, const std::string &where, TokenizerParts &parts) {
  const SortedJson *added = member(root, "added_tokens");
  if (!added) return {};
  if (!added->is_array())
    return errorf("{}: added_tokens: expected an array, found {}", where, added->type_name());
  for (const SortedJson &value : *added) {
    LINNET_ASSIGN(AddedToken token, readToken(value, where));
    const SortedJson *id = value.is_object() ? member(value, "id") : nullptr;
    if (!id) return errorf("{}: added token \"{}\" has no id", where, token.content);
    LINNET_ASSIGN(token.id, readId(*id, token.content, where));
    parts.added.push_back(std::move(token));
  }
  return {};
}

Result<void> readSide(const SortedJson &root, const char *key, std::optional<Side> &side,
                      const std::string &where) {
  const SortedJson *value = member(root, key);
  if (!value) return {};
  if (*value != "left" && *value != "right")
    return errorf("{}: {}: expected \"left\" or \"right\", found {}", where, key, value->dump());
  side = *value == "left" ? Side::Left : Side::Right;
  return {};
}

constexpr const char *kRoles[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                  "sep_token", "cls_token", "mask_token"};

Result<void> readRoles(const SortedJson &root, const std::string &where, Settings &settings) {
  for (const char *role : kRoles) {
    auto it = root.find(role);
    if (it == root.end()) continue;
    AddedToken token;
    if (!it->is_null()) {
      LINNET_ASSIGN(token, readToken(*it, where));
    }
    bool known = false;
    for (auto &[name, old] : settings.roles)
      if (name == role) old = token, known = true;
    if (!known) settings.roles.emplace_back(role, token);
  }
  const SortedJson *additional = member(root, "additional_special_tokens");
  if (!additional) return {};
  if (!additional->is_array()) return errorf("{}: additional_special_tokens: expected an array", where);
  for (const SortedJson &value : *additional) {
    LINNET_ASSIGN(AddedToken token, readToken(value, where));
    settings.additional.push_back(std::move(token));
  }
  return {};
}

Result<void> readDecoder(const SortedJson &root, const std::string &where, Settings &settings) {
  const SortedJson *decoder = member(root, "added_tokens_decoder");
  if (!decoder) return {};
  if (!decoder->is_object()) return errorf("{}: added_tokens_decoder: expected an object", where);
  for (const auto &[key, value] : decoder->items()) {
    LINNET_ASSIGN(AddedToken token, readToken(value, where));
    int64_t id = 0;
    bool digits = !key.empty() && key.size() <= 9 && key.find_first_not_of("0123456789") == std::string::npos;
    if (digits) id = std::stoll(key);
    if (!digits || id > kMaxTokenId)
      return errorf("{}: added_tokens_decoder: expected an id from 0 to {}, found \"{}\"", where, kMaxTokenId,
                    key);
    token.id = static_cast<TokenId>(id);
    settings.decoder.push_back(std::move(token));
  }
  return {};
}

} // namespace

Result<void> readAddedTokens(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(SortedJson root, parse(json, where));
  for (const auto &[content, value] : root.items()) {
    AddedToken token;
    token.content = content;
    LINNET_ASSIGN(token.id, readId(value, content, where));
    parts.added.push_back(std::move(token));
  }
  return {};
}

Result<void> readTokenizerJson(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(SortedJson root, parse(json, where));
  AddedToken unk;
  LINNET_TRY(readModel(root, where, parts, unk));
  LINNET_TRY(readAddedArray(root, where, parts));
  LINNET_TRY(readStages(root, where, parts));
  if (const SortedJson *stage = member(root, "post_processor"))
    LINNET_TRY(readPostProcessor(*stage, where, parts));
  // tokenizers searches the unknown token only in the model's vocabulary, and only when something needs it.
  bool refused = !unk.content.empty() || parts.model == ModelKind::Unigram;
  parts.missing_byte = refused ? MissingByte::Refused : MissingByte::Dropped;
  for (size_t id = 0; id < parts.tokens.size() && !unk.content.empty(); ++id)
    if (parts.tokens[id] == unk.content) {
      parts.missing_byte = MissingByte::Unknown;
      parts.unk = parts.unknown_byte = static_cast<TokenId>(id);
    }
  return {};
}

Result<void> readConfig(std::string_view json, const std::string &where, Settings &settings) {
  LINNET_ASSIGN(SortedJson root, parse(json, where));
  LINNET_TRY(readRoles(root, where, settings));
  LINNET_TRY(readDecoder(root, where, settings));
  LINNET_TRY(readFlag(root, "add_prefix_space", settings.add_prefix_space, where));
  LINNET_TRY(readFlag(root, "add_bos_token", settings.add_bos_token, where));
  LINNET_TRY(readFlag(root, "add_eos_token", settings.add_eos_token, where));
  LINNET_TRY(readSide(root, "padding_side", settings.padding_side, where));
  LINNET_TRY(readSide(root, "truncation_side", settings.truncation_side, where));
  if (const SortedJson *name = member(root, "tokenizer_class")) {
    if (!name->is_string())
      return errorf("{}: tokenizer_class: expected a string, found {}", where, name->type_name());
    settings.tokenizer_class = name->get<std::string>();
  }
  // transformers writes 1e30 for an unknown length.
  if (const SortedJson *length = member(root, "model_max_length"); length && length->is_number_unsigned())
    if (uint64_t n = length->get<uint64_t>(); n < (uint64_t(1) << 31))
      settings.model_max_length = static_cast<int64_t>(n);
  return {};
}

Result<void> readSpecialTokensMap(std::string_view json, const std::string &where, Settings &settings) {
  LINNET_ASSIGN(SortedJson root, parse(json, where));
  if (settings.decoder.empty()) return readRoles(root, where, settings);
  // With added_tokens_decoder, the configuration takes precedence over special_tokens_map.json.
  Settings map;
  LINNET_TRY(readRoles(root, where, map));
  for (auto &[role, token] : map.roles) {
    bool known = false;
    for (auto &entry : settings.roles) known |= entry.first == role;
    if (!known) settings.roles.emplace_back(role, token);
  }
  settings.additional.insert(settings.additional.end(), map.additional.begin(), map.additional.end());
  return {};
}

} // namespace linnet::hf
