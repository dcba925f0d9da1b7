// How llama.cpp describes a model in GGUF's metadata, both ways: its configuration, by the keys that its
// family names, and its tokenizer.
#pragma once
#include "frontend/checkpoint/gguf.h"
#include "frontend/model/description.h"
#include "tokenizer/tokenizer.h"

#include <optional>
#include <string>
#include <string_view>

namespace linnet {

/// The configuration that general.architecture and the keys of that family describe.
Result<ModelDescription> configFromGguf(const GgufFile &file, const std::string &path);
/// The tokenizer in the metadata, or nothing when it has none ("no_vocab" or absent). Texts begin and end as
/// tokenizer.ggml.add_bos_token, add_eos_token and add_space_prefix say.
Result<std::optional<TokenizerParts>> tokenizerFromGguf(const GgufFile &file, const std::string &path);
/// What GGUF cannot hold of a tokenizer, or holds and llama.cpp does not read, a line each.
std::vector<std::string> lostInGguf(const TokenizerParts &parts);
/// The same of a whole language model: also its end tokens and its settings of generation.
std::vector<std::string> lostInGguf(const ModelDescription &config,
                                    const std::optional<Tokenizer> &tokenizer);
/// Metadata of a model: architecture, sizes, and the tokenizer if there is one. `file_type` is GGML's (0 f32,
/// 1 f16, 2 q4_0, 7 q8_0, 32 bf16).
GgufMetadata ggufMetadata(const ModelDescription &config, const std::optional<Tokenizer> &tokenizer,
                          int file_type, const std::string &name);

} // namespace linnet
