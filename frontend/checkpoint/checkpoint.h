// A checkpoint of any file format and family: description, tensors under canonical names, tokenizer.
//
// A canonical name is transformers' name without the prefix of the body: "lm_head.weight", "score.weight",
// and the names that Family::tensors() lists.
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "frontend/model/description.h"
#include "support/result.h"
#include "tokenizer/tokenizer.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

class Checkpoint {
public:
  /// Opens a directory in Hugging Face's layout (weight_files.h), a .safetensors or pytorch_model.bin next to
  /// its config.json, or a .gguf file. Checks that every tensor of the configuration exists with its shape.
  /// Unknown tensors that could change the numbers are errors. `overrides` replace values of config.json.
  static Result<Checkpoint> open(const std::string &path, const ConfigSettings &overrides = {});

  const std::string &path() const { return source; }
  /// "safetensors", "pytorch" or "gguf".
  const std::string &format() const { return file_format; }
  /// The configuration. Its `generation` is that of generation_config.json, if the checkpoint has that file.
  const ModelDescription &config() const { return settings; }
  /// Tensors under canonical names, in the order of the model's layers.
  const std::vector<TensorView> &tensors() const { return list; }
  /// The specification of each of tensors(), in the same order.
  const std::vector<TensorSpec> &specs() const { return expected; }
  const TensorView *find(std::string_view name) const;
  /// The tokenizer, or nothing if the checkpoint has no tokenizer files. A vocabulary with more ids than the
  /// embedding has rows is an error; fewer ids are fine (embeddings are often padded).
  Result<std::optional<Tokenizer>> tokenizer() const;
  /// Files whose contents determine the compiled result, for cache keys.
  std::vector<std::string> files() const;
  /// Names of tensors in the files that no computation reads (attention masks of old exports).
  const std::vector<std::string> &ignored() const { return dropped; }

  /// What a .gguf says about its model (aboutGguf); empty for other formats.
  const std::string &metadata() const { return file_metadata; }

private:
  Result<void> readDirectory(const std::string &directory, const std::string &weights_path,
                             const ConfigSettings &overrides);
  Result<void> readGeneration(const std::string &path);
  Result<void> readGguf(const std::string &path);
  Result<void> add(TensorView tensor, const std::string &stored_name);
  Error missing(const TensorSpec &want) const;
  Result<void> resolveHead();
  Result<void> check();

  std::string source, file_format, file_metadata;
  ModelDescription settings;
  std::vector<TensorView> list;
  std::vector<TensorSpec> expected; ///< set after all checks
  std::map<std::string, size_t, std::less<>> index;
  std::vector<std::string> stored_names; ///< names of `list` in the file; empty after all checks
  std::string unread;                    ///< the head's matrix, if the file holds the tied matrix twice
  std::vector<std::string> dropped, read_files;
  std::optional<TokenizerParts> gguf_tokenizer;
};

} // namespace linnet
