#include "frontend/checkpoint/gguf_model.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/gguf_tokenizer.h"
#include "frontend/model/config_keys.h"
#include "frontend/model/family.h"
#include "support/error.h"
#include "support/json.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/stages.h"

#include <array>
#include <cmath>
#include <tuple>

namespace linnet {
namespace {

constexpr const char *kTable = "token_embd.weight",
                     *kHead = "output.weight"; ///< the same in every architecture
/// llama.cpp's name of the byte-pair tokenizer, also in other architectures than GPT-2.
constexpr const char *kBytePairs = "gpt2";
/// llama.cpp's name of SentencePiece's byte-pair tokenizer.
constexpr const char *kPieces = "llama";
constexpr const char *kAddSpacePrefix = "tokenizer.ggml.add_space_prefix";

constexpr const char *kGgufChatTemplate = "tokenizer.chat_template";

// tokenizer.ggml.token_type
constexpr int64_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

/// Reads merges, and the pre-tokenizer by its name, of a byte-pair tokenizer.
Result<void> readBytePairs(const GgufFile &file, const std::string &path, TokenizerParts &parts) {
  const auto *merges = file.texts("tokenizer.ggml.merges");
  if (!merges) return errorf("{}: tokenizer.ggml.merges is expected to be an array of strings", path);
  parts.merges = *merges;
  std::string pre = "gpt-2";
  if (file.has("tokenizer.ggml.pre")) {
    LINNET_ASSIGN(pre, file.text("tokenizer.ggml.pre"));
  }
  auto known = preTokenizerOfGguf(pre);
  if (!known)
    return errorf("{}: tokenizer.ggml.pre \"{}\" is not supported ({})", path, pre.substr(0, 40),
                  fmt::join(knownPreTokenizersOfGguf(), ", "));
  parts.stages = known->stages;
  parts.ignore_merges = known->ignore_merges;
  LINNET_ASSIGN(parts.add_prefix_space, file.flag(kAddSpacePrefix, false));
  if (parts.add_prefix_space && !parts.stages.empty())
    return errorf("{}: {} with tokenizer.ggml.pre \"{}\" is not supported", path, kAddSpacePrefix, pre);
  return {};
}

/// Reads the scores of SentencePiece's tokenizer. Its merges follow from them.
Result<void> readPieces(const GgufFile &file, const std::string &path, TokenizerParts &parts) {
  auto found = file.metadata().find("tokenizer.ggml.scores");
  const auto *scores =
      found == file.metadata().end() ? nullptr : std::get_if<std::vector<double>>(&found->second);
  if (!scores || scores->size() != parts.tokens.size())
    return errorf("{}: tokenizer.ggml.scores is expected to have a number for each of {} tokens", path,
                  parts.tokens.size());
  for (size_t i = 0; i < scores->size(); ++i)
    if (!std::isfinite((*scores)[i]))
      return errorf("{}: tokenizer.ggml.scores: {} of token {}", path, (*scores)[i], i);
  auto merges = mergesOfPieces(parts.tokens, *scores);
  if (!merges) return errorf("{}: {}", path, merges.error().message);
  parts.merges = std::move(*merges);
  parts.byte_fallback = true;
  LINNET_ASSIGN(bool prefix, file.flag(kAddSpacePrefix, true));
  parts.stages = sentencePieceStages(prefix);
  return {};
}

/// The parts to write. If the tokenizer names no token that ends a text, the model's first one is used.
TokenizerParts partsToWrite(const ModelDescription &config, const Tokenizer &tokenizer) {
  TokenizerParts parts = tokenizer.parts();
  const std::vector<int64_t> &ends = config.endTokens();
  if (parts.eos < 0 && !ends.empty() && ends.front() <= kMaxTokenId)
    parts.eos = static_cast<TokenId>(ends.front());
  return parts;
}

} // namespace

/// Refuses scaled rotary positions, and heads of two sizes.
static Result<void> checkRotaryKeys(const GgufFile &file, const std::string &architecture,
                                    const std::string &path) {
  std::string type;
  if (const std::string key = architecture + ".rope.scaling.type"; file.has(key)) {
    LINNET_ASSIGN(type, file.text(key));
    if (type != "none") return errorf("{}: {} \"{}\" is not supported (none)", path, key, type.substr(0, 40));
  }
  for (const char *name :
       {".rope.scaling.factor", ".rope.scale_linear"}) // llama.cpp scales without a type, too
    if (const std::string key = architecture + name; type.empty() && file.has(key)) {
      LINNET_ASSIGN(const double factor, file.number(key));
      if (factor != 0 && factor != 1) return errorf("{}: {} {} is not supported (1)", path, key, factor);
    }
  std::optional<int64_t> first;
  for (const char *name : {".rope.dimension_count", ".attention.key_length", ".attention.value_length"})
    if (const std::string key = architecture + name; file.has(key)) {
      LINNET_ASSIGN(const int64_t size, file.integer(key));
      if (first && *first != size)
        return errorf("{}: {} is {}, expected {}, as the other sizes of a head", path, key, size, *first);
      first = size;
    }
  return {};
}

Result<ModelDescription> configFromGguf(const GgufFile &file, const std::string &path) {
  LINNET_ASSIGN(std::string architecture, file.text("general.architecture"));
  const Family *family = nullptr;
  std::vector<const char *> known;
  for (const Family *each : families()) {
    if (!each->names().gguf) continue;
    known.push_back(each->names().gguf);
    if (architecture == known.back()) family = each;
  }
  if (!family)
    return errorf("{}: general.architecture \"{}\" is not supported ({})", path, architecture.substr(0, 40),
                  fmt::join(known, ", "));
  Json json = family->impliedByGguf();
  json["model_type"] = family->names().model_type;
  for (const GgufKey &key : family->ggufKeys()) {
    const std::string name = architecture + "." + key.gguf;
    if (key.optional && !file.has(name)) continue;
    Json &to = json[Json::json_pointer(key.pointer())];
    if (key.is_number) {
      LINNET_ASSIGN(double value, file.number(name));
      if (!std::isfinite(value)) return errorf("{}: {} is {}", path, name, value);
      // Stored as f32. The shortest decimal of that f32 is probably the number in the original config.json.
      to = std::stod(fmt::format("{}", static_cast<float>(value)));
    } else {
      LINNET_ASSIGN(int64_t value, file.integer(name));
      to = value;
    }
  }
  LINNET_TRY(checkRotaryKeys(file, architecture, path));
  json["tie_word_embeddings"] = true;
  for (const TensorView &tensor : file.tensors()) {
    if (tensor.name == kTable && tensor.shape.size() == 2) json["vocab_size"] = tensor.shape[0];
    if (tensor.name == kHead) json["tie_word_embeddings"] = false;
    for (auto [bias, key] :
         {std::pair{"blk.0.attn_q.bias", "attention_bias"}, std::pair{"blk.0.ffn_gate.bias", "mlp_bias"}})
      if (tensor.name == bias && family->keys().read.contains(key)) json[key] = true;
  }
  if (!json.contains("vocab_size")) return errorf("{}: tensor \"{}\" is missing", path, kTable);
  for (auto [gguf, config] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                              std::pair{"tokenizer.ggml.eos_token_id", "eos_token_id"},
                              std::pair{"tokenizer.ggml.padding_token_id", "pad_token_id"}})
    if (auto id = file.integer(gguf); file.has(gguf) && id) json[config] = *id;
  return ModelDescription::parse(json.dump(), path);
}

Result<std::optional<TokenizerParts>> tokenizerFromGguf(const GgufFile &file, const std::string &path) {
  if (!file.has("tokenizer.ggml.model")) return std::optional<TokenizerParts>();
  LINNET_ASSIGN(std::string model, file.text("tokenizer.ggml.model"));
  if (model == "none" || model == "no_vocab") return std::optional<TokenizerParts>();
  if (model != kBytePairs && model != kPieces)
    return errorf("{}: tokenizer.ggml.model \"{}\" is not supported ({}, {})", path, model.substr(0, 40),
                  kBytePairs, kPieces);
  const bool pieces = model == kPieces;
  const auto *tokens = file.texts("tokenizer.ggml.tokens");
  if (!tokens) return errorf("{}: tokenizer.ggml.tokens is expected to be an array of strings", path);
  TokenizerParts parts;
  parts.tokens = *tokens;
  std::vector<int64_t> types = file.integers("tokenizer.ggml.token_type");
  if (!types.empty() && types.size() != tokens->size())
    return errorf("{}: {} tokens and {} token types", path, tokens->size(), types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == kNormal || types[i] == kByte) continue; // part of the vocabulary
    parts.tokens[i].clear();
    if (types[i] == kUnused) continue;
    AddedToken token;
    token.content = (*tokens)[i];
    token.id = static_cast<TokenId>(i);
    token.special = types[i] != kUserDefined; // llama.cpp matches the unknown token in texts
    parts.added.push_back(std::move(token));
  }
  LINNET_TRY(pieces ? readPieces(file, path, parts) : readBytePairs(file, path, parts));
  auto id = [&](const char *key) -> TokenId {
    auto value = file.integer(key);
    return file.has(key) && value && *value >= 0 && *value <= kMaxTokenId ? static_cast<TokenId>(*value) : -1;
  };
  parts.bos = id("tokenizer.ggml.bos_token_id");
  parts.eos = id("tokenizer.ggml.eos_token_id");
  parts.pad = id("tokenizer.ggml.padding_token_id");
  parts.unk = id("tokenizer.ggml.unknown_token_id");
  parts.missing_byte = MissingByte::Skipped; // as llama.cpp
  if (pieces && parts.unk >= 0) parts.missing_byte = MissingByte::Unknown, parts.unknown_byte = parts.unk;
  for (auto [key, role, token, around] :
       {std::tuple("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", parts.bos, &parts.prefix),
        std::tuple("tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", parts.eos,
                   &parts.suffix)}) {
    const bool otherwise = pieces && around == &parts.prefix && token >= 0; // llama.cpp's default
    LINNET_ASSIGN(bool add, file.flag(key, otherwise));
    if (!add) continue;
    if (token < 0) return errorf("{}: {} is true, but {} names no token", path, key, role);
    *around = {token};
  }
  return std::optional(std::move(parts));
}

std::vector<std::string> lostInGguf(const TokenizerParts &parts) {
  std::vector<std::string> lost;
  auto holds = [](const std::vector<TokenId> &ids, TokenId role) {
    return ids.empty() || ids == std::vector<TokenId>{role};
  };
  if (!holds(parts.prefix, parts.bos))
    lost.push_back(fmt::format("the {} tokens in front of each text: GGUF can only name the bos token there",
                               parts.prefix.size()));
  if (!holds(parts.suffix, parts.eos))
    lost.push_back(fmt::format("the {} tokens after each text: GGUF can only name the eos token there",
                               parts.suffix.size()));
  auto stages = parts.stages.empty() ? nullptr : *Stages::parse(parts.stages);
  if (stages && !stages->byteLevel())
    return {"the tokenizer: Linnet writes only byte-level tokenizers to GGUF"};
  const bool has_name = nameInGguf(parts.stages, parts.ignore_merges).has_value();
  if (stages && !stages->normalizer.empty()) lost.push_back("the normalizer: llama.cpp changes no text");
  if (stages && !has_name)
    lost.push_back("the pre_tokenizer: GGUF has only names for them, and gpt-2 is written");
  if (parts.add_prefix_space)
    lost.push_back("the space in front of each text (add_prefix_space): llama.cpp adds none");
  std::vector<std::string> stripped, single;
  for (const AddedToken &token : parts.added) {
    if (token.lstrip || token.rstrip) stripped.push_back(token.content);
    if (token.single_word) single.push_back(token.content);
  }
  if (!stripped.empty())
    lost.push_back(fmt::format("lstrip and rstrip of {}: llama.cpp keeps the white space around a token",
                               fmt::join(stripped, ", ")));
  if (!single.empty())
    lost.push_back(
        fmt::format("single_word of {}: llama.cpp finds a token inside of words", fmt::join(single, ", ")));
  if (parts.ignore_merges && !has_name) lost.push_back("ignore_merges: llama.cpp merges every word");
  if (parts.missing_byte == MissingByte::Unknown || parts.missing_byte == MissingByte::Dropped)
    lost.push_back("what becomes of bytes without a token: llama.cpp leaves them out after it merged");
  if (parts.padding_side == Side::Left) lost.push_back("padding_side left");
  if (parts.truncation_side == Side::Left) lost.push_back("truncation_side left");
  return lost;
}

std::vector<std::string> lostInGguf(const ModelDescription &config,
                                    const std::optional<Tokenizer> &tokenizer) {
  std::vector<std::string> lost;
  int64_t held = -1; // the end token of the file
  if (tokenizer) {
    const TokenizerParts parts = partsToWrite(config, *tokenizer);
    lost = lostInGguf(parts);
    held = parts.eos;
  }
  std::vector<int64_t> ends = config.endTokens();
  std::erase(ends, held);
  if (!ends.empty())
    lost.push_back(fmt::format("the end token{} {}: {}", ends.size() == 1 ? "" : "s", fmt::join(ends, ", "),
                               held < 0 ? "GGUF names none without a tokenizer"
                                        : fmt::format("GGUF names one, here {}", held)));
  std::vector<std::string> settings;
  const Json named = config.generation.toJson();
  for (auto &[key, value] : named.items())
    if (key != "eos_token_id") settings.push_back(fmt::format("{} {}", key, value.dump()));
  settings.insert(settings.end(), config.generation.ignored.begin(), config.generation.ignored.end());
  if (!settings.empty())
    lost.push_back(fmt::format("the settings of generation ({}): give them on the command line",
                               fmt::join(settings, ", ")));
  return lost;
}

GgufMetadata ggufMetadata(const ModelDescription &config, const std::optional<Tokenizer> &tokenizer,
                          int file_type, const std::string &name) {
  const std::string architecture = config.family->names().gguf;
  GgufMetadata metadata = {
      {"general.architecture", architecture},
      {"general.name", name},
      {"general.file_type", int64_t(file_type)},
      {architecture + ".vocab_size", config.vocab_size}}; // the only source of this size without a tokenizer
  const Json json = config.toJson();
  for (const GgufKey &key : config.family->ggufKeys()) {
    const Json &value = json.at(Json::json_pointer(key.pointer()));
    if (key.is_number)
      metadata.emplace_back(architecture + "." + key.gguf, value.get<double>());
    else
      metadata.emplace_back(architecture + "." + key.gguf, value.get<int64_t>());
  }
  TokenizerParts parts;
  if (tokenizer) parts = partsToWrite(config, *tokenizer);
  if (!tokenizer || (!parts.stages.empty() && !(*Stages::parse(parts.stages))->byteLevel())) {
    metadata.emplace_back("tokenizer.ggml.model", std::string("none"));
    return metadata;
  }
  parts.tokens.resize(static_cast<size_t>(config.vocab_size));
  std::vector<int64_t> types(parts.tokens.size(), kNormal);
  std::vector<bool> added(parts.tokens.size(), false);
  for (const AddedToken &token : parts.added) {
    auto id = static_cast<size_t>(token.id);
    if (id >= parts.tokens.size()) continue;
    parts.tokens[id] = token.content;
    types[id] = token.special ? kControl : kUserDefined;
    added[id] = true;
  }
  for (size_t i = 0; i < parts.tokens.size(); ++i)
    if (parts.tokens[i].empty() && !added[i]) {
      parts.tokens[i] = fmt::format("[PAD{}]", i); // llama.cpp's converter fills gaps with these names
      types[i] = kUnused;
    }
  metadata.emplace_back("tokenizer.ggml.model", std::string(kBytePairs));
  metadata.emplace_back("tokenizer.ggml.pre",
                        nameInGguf(parts.stages, parts.ignore_merges).value_or("gpt-2"));
  metadata.emplace_back("tokenizer.ggml.tokens", parts.tokens);
  metadata.emplace_back("tokenizer.ggml.token_type", types);
  metadata.emplace_back("tokenizer.ggml.merges", parts.merges);
  if (parts.bos >= 0) metadata.emplace_back("tokenizer.ggml.bos_token_id", int64_t(parts.bos));
  if (parts.eos >= 0) metadata.emplace_back("tokenizer.ggml.eos_token_id", int64_t(parts.eos));
  if (parts.pad >= 0) metadata.emplace_back("tokenizer.ggml.padding_token_id", int64_t(parts.pad));
  if (parts.unk >= 0) metadata.emplace_back("tokenizer.ggml.unknown_token_id", int64_t(parts.unk));
  auto around = [](const std::vector<TokenId> &ids, TokenId role) {
    return ids == std::vector<TokenId>{role};
  };
  metadata.emplace_back("tokenizer.ggml.add_bos_token", around(parts.prefix, parts.bos));
  metadata.emplace_back("tokenizer.ggml.add_eos_token", around(parts.suffix, parts.eos));
  metadata.emplace_back("tokenizer.ggml.add_space_prefix", parts.add_prefix_space);
  if (!config.chat_template.empty()) metadata.emplace_back(kGgufChatTemplate, config.chat_template);
  return metadata;
}

/// Reads a .gguf as a checkpoint: translates names and layouts, and leaves the bytes in place.
Result<void> Checkpoint::readGguf(const std::string &path) {
  file_format = "gguf";
  LINNET_ASSIGN(GgufFile file, GgufFile::open(path));
  read_files = file.paths();
  file_metadata = aboutGguf(file);
  LINNET_ASSIGN(settings, configFromGguf(file, path));
  LINNET_ASSIGN(gguf_tokenizer, tokenizerFromGguf(file, path));
  if (auto text = file.text(kGgufChatTemplate))
    settings.chat_template = *text; // else a conversation has no template
  std::map<std::string, TensorSpec> specs;
  for (TensorSpec &spec : settings.family->tensors(settings)) specs.emplace(spec.gguf, std::move(spec));
  for (TensorView tensor : file.tensors()) {
    auto found = specs.find(tensor.name);
    if (found == specs.end())
      return errorf("{}: tensor \"{}\" is not one of {}'s", path, tensor.name.substr(0, 80),
                    settings.family->names().title);
    tensor.name = found->second.name;
    if (found->second.transposed_in_gguf && tensor.shape.size() == 2) {
      std::swap(tensor.shape[0], tensor.shape[1]);
      tensor.transposed = true;
    }
    if (const int64_t heads = found->second.paired_heads; heads && !tensor.shape.empty()) {
      if (tensor.shape[0] % (2 * heads))
        return errorf("{}: tensor \"{}\" {} has no pairs of rows for {} heads", path, found->second.gguf,
                      shapeText(tensor.shape), heads);
      tensor.paired_heads = heads;
    }
    LINNET_TRY(add(std::move(tensor), found->second.name));
  }
  return {};
}

} // namespace linnet
