// A language model's default settings of generation, from generation_config.json. If the checkpoint has no
// such file, they are read from the same keys of config.json, as in transformers.
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
  // Settings that the file does not have are empty.
  std::vector<int64_t> eos_token_ids; ///< any of them ends a text
  std::optional<bool> do_sample;
  std::optional<double> temperature, top_p, repetition_penalty;
  std::optional<int64_t> top_k, max_new_tokens; ///< top_k 0: all tokens
  /// Settings that change the text in transformers and have no effect in Linnet: "num_beams 4".
  std::vector<std::string> ignored;
  std::string file; ///< text of generation_config.json; empty if there is none

  /// Reads the file's text. Errors begin with `where`.
  static Result<GenerationSettings> ofFile(std::string_view text, const std::string &where,
                                           int64_t vocab_size);
  /// Reads the keys of config.json, except its end tokens, which are in ModelDescription::eos_token_ids.
  static Result<GenerationSettings> ofConfig(const Json &json, const std::string &where, int64_t vocab_size);
  /// The fields above except `ignored`, under transformers' names. An empty object if none is set.
  Json toJson() const;
};

inline constexpr const char *kGenerationConfig = "generation_config.json";

/// generation_config.json of a checkpoint directory, or nothing.
Result<std::optional<GenerationSettings>> readGenerationConfig(const std::string &path, int64_t vocab_size);
/// Writes generation_config.json, byte for byte if there was a file. Writes nothing if the settings are
/// empty.
Result<void> writeGenerationConfig(const GenerationSettings &settings, const std::string &directory);

} // namespace linnet
