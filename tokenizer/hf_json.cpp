#include "tokenizer/hf_json.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"

#include <nlohmann/json.hpp>
#include <set>

namespace linnet::hf {
namespace {

// Sorted objects. Those of support/json.h keep their order, which takes quadratic time for a vocabulary.
using Json = nlohmann::json;
constexpr int kMaxDepth = 32;

Result<Json> parse(std::string_view text, const std::string &where) {
  bool too_deep = false;
  std::string duplicate;
  std::vector<std::set<std::string>> keys;
  auto watch = [&](int depth, Json::parse_event_t event, Json &value) {
    if (depth > kMaxDepth) too_deep = true;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty() && duplicate.empty())
      if (const auto &key = value.get_ref<const std::string &>(); !keys.back().insert(key).second)
        duplicate = key;
    return !too_deep;
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), watch);
    if (too_deep) return errorf("{}: JSON nested deeper than {} levels", where, kMaxDepth);
    if (!duplicate.empty())
      return errorf("{}: JSON key \"{}\" appears twice in one object", where, duplicate);
    if (!json.is_object()) return errorf("{}: expected a JSON object, found {}", where, json.type_name());
    return json;
  } catch (const Json::exception &e) {
    return errorf("{}: malformed JSON: {}", where, text.empty() ? "it is empty" : jsonProblem(e));
  }
}

// The member `key`, or nothing if it is absent or null.
const Json *member(const Json &object, const char *key) {
  auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string typeOf(const Json &object) {
  const Json *type = object.is_object() ? member(object, "type") : nullptr;
  return type && type->is_string() ? type->get<std::string>() : std::string(object.type_name());
}

Result<TokenId> readId(const Json &value, const std::string &token, const std::string &where) {
  bool integer = value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() < 0);
  if (!integer)
    return errorf("{}: token \"{}\": expected an integer id, found {}", where, token, value.type_name());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId))
    return errorf("{}: token \"{}\": expected an id from 0 to {}, found {}", where, token, kMaxTokenId,
                  value.dump());
  return static_cast<TokenId>(value.get<uint64_t>());
}

Result<void> readFlag(const Json &object, const char *key, bool &out, const std::string &where) {
  const Json *value = member(object, key);
  if (!value) return {};
  if (!value->is_boolean())
    return errorf("{}: {}: expected true or false, found {}", where, key, value->type_name());
  out = value->get<bool>();
  return {};
}

Result<void> readFlag(const Json &object, const char *key, std::optional<bool> &out,
                      const std::string &where) {
  bool value = false;
  LINNET_TRY(readFlag(object, key, value, where));
  if (member(object, key)) out = value;
  return {};
}

// Reads a token: a string, or an object with its content and matching rules.
Result<AddedToken> readToken(const Json &value, const std::string &where) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else if (value.is_object()) {
    const Json *content = member(value, "content");
    if (!content || !content->is_string())
      return errorf("{}: an added token without a content string", where);
    token.content = content->get<std::string>();
    LINNET_TRY(readFlag(value, "special", token.special, where));
    LINNET_TRY(readFlag(value, "lstrip", token.lstrip, where));
    LINNET_TRY(readFlag(value, "rstrip", token.rstrip, where));
    LINNET_TRY(readFlag(value, "single_word", token.single_word, where));
    LINNET_TRY(readFlag(value, "normalized", token.normalized, where));
  } else {
    return errorf("{}: expected a token as a string or an object, found {}", where, value.type_name());
  }
  if (token.content.empty()) return errorf("{}: a special token with an empty content", where);
  return token;
}

Result<void> readVocab(const Json &vocab, const std::string &where, TokenizerParts &parts) {
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

Result<void> readMergeArray(const Json &merges, const std::string &where, TokenizerParts &parts) {
  if (!merges.is_array())
    return errorf("{}: expected the merges as an array, found {}", where, merges.type_name());
  for (const Json &merge : merges) {
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
Result<void> checkModel(const Json &model, const std::string &where) {
  if (const Json *type = member(model, "type"); type && *type != "BPE")
    return errorf("{}: model: expected type BPE, found {}", where, type->dump());
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json *value = member(model, key); value && *value != "")
      return errorf("{}: model: {} {} is not supported", where, key, value->dump());
  if (const Json *value = member(model, "dropout"); value && *value != 0)
    return errorf("{}: model: dropout {} is not supported", where, value->dump());
  if (const Json *value = member(model, "byte_fallback"); value && *value != false)
    return errorf("{}: model: byte_fallback {} is not supported", where, value->dump());
  return {};
}

Result<void> readModel(const Json &root, const std::string &where, TokenizerParts &parts, AddedToken &unk) {
  const Json *model = member(root, "model");
  if (!model || !model->is_object()) return errorf("{}: expected a model object", where);
  LINNET_TRY(checkModel(*model, where));
  const Json *vocab = member(*model, "vocab"), *merges = member(*model, "merges");
  if (!vocab || !merges) return errorf("{}: model: expected vocab and merges", where);
  LINNET_TRY(readVocab(*vocab, where, parts));
  LINNET_TRY(readMergeArray(*merges, where, parts));
  LINNET_TRY(readFlag(*model, "ignore_merges", parts.ignore_merges, where));
  LINNET_TRY(readFlag(*model, "fuse_unk", parts.fuse_unknown, where));
  if (const Json *value = member(*model, "unk_token")) {
    LINNET_ASSIGN(unk, readToken(*value, where));
  }
  return {};
}

Result<void> checkStage(const Json &root, const char *key, const char *list, const std::string &where) {
  const Json *stage = member(root, key);
  if (!stage || typeOf(*stage) == "ByteLevel") return {};
  if (typeOf(*stage) != "Sequence")
    return errorf("{}: {} of type {} is not supported", where, key, typeOf(*stage));
  const Json *steps = member(*stage, list);
  if (!steps || !steps->is_array()) return errorf("{}: {}: expected an array of {}", where, key, list);
  for (const Json &step : *steps)
    if (typeOf(step) != "ByteLevel")
      return errorf("{}: {} of type {} is not supported", where, key, typeOf(step));
  return {};
}

Result<void> readPreTokenizer(const Json &root, const std::string &where, TokenizerParts &parts) {
  const Json *stage = member(root, "pre_tokenizer");
  if (!stage) return errorf("{}: expected a pre_tokenizer of type ByteLevel, found none", where);
  if (typeOf(*stage) == "Sequence")
    if (const Json *steps = member(*stage, "pretokenizers"); steps && steps->is_array() && steps->size() == 1)
      stage = &(*steps)[0];
  if (typeOf(*stage) != "ByteLevel")
    return errorf("{}: pre_tokenizer of type {} is not supported, only ByteLevel", where, typeOf(*stage));
  bool use_regex = true;
  LINNET_TRY(readFlag(*stage, "use_regex", use_regex, where));
  if (!use_regex) return errorf("{}: a pre_tokenizer with use_regex false is not supported", where);
  return readFlag(*stage, "add_prefix_space", parts.add_prefix_space, where);
}

// Reads one element of a template: a special token, or the text "A".
Result<void> readTemplateItem(const Json &item, const Json *specials, const std::string &where,
                              bool &seen_text, TokenizerParts &parts) {
  if (item.is_object() && item.contains("Sequence")) {
    if (seen_text)
      return errorf("{}: post_processor: a template that repeats its text is not supported", where);
    seen_text = true;
    return {};
  }
  const Json *token = item.is_object() ? member(item, "SpecialToken") : nullptr;
  const Json *name = token && token->is_object() ? member(*token, "id") : nullptr;
  if (!name || !name->is_string())
    return errorf("{}: post_processor: a template item that is neither text nor token", where);
  const Json *entry =
      specials && specials->is_object() ? member(*specials, name->get<std::string>().c_str()) : nullptr;
  const Json *ids = entry && entry->is_object() ? member(*entry, "ids") : nullptr;
  if (!ids || !ids->is_array())
    return errorf("{}: post_processor: no ids for the token {}", where, name->dump());
  for (const Json &value : *ids) {
    LINNET_ASSIGN(TokenId id, readId(value, name->get<std::string>(), where));
    (seen_text ? parts.suffix : parts.prefix).push_back(id);
  }
  return {};
}

Result<void> readPostProcessor(const Json &stage, const std::string &where, TokenizerParts &parts,
                               int depth = 0) {
  std::string type = typeOf(stage);
  if (type == "ByteLevel") return {}; // only changes offsets
  if (type == "Sequence" && depth == 0) {
    const Json *steps = member(stage, "processors");
    if (!steps || !steps->is_array())
      return errorf("{}: post_processor: expected an array of processors", where);
    for (const Json &step : *steps) LINNET_TRY(readPostProcessor(step, where, parts, depth + 1));
    return {};
  }
  if (type != "TemplateProcessing")
    return errorf("{}: post_processor of type {} is not supported", where, type);
  if (!parts.prefix.empty() || !parts.suffix.empty())
    return errorf("{}: post_processor: two templates", where);
  const Json *single = member(stage, "single");
  if (!single || !single->is_array())
    return errorf("{}: post_processor: expected a template in \"single\"", where);
  bool seen_text = false;
  for (const Json &item : *single)
    LINNET_TRY(readTemplateItem(item, member(stage, "special_tokens"), where, seen_text, parts));
  if (!seen_text) return errorf("{}: post_processor: a template without its text", where);
  return {};
}

Result<void> readAddedArray(const Json &root, const std::string &where, TokenizerParts &parts) {
  const Json *added = member(root, "added_tokens");
  if (!added) return {};
  if (!added->is_array())
    return errorf("{}: added_tokens: expected an array, found {}", where, added->type_name());
  for (const Json &value : *added) {
    LINNET_ASSIGN(AddedToken token, readToken(value, where));
    const Json *id = value.is_object() ? member(value, "id") : nullptr;
    if (!id) return errorf("{}: added token \"{}\" has no id", where, token.content);
    LINNET_ASSIGN(token.id, readId(*id, token.content, where));
    parts.added.push_back(std::move(token));
  }
  return {};
}

Result<void> readSide(const Json &root, const char *key, std::optional<Side> &side,
                      const std::string &where) {
  const Json *value = member(root, key);
  if (!value) return {};
  if (*value != "left" && *value != "right")
    return errorf("{}: {}: expected \"left\" or \"right\", found {}", where, key, value->dump());
  side = *value == "left" ? Side::Left : Side::Right;
  return {};
}

constexpr const char *kRoles[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                  "sep_token", "cls_token", "mask_token"};

Result<void> readRoles(const Json &root, const std::string &where, Settings &settings) {
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
  const Json *additional = member(root, "additional_special_tokens");
  if (!additional) return {};
  if (!additional->is_array()) return errorf("{}: additional_special_tokens: expected an array", where);
  for (const Json &value : *additional) {
    LINNET_ASSIGN(AddedToken token, readToken(value, where));
    settings.additional.push_back(std::move(token));
  }
  return {};
}

Result<void> readDecoder(const Json &root, const std::string &where, Settings &settings) {
  const Json *decoder = member(root, "added_tokens_decoder");
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

Result<void> readVocab(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(Json vocab, parse(json, where));
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

Result<void> readAddedTokens(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(Json root, parse(json, where));
  for (const auto &[content, value] : root.items()) {
    AddedToken token;
    token.content = content;
    LINNET_ASSIGN(token.id, readId(value, content, where));
    parts.added.push_back(std::move(token));
  }
  return {};
}

Result<void> readTokenizerJson(std::string_view json, const std::string &where, TokenizerParts &parts) {
  LINNET_ASSIGN(Json root, parse(json, where));
  if (const Json *normalizer = member(root, "normalizer")) {
    const Json *steps = member(*normalizer, "normalizers");
    bool none = typeOf(*normalizer) == "Sequence" && steps && steps->is_array() && steps->empty();
    if (!none) return errorf("{}: a normalizer (of type {}) is not supported", where, typeOf(*normalizer));
  }
  AddedToken unk;
  LINNET_TRY(readModel(root, where, parts, unk));
  LINNET_TRY(readAddedArray(root, where, parts));
  LINNET_TRY(readPreTokenizer(root, where, parts));
  LINNET_TRY(checkStage(root, "decoder", "decoders", where));
  if (const Json *stage = member(root, "post_processor")) LINNET_TRY(readPostProcessor(*stage, where, parts));
  // tokenizers searches the unknown token only in the model's vocabulary, and only when a byte needs it.
  parts.missing_byte = unk.content.empty() ? MissingByte::Dropped : MissingByte::Refused;
  for (size_t id = 0; id < parts.tokens.size() && !unk.content.empty(); ++id)
    if (parts.tokens[id] == unk.content) {
      parts.missing_byte = MissingByte::Unknown;
      parts.unk = parts.unknown_byte = static_cast<TokenId>(id);
    }
  return {};
}

Result<void> readConfig(std::string_view json, const std::string &where, Settings &settings) {
  LINNET_ASSIGN(Json root, parse(json, where));
  LINNET_TRY(readRoles(root, where, settings));
  LINNET_TRY(readDecoder(root, where, settings));
  LINNET_TRY(readFlag(root, "add_prefix_space", settings.add_prefix_space, where));
  LINNET_TRY(readFlag(root, "add_bos_token", settings.add_bos_token, where));
  LINNET_TRY(readFlag(root, "add_eos_token", settings.add_eos_token, where));
  LINNET_TRY(readSide(root, "padding_side", settings.padding_side, where));
  LINNET_TRY(readSide(root, "truncation_side", settings.truncation_side, where));
  if (const Json *name = member(root, "tokenizer_class")) {
    if (!name->is_string())
      return errorf("{}: tokenizer_class: expected a string, found {}", where, name->type_name());
    settings.tokenizer_class = name->get<std::string>();
  }
  // transformers writes 1e30 for an unknown length.
  if (const Json *length = member(root, "model_max_length"); length && length->is_number_unsigned())
    if (uint64_t n = length->get<uint64_t>(); n < (uint64_t(1) << 31))
      settings.model_max_length = static_cast<int64_t>(n);
  return {};
}

Result<void> readSpecialTokensMap(std::string_view json, const std::string &where, Settings &settings) {
  LINNET_ASSIGN(Json root, parse(json, where));
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
