// The checkpoints of tests/golden that make_families.py made.
#pragma once
#include <string>
#include <vector>

namespace linnet::testing {

inline const std::vector<std::string> kFamilyCheckpoints = {
    "llama",    "llama3-scaled", "llama3-scaled-v4", "llama-linear-v4",    "mistral-window", "qwen2",
    "qwen2-v4", "qwen3",         "gpt-neox",         "gpt-neox-serial-v4", "gemma3"};
inline const std::vector<std::string> kFamilyClassifiers = {"llama-classifier", "qwen2-classifier",
                                                            "gpt2-classifier"};

} // namespace linnet::testing
