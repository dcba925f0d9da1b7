#include "frontend/checkpoint/gguf_model.h"
#include "frontend/checkpoint/checkpoint.h"
#include "support/error.h"
#include "support/json.h"

#include <array>
#include <cmath>
#include <tuple>

namespace linnet {
namespace {

struct Name {
  std::string_view canonical, gguf;
};
constexpr Name kGlobal[] = {{"wte.weight", "token_embd.weight"},
                            {"wpe.weight", "position_embd.weight"},
                            {"ln_f.weight", "output_norm.weight"},
                            {"ln_f.bias", "output_norm.bias"},
                            {"lm_head.weight", "output.weight"}};
// Behind "h.N." and "blk.N.".
constexpr Name kLayer[] = {{"ln_1", "attn_norm"}, {"attn.c_attn", "attn_qkv"}, {"attn.c_proj", "attn_output"},
                           {"ln_2", "ffn_norm"},  {"mlp.c_fc", "ffn_up"},      {"mlp.c_proj", "ffn_down"}};

// tokenizer.ggml.token_type
constexpr int64_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

/// Translates PREFIX N . part . weight|bias; empty when it does not fit.
std::string translate(std::string_view name, std::string_view prefix, std::string_view to_prefix,
                      std::string_view Name::*from, std::string_view Name::*to) {
  for (const Name &pair : kGlobal)
    if (name == pair.*from) return std::string(pair.*to);
  if (name.substr(0, prefix.size()) != prefix) return {};
  name.remove_prefix(prefix.size());
  size_t dot = name.find('.'), last = name.rfind('.');
  if (dot == std::string_view::npos || last <= dot || dot == 0 || dot > 6) return {};
  std::string_view layer = name.substr(0, dot), part = name.substr(dot + 1, last - dot - 1),
                   kind = name.substr(last + 1);
  if (layer.find_first_not_of("0123456789") != std::string_view::npos || (kind != "weight" && kind != "bias"))
    return {};
  for (const Name &pair : kLayer)
    if (part == pair.*from) return fmt::format("{}{}.{}.{}", to_prefix, layer, pair.*to, kind);
  return {};
}

/// The parts as a file holds them: if the tokenizer names no token that ends a text, the model's first one
/// does.
TokenizerParts partsToWrite(const Gpt2Config &config, const Tokenizer &tokenizer) {
  TokenizerParts parts = tokenizer.parts();
  const std::vector<int64_t> &ends = config.endTokens();
  if (parts.eos < 0 && !ends.empty() && ends.front() <= kMaxTokenId)
    parts.eos = static_cast<TokenId>(ends.front());
  return parts;
}

} // namespace

std::string canonicalFromGguf(std::string_view name) {
  return translate(name, "blk.", "h.", &Name::gguf, &Name::canonical);
}
std::string ggufFromCanonical(std::string_view name) {
  return translate(name, "h.", "blk.", &Name::canonical, &Name::gguf);
}
bool transposedInGguf(std::string_view name) {
  auto ends = [&](std::string_view tail) {
    return name.size() >= tail.size() && name.substr(name.size() - tail.size()) == tail;
  };
  return ends(".c_attn.weight") || ends(".c_proj.weight") || ends(".c_fc.weight");
}

Result<Gpt2Config> configFromGguf(const GgufFile &file, const std::string &path) {
  LINNET_ASSIGN(std::string architecture, file.text("general.architecture"));
  if (architecture != "gpt2")
    return errorf("{}: general.architecture \"{}\" is not supported (gpt2)", path,
                  architecture.substr(0, 40));
  Json json = {{"model_type", "gpt2"}, {"activation_function", "gelu_new"}};
  struct Key {
    const char *gguf, *config;
  };
  for (Key key : {Key{"gpt2.context_length", "n_positions"}, Key{"gpt2.embedding_length", "n_embd"},
                  Key{"gpt2.block_count", "n_layer"}, Key{"gpt2.feed_forward_length", "n_inner"},
                  Key{"gpt2.attention.head_count", "n_head"}}) {
    LINNET_ASSIGN(int64_t value, file.integer(key.gguf));
    json[key.config] = value;
  }
  LINNET_ASSIGN(double epsilon, file.number("gpt2.attention.layer_norm_epsilon"));
  if (!std::isfinite(epsilon)) return errorf("{}: gpt2.attention.layer_norm_epsilon is {}", path, epsilon);
  // Stored as f32: the shortest decimal that is the same f32 is what the model's author wrote.
  json["layer_norm_epsilon"] = std::stod(fmt::format("{}", static_cast<float>(epsilon)));
  for (const TensorView &tensor : file.tensors())
    if (tensor.name == "token_embd.weight" && tensor.shape.size() == 2) json["vocab_size"] = tensor.shape[0];
  if (!json.contains("vocab_size")) return errorf("{}: tensor \"token_embd.weight\" is missing", path);
  for (auto [gguf, config] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                              std::pair{"tokenizer.ggml.eos_token_id", "eos_token_id"},
                              std::pair{"tokenizer.ggml.padding_token_id", "pad_token_id"}})
    if (auto id = file.integer(gguf); file.has(gguf) && id) json[config] = *id;
  return Gpt2Config::parse(json.dump(), path);
}

Result<std::optional<TokenizerParts>> tokenizerFromGguf(const GgufFile &file, const std::string &path) {
  if (!file.has("tokenizer.ggml.model")) return std::optional<TokenizerParts>();
  LINNET_ASSIGN(std::string model, file.text("tokenizer.ggml.model"));
  if (model == "none" || model == "no_vocab") return std::optional<TokenizerParts>();
  if (model != "gpt2")
    return errorf("{}: tokenizer.ggml.model \"{}\" is not supported (gpt2)", path, model.substr(0, 40));
  if (file.has("tokenizer.ggml.pre")) {
    LINNET_ASSIGN(std::string pre, file.text("tokenizer.ggml.pre"));
    if (pre != "gpt-2" && pre != "default")
      return errorf("{}: tokenizer.ggml.pre \"{}\" is not supported (gpt-2)", path, pre.substr(0, 40));
  }
  const auto *tokens = file.texts("tokenizer.ggml.tokens"), *merges = file.texts("tokenizer.ggml.merges");
  if (!tokens || !merges)
    return errorf("{}: tokenizer.ggml.tokens and .merges are expected to be arrays of strings", path);
  TokenizerParts parts;
  parts.tokens = *tokens;
  parts.merges = *merges;
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
    token.special = types[i] != kUserDefined; // llama.cpp finds the unknown token in a text as control tokens
    parts.added.push_back(std::move(token));
  }
  auto id = [&](const char *key) -> TokenId {
    auto value = file.integer(key);
    return file.has(key) && value && *value >= 0 && *value <= kMaxTokenId ? static_cast<TokenId>(*value) : -1;
  };
  parts.bos = id("tokenizer.ggml.bos_token_id");
  parts.eos = id("tokenizer.ggml.eos_token_id");
  parts.pad = id("tokenizer.ggml.padding_token_id");
  parts.unk = id("tokenizer.ggml.unknown_token_id");
  parts.missing_byte = MissingByte::Skipped; // as llama.cpp
  LINNET_ASSIGN(parts.add_prefix_space, file.flag("tokenizer.ggml.add_space_prefix", false));
  for (auto [key, role, token, around] :
       {std::tuple("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", parts.bos, &parts.prefix),
        std::tuple("tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", parts.eos,
                   &parts.suffix)}) {
    LINNET_ASSIGN(bool add, file.flag(key, false));
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
    lost.push_back(fmt::format("the {} tokens behind each text: GGUF can only name the eos token there",
                               parts.suffix.size()));
  if (parts.add_prefix_space)
    lost.push_back("the space in front of each text (add_prefix_space): llama.cpp adds none for GPT-2");
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
  if (parts.ignore_merges) lost.push_back("ignore_merges: llama.cpp merges every word of GPT-2");
  if (parts.missing_byte == MissingByte::Unknown || parts.missing_byte == MissingByte::Dropped)
    lost.push_back("what becomes of bytes without a token: llama.cpp leaves them out after it merged");
  if (parts.padding_side == Side::Left) lost.push_back("padding_side left");
  if (parts.truncation_side == Side::Left) lost.push_back("truncation_side left");
  return lost;
}

std::vector<std::string> lostInGguf(const Gpt2Config &config, const std::optional<Tokenizer> &tokenizer) {
  std::vector<std::string> lost;
  int64_t held = -1; // the end token that the file names
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

GgufMetadata ggufMetadata(const Gpt2Config &config, const std::optional<Tokenizer> &tokenizer, int file_type,
                          const std::string &name) {
  GgufMetadata metadata = {{"general.architecture", std::string("gpt2")},
                           {"general.name", name},
                           {"general.file_type", int64_t(file_type)},
                           {"gpt2.context_length", config.n_positions},
                           {"gpt2.vocab_size", config.vocab_size}, // all that says so without a tokenizer
                           {"gpt2.embedding_length", config.n_embd},
                           {"gpt2.block_count", config.n_layer},
                           {"gpt2.feed_forward_length", config.n_inner},
                           {"gpt2.attention.head_count", config.n_head},
                           {"gpt2.attention.layer_norm_epsilon", config.layer_norm_epsilon}};
  if (!tokenizer) {
    metadata.emplace_back("tokenizer.ggml.model", std::string("none"));
    return metadata;
  }
  TokenizerParts parts = partsToWrite(config, *tokenizer);
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
      parts.tokens[i] = fmt::format("[PAD{}]", i); // as llama.cpp's converter fills gaps
      types[i] = kUnused;
    }
  metadata.emplace_back("tokenizer.ggml.model", std::string("gpt2"));
  metadata.emplace_back("tokenizer.ggml.pre", std::string("gpt-2"));
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
  return metadata;
}

/// A .gguf as a checkpoint: names and layouts translated, bytes left where they are.
Result<void> Checkpoint::readGguf(const std::string &path) {
  file_format = "gguf";
  read_files.push_back(path);
  LINNET_ASSIGN(GgufFile file, GgufFile::open(path));
  LINNET_ASSIGN(settings, configFromGguf(file, path));
  LINNET_ASSIGN(gguf_tokenizer, tokenizerFromGguf(file, path));
  for (TensorView tensor : file.tensors()) {
    std::string name = canonicalFromGguf(tensor.name);
    if (name.empty())
      return errorf("{}: tensor \"{}\" is not one of GPT-2's", path, tensor.name.substr(0, 80));
    tensor.name = name;
    if (transposedInGguf(name) && tensor.shape.size() == 2) {
      std::swap(tensor.shape[0], tensor.shape[1]);
      tensor.transposed = true;
    }
    LINNET_TRY(add(std::move(tensor), name));
  }
  return {};
}

} // namespace linnet
