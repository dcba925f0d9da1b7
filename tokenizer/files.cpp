// Reads a checkpoint's tokenizer files and the roles of special tokens.
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"
#include "support/hub_name.h"
#include "support/json.h"
#include "tokenizer/hf_json.h"
#include "tokenizer/sentencepiece.h"

#include <algorithm>
#include <unordered_map>

namespace linnet {
namespace hf {
namespace {

// Finds tokens by content, and assigns ids to tokens without one.
class SpecialTokens {
public:
  explicit SpecialTokens(TokenizerParts &p) : parts(p) {
    for (size_t id = 0; id < p.tokens.size(); ++id)
      if (!p.tokens[id].empty())
        in_vocab.emplace(p.tokens[id], static_cast<TokenId>(id)), reserve(static_cast<TokenId>(id));
    for (size_t i = 0; i < p.added.size(); ++i) added.emplace(p.added[i].content, i), reserve(p.added[i].id);
  }

  Result<TokenId> add(AddedToken token) {
    token.special = true;
    if (auto known = added.find(token.content); known != added.end()) {
      parts.added[known->second].special = true;
      return TokenId(parts.added[known->second].id);
    }
    if (token.id < 0) {
      auto vocab = in_vocab.find(token.content);
      token.id = vocab != in_vocab.end() ? vocab->second : next;
    }
    if (token.id > kMaxTokenId)
      return errorf("tokenizer: no id is left for the special token \"{}\"", token.content);
    reserve(token.id);
    added.emplace(token.content, parts.added.size());
    parts.added.push_back(token);
    return TokenId(token.id);
  }

  /// Adds a token of added_tokens_decoder. If other files have it, too, this one determines how it is
  /// matched.
  Result<void> merge(const AddedToken &token) {
    auto known = added.find(token.content);
    if (known == added.end()) {
      reserve(token.id);
      added.emplace(token.content, parts.added.size());
      parts.added.push_back(token);
      return {};
    }
    AddedToken &old = parts.added[known->second];
    if (old.id != token.id)
      return errorf("tokenizer: added token \"{}\" has id {} in one file and {} in another", token.content,
                    old.id, token.id);
    old = token;
    return {};
  }

  bool inVocab(const std::string &content) const { return in_vocab.contains(content); }

private:
  void reserve(TokenId id) { next = std::max(next, id + 1); }
  TokenizerParts &parts;
  std::unordered_map<std::string, TokenId> in_vocab;
  std::unordered_map<std::string, size_t> added;
  TokenId next = 0;
};

TokenId *idOfRole(const std::string &role, TokenizerParts &parts) {
  if (role == "bos_token") return &parts.bos;
  if (role == "eos_token") return &parts.eos;
  if (role == "unk_token") return &parts.unk;
  if (role == "pad_token") return &parts.pad;
  return nullptr;
}

// transformers changes a pre_tokenizer ByteLevel as the configuration says, and no other.
Result<void> setPrefixSpace(bool value, TokenizerParts &parts) {
  parts.add_prefix_space = value;
  if (parts.stages.empty()) return {};
  LINNET_ASSIGN(Json stages, parseJson(parts.stages, "stages"));
  if (!stages.contains("pre_tokenizer") || stages["pre_tokenizer"].value("type", "") != "ByteLevel")
    return {};
  stages["pre_tokenizer"]["add_prefix_space"] = value;
  parts.stages = stages.dump();
  return {};
}

// GPT2Tokenizer's default special tokens.
std::vector<std::pair<std::string, AddedToken>> withDefaults(const Settings &settings,
                                                             const SpecialTokens &specials) {
  auto roles = settings.roles;
  const std::string end_of_text = "<|endoftext|>";
  bool byte_pairs =
      settings.tokenizer_class.empty() || settings.tokenizer_class.rfind("GPT2Tokenizer", 0) == 0;
  if (!byte_pairs || !specials.inVocab(end_of_text)) return roles;
  for (const char *role : {"bos_token", "eos_token", "unk_token"}) {
    bool said =
        std::any_of(roles.begin(), roles.end(), [&](const auto &entry) { return entry.first == role; });
    if (said) continue;
    AddedToken token;
    token.content = end_of_text;
    roles.emplace_back(role, token);
  }
  return roles;
}

} // namespace

Result<void> applySettings(const Settings &settings, TokenizerParts &parts) {
  SpecialTokens specials(parts);
  for (const AddedToken &token : settings.decoder) LINNET_TRY(specials.merge(token));
  for (const auto &[role, token] : withDefaults(settings, specials)) {
    TokenId *id = idOfRole(role, parts);
    if (token.content.empty()) {
      if (id) *id = -1;
      continue;
    }
    LINNET_ASSIGN(TokenId known, specials.add(token));
    if (id) *id = known;
  }
  for (const AddedToken &token : settings.additional) {
    auto added = specials.add(token);
    if (!added) return added.error();
  }
  if (settings.add_prefix_space) LINNET_TRY(setPrefixSpace(*settings.add_prefix_space, parts));
  // These classes of transformers make the template from the two settings.
  const std::string &name = settings.tokenizer_class;
  if (name.starts_with("LlamaTokenizer") || name.starts_with("CodeLlamaTokenizer") ||
      name.starts_with("GemmaTokenizer")) {
    if (settings.add_bos_token == false && parts.prefix == std::vector{parts.bos}) parts.prefix.clear();
    if (settings.add_eos_token == false && parts.suffix == std::vector{parts.eos}) parts.suffix.clear();
  }
  if (settings.add_bos_token.value_or(false) && parts.prefix.empty() && parts.bos >= 0)
    parts.prefix = {parts.bos};
  if (settings.add_eos_token.value_or(false) && parts.suffix.empty() && parts.eos >= 0)
    parts.suffix = {parts.eos};
  if (settings.padding_side) parts.padding_side = *settings.padding_side;
  if (settings.truncation_side) parts.truncation_side = *settings.truncation_side;
  if (settings.model_max_length) parts.model_max_length = settings.model_max_length;
  return {};
}

} // namespace hf

namespace {

Result<Tokenizer> build(const TokenizerParts &parts, const std::string &where) {
  auto tokenizer = Tokenizer::fromParts(parts);
  if (!tokenizer) return errorf("{}: {}", where, tokenizer.error().message);
  return tokenizer;
}

// vocab.json and merges.txt are files of Python's GPT2Tokenizer. It maps missing bytes to the unknown token,
// and fails if there is none. The token is added to the vocabulary, because tokenizer.json needs it there.
void setMissingByteOfPair(TokenizerParts &parts) {
  if (parts.unk < 0) return;
  parts.missing_byte = MissingByte::Unknown;
  parts.unknown_byte = parts.unk;
  auto id = static_cast<size_t>(parts.unk);
  if (parts.tokens.size() <= id) parts.tokens.resize(id + 1);
  for (const AddedToken &token : parts.added)
    if (token.id == parts.unk) parts.tokens[id] = token.content;
}

// Whether a tokenizer class reads vocab.json and merges.txt like GPT-2's. (CLIP's files of these names
// differ.)
bool readsBytePairs(const std::string &name) {
  for (const char *known :
       {"", "GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"})
    if (name == known) return true;
  return false;
}

// The classes that read tokenizer.model in Python put the token in front of each text unless they are told otherwise.
void setBosOfPieces(const hf::Settings &settings, TokenizerParts &parts) {
  if (settings.add_bos_token.value_or(true) && parts.prefix.empty() && parts.bos >= 0)
    parts.prefix = {parts.bos};
}

template <class Target>
Result<void> readFile(const std::string &path,
                      Result<void> (*read)(std::string_view, const std::string &, Target &), Target &into) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  const bool may_be_empty = !path.ends_with(".json"); // a tokenizer of bytes has no merges
  if (std::string fault = contentFault(file.text()); !fault.empty() && !(may_be_empty && file.text().empty()))
    return errorf("{}: {}", path, fault);
  return read(file.text(), path, into);
}

// Reads vocab.json + merges.txt, or OpenAI's encoder.json + vocab.bpe. Returns false if there are none.
Result<bool> readPair(const std::string &directory, const hf::Settings &settings, TokenizerParts &parts) {
  const std::pair<const char *, const char *> names[] = {{"/vocab.json", "/merges.txt"},
                                                         {"/encoder.json", "/vocab.bpe"}};
  for (auto [vocab_name, merges_name] : names) {
    std::string vocab = directory + vocab_name, merges = directory + merges_name;
    if (!fileExists(vocab) && !fileExists(merges)) continue;
    for (const std::string &path : {vocab, merges})
      if (!fileExists(path))
        return errorf("{}: not found, but its companion is there: a tokenizer needs both", path);
    if (!readsBytePairs(settings.tokenizer_class))
      return errorf("{}: tokenizer_class {} is not supported, only GPT-2's", directory,
                    settings.tokenizer_class);
    LINNET_TRY(readFile<TokenizerParts>(vocab, hf::readVocab, parts));
    LINNET_TRY(readFile<TokenizerParts>(merges, hf::readMerges, parts));
    if (std::string path = directory + "/added_tokens.json"; fileExists(path))
      LINNET_TRY(readFile<TokenizerParts>(path, hf::readAddedTokens, parts));
    return true;
  }
  return false;
}

} // namespace

Result<std::optional<Tokenizer>> Tokenizer::fromDirectory(const std::string &directory) {
  if (!isDirectory(directory))
    return errorf("{}: expected a directory{}", directory, fileExists(directory) ? "" : pullHint(directory));
  TokenizerParts parts;
  hf::Settings settings;
  if (std::string path = directory + "/tokenizer_config.json"; fileExists(path))
    LINNET_TRY(readFile<hf::Settings>(path, hf::readConfig, settings));
  if (std::string path = directory + "/special_tokens_map.json"; fileExists(path))
    LINNET_TRY(readFile<hf::Settings>(path, hf::readSpecialTokensMap, settings));
  bool json = fileExists(directory + "/tokenizer.json");
  if (json) {
    LINNET_TRY(readFile<TokenizerParts>(directory + "/tokenizer.json", hf::readTokenizerJson, parts));
  } else {
    LINNET_ASSIGN(bool found, readPair(directory, settings, parts));
    if (!found) {
      const std::string pieces = directory + "/tokenizer.model";
      if (!fileExists(pieces)) return std::optional<Tokenizer>();
      LINNET_TRY(readFile<TokenizerParts>(pieces, readSentencePiece, parts));
      LINNET_TRY(hf::applySettings(settings, parts));
      setBosOfPieces(settings, parts);
      LINNET_ASSIGN(Tokenizer tokenizer, build(parts, directory));
      return std::optional<Tokenizer>(std::move(tokenizer));
    }
  }
  LINNET_TRY(hf::applySettings(settings, parts));
  if (!json) setMissingByteOfPair(parts);
  LINNET_ASSIGN(Tokenizer tokenizer, build(parts, directory));
  return std::optional<Tokenizer>(std::move(tokenizer));
}

Result<Tokenizer> Tokenizer::fromTokenizerJson(std::string_view json, const std::string &where) {
  TokenizerParts parts;
  LINNET_TRY(hf::readTokenizerJson(json, where, parts));
  LINNET_TRY(hf::applySettings({}, parts));
  return build(parts, where);
}

Result<Tokenizer> Tokenizer::fromVocabAndMerges(std::string_view vocab_json, std::string_view merges_txt,
                                                const std::string &where) {
  TokenizerParts parts;
  LINNET_TRY(hf::readVocab(vocab_json, where, parts));
  LINNET_TRY(hf::readMerges(merges_txt, "merges.txt", parts));
  LINNET_TRY(hf::applySettings({}, parts));
  setMissingByteOfPair(parts);
  return build(parts, where);
}

} // namespace linnet
