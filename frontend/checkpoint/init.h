// Writes random checkpoints of published shapes in Hugging Face's layout, for experiments without a download.
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Receives the current activity and its progress in bytes.
using Progress = std::function<void(uint64_t done, uint64_t total, std::string_view what)>;

/// The presets of all families: "tiny", "stories", ...
std::vector<std::string> presetNames();
/// The configuration of a preset, or an error that lists them.
Result<ModelDescription> presetConfig(std::string_view preset);

/// The tokenizer of a preset that has one (tiny: single bytes).
Result<std::optional<Tokenizer>> presetTokenizer(std::string_view preset);

/// Initial values of biases and gains.
enum class Vectors {
  constant, ///< 0 and 1: for training
  drawn     ///< near 0 and near 1, deviation 0.02: for tests, so that a dropped vector changes the numbers
};

/// Writes config.json and model.safetensors (f32) with the initialization of GPT-2 (Radford et al., 2019,
/// 2.3): weights are normal with deviation 0.02, and projections into the residual stream are divided by
/// sqrt(2 n_layer). `vectors` selects biases and gains. The same seed gives the same bytes on every machine.
/// `tiny` also gets a byte-level tokenizer, and its config.json has a note that it is untrained. The
/// directory must be absent or empty, and appears atomically.
Result<void> initCheckpoint(std::string_view preset, uint64_t seed, const std::string &directory,
                            Vectors vectors = Vectors::drawn, const Progress &progress = {});

/// The same for any configuration, with its tokenizer. `note` is written into config.json.
Result<void> initCheckpoint(const ModelDescription &config, uint64_t seed, const std::string &directory,
                            const std::optional<Tokenizer> &tokenizer, const std::string &note,
                            Vectors vectors = Vectors::drawn, const Progress &progress = {});

/// A random tensor for training, drawn from stream `stream` of the seed. Biases are 0 and gains are 1.
TensorToWrite randomTensor(const TensorSpec &want, const std::string &name, uint64_t seed, uint64_t stream,
                           const ModelDescription &config, StorageType type);

} // namespace linnet
