// Exports checkpoints for transformers (safetensors) or llama.cpp (GGUF).
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/safetensors.h"

#include <string>
#include <vector>

namespace linnet {

/// Writes a directory in Hugging Face's layout: config.json, generation_config.json if the checkpoint has
/// generation settings, chat_template.jinja if it has one, model.safetensors, tokenizer files. `type` is f32, f16 or
/// bf16. The directory appears atomically.
Result<void> exportSafetensors(const Checkpoint &checkpoint, StorageType type, const std::string &directory,
                               const Progress &progress = {});

/// Writes a .gguf that llama.cpp runs. `type` is f32, f16, bf16, q8_0 or q4_0. It is the type of matrices
/// whose rows fill whole blocks of 32; others become f16. Norms, biases and positions stay f32. Errors:
/// models that llama.cpp would compute differently (Family::notInGguf), and classifiers. Returns a line for
/// each setting that the file cannot hold.
Result<std::vector<std::string>> exportGguf(const Checkpoint &checkpoint, StorageType type,
                                            const std::string &path, const Progress &progress = {});

/// Writes the tokenizer's files into a directory. If they name no padding token, the one of `config` is
/// added: transformers pads a batch with the tokenizer's token and finds a text's end with the
/// configuration's.
Result<void> saveTokenizer(const Tokenizer &tokenizer, const ModelDescription &config,
                           const std::string &directory);

/// A tensor that is converted to `type` in pieces while it is written.
TensorToWrite convertedTensor(const TensorView &tensor, const std::string &name, StorageType type);
/// transformers' name of a tensor. All tensors except those of heads have the prefix of the body.
std::string exportedName(const TensorSpec &tensor, const ModelDescription &config);
/// "float32", "float16", "bfloat16".
const char *torchName(StorageType type);

/// "f32", "f16", "bf16", "q8_0", "q4_0".
Result<StorageType> parseStorageType(std::string_view text);

} // namespace linnet
