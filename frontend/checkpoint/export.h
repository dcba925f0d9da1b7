// Checkpoints in other clothes: the same weights for transformers (safetensors) or llama.cpp (GGUF).
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/safetensors.h"

#include <string>
#include <vector>

namespace linnet {

/// Writes a directory in Hugging Face's layout: config.json, generation_config.json if the checkpoint says
/// how texts are continued, model.safetensors, tokenizer files. `type` is f32, f16 or bf16. It appears whole
/// or not at all.
Result<void> exportSafetensors(const Checkpoint &checkpoint, StorageType type, const std::string &directory,
                               const Progress &progress = {});

/// Writes a .gguf that llama.cpp runs. `type` is f32, f16, bf16, q8_0 or q4_0 and holds for matrices whose
/// rows fill whole blocks of 32 (others become f16); norms, biases and positions stay f32. Refused: models
/// that llama.cpp would compute differently (Family::notInGguf), and classifiers. Gives what the file cannot
/// hold of the checkpoint, a line each.
Result<std::vector<std::string>> exportGguf(const Checkpoint &checkpoint, StorageType type,
                                            const std::string &path, const Progress &progress = {});

/// Writes the tokenizer's files into a directory. Its padding token is the one that `config` names, if its
/// own files name none: transformers pads a batch by the tokenizer and finds a text's end by the
/// configuration.
Result<void> saveTokenizer(const Tokenizer &tokenizer, const ModelDescription &config,
                           const std::string &directory);

/// A tensor's elements as `type`, a few at a time.
TensorToWrite convertedTensor(const TensorView &tensor, const std::string &name, StorageType type);
/// transformers' name of a tensor: everything but the heads lives in the body.
std::string exportedName(const TensorSpec &tensor, const ModelDescription &config);
/// "float32", "float16", "bfloat16".
const char *torchName(StorageType type);

/// "f32", "f16", "bf16", "q8_0", "q4_0".
Result<StorageType> parseStorageType(std::string_view text);

} // namespace linnet
