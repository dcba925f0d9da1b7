// The pre-tokenizers that GGUF names (tokenizer.ggml.pre), as stages of a tokenizer.json.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace linnet {

struct GgufPreTokenizer {
  std::string stages; ///< TokenizerParts::stages; empty: GPT-2's
  bool ignore_merges = false;
};

/// What llama.cpp does for a name; nothing if the name is not known.
std::optional<GgufPreTokenizer> preTokenizerOfGguf(const std::string &name);
std::vector<std::string> knownPreTokenizersOfGguf();

/// A name whose words are those of these stages, or nothing. The stages may be written differently.
std::optional<std::string> nameInGguf(const std::string &stages, bool ignore_merges);

} // namespace linnet
