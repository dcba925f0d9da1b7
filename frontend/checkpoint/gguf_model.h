// How llama.cpp lays out a GPT-2 model in GGUF: metadata keys and tensor names, both ways.
//
// Matrices of attention and MLP are stored transposed ([out, in]) with respect to GPT-2's own checkpoints.
#pragma once
#include "frontend/checkpoint/config.h"
#include "frontend/checkpoint/gguf.h"
#include "tokenizer/tokenizer.h"

#include <optional>
#include <string>
#include <string_view>

namespace linnet {

/// The configuration that general.architecture = gpt2 and its keys describe. llama.cpp's GPT-2 has the tanh
/// GELU only.
Result<Gpt2Config> configFromGguf(const GgufFile &file, const std::string &path);
/// The tokenizer in the metadata, or nothing when it has none ("no_vocab" or absent). Texts begin and end as
/// tokenizer.ggml.add_bos_token, add_eos_token and add_space_prefix say.
Result<std::optional<TokenizerParts>> tokenizerFromGguf(const GgufFile &file, const std::string &path);
/// "blk.3.attn_qkv.weight" -> "h.3.attn.c_attn.weight"; empty when the name is not GPT-2's.
std::string canonicalFromGguf(std::string_view name);
/// The reverse.
std::string ggufFromCanonical(std::string_view name);
/// Whether this canonical tensor is stored transposed in GGUF.
bool transposedInGguf(std::string_view canonical);
/// What GGUF cannot hold of a tokenizer, or holds and llama.cpp does not read, a line each.
std::vector<std::string> lostInGguf(const TokenizerParts &parts);
/// The same of a whole language model: also its end tokens and its settings of generation.
std::vector<std::string> lostInGguf(const Gpt2Config &config, const std::optional<Tokenizer> &tokenizer);
/// Metadata of a model: architecture, sizes, and the tokenizer if there is one. `file_type` is GGML's (0 f32,
/// 1 f16, 2 q4_0, 7 q8_0, 32 bf16).
GgufMetadata ggufMetadata(const Gpt2Config &config, const std::optional<Tokenizer> &tokenizer, int file_type,
                          const std::string &name);

} // namespace linnet
