// Random checkpoints of a model's true shape, in Hugging Face's layout: for trying things without a download.
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

/// What is being done and how far it is, in bytes.
using Progress = std::function<void(uint64_t done, uint64_t total, std::string_view what)>;

/// Those of all families: "tiny", "stories", ...
std::vector<std::string> presetNames();
/// The configuration of a preset, or an error that lists them.
Result<ModelDescription> presetConfig(std::string_view preset);

/// The tokenizer of a preset that has one (tiny: single bytes).
Result<std::optional<Tokenizer>> presetTokenizer(std::string_view preset);

/// What biases and gains begin with.
enum class Vectors {
  constant, ///< 0 and 1: for training
  drawn     ///< near 0 and near 1, deviation 0.02: for models that are run as they are, where each must show
};

/// Writes config.json and model.safetensors (f32) with the initialization of GPT-2 (Radford et al., 2019,
/// 2.3): weights normal with deviation 0.02, projections into the residual stream divided by sqrt(2 n_layer),
/// biases and gains as `vectors` says. The same seed gives the same bytes on every machine. `tiny` also gets
/// a byte-level tokenizer, so that text goes in and out; its config.json says that it is untrained. The
/// directory appears whole or not at all, and must not exist or be empty.
Result<void> initCheckpoint(std::string_view preset, uint64_t seed, const std::string &directory,
                            Vectors vectors = Vectors::drawn, const Progress &progress = {});

/// The same for a configuration; `tokenizer` goes with it. `note` is what its config.json says of it.
Result<void> initCheckpoint(const ModelDescription &config, uint64_t seed, const std::string &directory,
                            const std::optional<Tokenizer> &tokenizer, const std::string &note,
                            Vectors vectors = Vectors::drawn, const Progress &progress = {});

/// A tensor to be trained, in the stream-th of a seed's streams: its biases are 0, its gains 1.
TensorToWrite randomTensor(const TensorSpec &want, const std::string &name, uint64_t seed, uint64_t stream,
                           const ModelDescription &config, StorageType type);

} // namespace linnet
