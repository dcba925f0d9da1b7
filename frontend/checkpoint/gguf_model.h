// Reads and writes llama.cpp's description of a model in GGUF's metadata: the configuration, by the keys of
// its family, and the tokenizer.
#pragma once
#include "frontend/checkpoint/gguf.h"
#include "frontend/model/description.h"
#include "tokenizer/tokenizer.h"

#include <optional>
#include <string>
#include <string_view>

namespace linnet {

/// The configuration from general.architecture and the keys of that family.
Result<ModelDescription> configFromGguf(const GgufFile &file, const std::string &path);
/// The tokenizer in the metadata, or nothing if there is none ("no_vocab" or absent).
/// tokenizer.ggml.add_bos_token, add_eos_token and add_space_prefix define the tokens around a text.
Result<std::optional<TokenizerParts>> tokenizerFromGguf(const GgufFile &file, const std::string &path);
/// A line for each property of a tokenizer that GGUF cannot hold or that llama.cpp does not read.
std::vector<std::string> lostInGguf(const TokenizerParts &parts);
/// The same for a whole language model, including its end tokens and generation settings.
std::vector<std::string> lostInGguf(const ModelDescription &config,
                                    const std::optional<Tokenizer> &tokenizer);
/// The metadata of a model: architecture, sizes, and the tokenizer if there is one. `file_type` is GGML's
/// number (0 f32, 1 f16, 2 q4_0, 7 q8_0, 32 bf16).
GgufMetadata ggufMetadata(const ModelDescription &config, const std::optional<Tokenizer> &tokenizer,
                          int file_type, const std::string &name);

} // namespace linnet
