// Reads Hugging Face's tokenizer files, untrusted text, into TokenizerParts. Errors name the file (`where`).
// An unsupported setting that would change ids is an error.
#pragma once
#include "tokenizer/tokenizer.h"

namespace linnet::hf {

/// The settings of tokenizer_config.json and special_tokens_map.json. The latter is read second.
struct Settings {
  /// Special tokens by role ("bos_token"); an empty content means that the role is explicitly unset.
  std::vector<std::pair<std::string, AddedToken>> roles;
  std::vector<AddedToken> additional; // additional_special_tokens; ids unknown (-1)
  std::vector<AddedToken> decoder;    // added_tokens_decoder; ids known
  std::optional<bool> add_prefix_space, add_bos_token, add_eos_token;
  std::optional<Side> padding_side, truncation_side;
  std::string tokenizer_class;
  int64_t model_max_length = 0;
};

Result<void> readVocab(std::string_view json, const std::string &where, TokenizerParts &parts);
Result<void> readMerges(std::string_view text, const std::string &where, TokenizerParts &parts);
Result<void> readAddedTokens(std::string_view json, const std::string &where, TokenizerParts &parts);
Result<void> readTokenizerJson(std::string_view json, const std::string &where, TokenizerParts &parts);
Result<void> readConfig(std::string_view json, const std::string &where, Settings &settings);
Result<void> readSpecialTokensMap(std::string_view json, const std::string &where, Settings &settings);

/// Assigns ids to the special tokens (the next free one if no file has an id, like transformers). Applies
/// GPT-2's defaults: "<|endoftext|>" is bos, eos and unk unless a file names others.
Result<void> applySettings(const Settings &settings, TokenizerParts &parts);

} // namespace linnet::hf
