// A GPT-2 checkpoint, whatever its files: configuration, tensors under canonical names, tokenizer.
//
// Canonical names are transformers' without the `transformer.` prefix: wte.weight, wpe.weight,
// h.N.ln_1.weight, ..., ln_f.bias, lm_head.weight (untied only), score.weight (classifiers, and
// head.N.weight, head.N.bias of their hidden layers). Matrices of attention and MLP are [in, out], as GPT-2's
// Conv1D stores them.
#pragma once
#include "frontend/checkpoint/config.h"
#include "frontend/checkpoint/tensor.h"
#include "support/result.h"
#include "tokenizer/tokenizer.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

class Checkpoint {
public:
  /// A directory in Hugging Face's layout (weight_files.h), a .safetensors or pytorch_model.bin next to its
  /// config.json, or a .gguf file. Every tensor that the configuration asks for is there with the right shape
  /// when this returns; tensors that would change the numbers and are not GPT-2's are refused. `overrides`
  /// replace values of config.json.
  static Result<Checkpoint> open(const std::string &path, const ConfigSettings &overrides = {});

  const std::string &path() const { return source; }
  /// "safetensors", "pytorch" or "gguf".
  const std::string &format() const { return file_format; }
  /// With generation_config.json in `generation`, if the checkpoint has that file.
  const Gpt2Config &config() const { return settings; }
  /// By canonical name, in the order of the model's layers.
  const std::vector<TensorView> &tensors() const { return list; }
  const TensorView *find(std::string_view name) const;
  /// Nothing when the checkpoint has no tokenizer files. A vocabulary with more ids than the embedding has
  /// rows is refused; fewer are fine (embeddings are often padded).
  Result<std::optional<Tokenizer>> tokenizer() const;
  /// Files whose contents decide the result of compiling, for cache keys.
  std::vector<std::string> files() const;
  /// Tensors that a file held and that nothing reads (attention masks of old exports).
  const std::vector<std::string> &ignored() const { return dropped; }

private:
  Result<void> readDirectory(const std::string &directory, const std::string &weights_path,
                             const ConfigSettings &overrides);
  Result<void> readGeneration(const std::string &path);
  Result<void> readGguf(const std::string &path);
  Result<void> add(TensorView tensor, const std::string &stored_name);
  Error missing(const struct ExpectedTensor &want) const;
  Result<void> check();

  std::string source, file_format;
  Gpt2Config settings;
  std::vector<TensorView> list;
  std::map<std::string, size_t, std::less<>> index;
  std::vector<std::string> stored_names; ///< of `list` in the file; empty once all is checked
  std::vector<std::string> dropped, read_files;
  std::optional<TokenizerParts> gguf_tokenizer;
};

/// The tensors that a model of this configuration has, in order: canonical names and shapes.
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};
std::vector<ExpectedTensor> expectedTensors(const Gpt2Config &config);
/// Those that a classifier has beyond them: its hidden layers, score.weight and, where the configuration says
/// so, score.bias.
std::vector<ExpectedTensor> headTensors(const Gpt2Config &config);

} // namespace linnet
