// How a language model continues a text unless the user asks for something else: generation_config.json, or,
// if the checkpoint has no such file, the same keys in config.json, as transformers reads them.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct GenerationSettings {
  // What the file does not name is empty.
  std::vector<int64_t> eos_token_ids; ///< any of them ends a text
  std::optional<bool> do_sample;
  std::optional<double> temperature, top_p, repetition_penalty;
  std::optional<int64_t> top_k, max_new_tokens; ///< top_k 0: all tokens
  /// Settings that would change the text in transformers and do nothing in Linnet: "num_beams 4".
  std::vector<std::string> ignored;
  std::string file; ///< generation_config.json's text; empty if there is none

  /// The file's content. `where` starts errors.
  static Result<GenerationSettings> ofFile(std::string_view text, const std::string &where,
                                           int64_t vocab_size);
  /// The keys in config.json; the end tokens there are ModelDescription::eos_token_ids.
  static Result<GenerationSettings> ofConfig(const Json &json, const std::string &where, int64_t vocab_size);
  /// The fields above in transformers' names, without `ignored`. Empty object: nothing is named.
  Json toJson() const;
};

inline constexpr const char *kGenerationConfig = "generation_config.json";

/// generation_config.json of a checkpoint directory, or nothing.
Result<std::optional<GenerationSettings>> readGenerationConfig(const std::string &path, int64_t vocab_size);
/// Writes it again, byte for byte if there was a file; nothing if the settings are empty.
Result<void> writeGenerationConfig(const GenerationSettings &settings, const std::string &directory);

} // namespace linnet
