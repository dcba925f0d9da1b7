// Selects the trained parameters and their learning rates.
#pragma once
#include "frontend/model/tensor_spec.h"
#include "support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

struct ParameterInfo {
  std::string name; ///< canonical
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::weight;
  int64_t block = -1;        ///< number of its block; -1: none
  std::string exported = {}; ///< name in model.safetensors
  int64_t elements() const;
};

/// Whether `name` matches. `*` is any run of characters, `?` one character, `{a,b,3..5}` one of the
/// alternatives, which may be ranges of numbers.
bool matchesPattern(std::string_view pattern, std::string_view name);

/// Names that match one of `patterns` (separated by commas outside braces), in the parameters' order. A
/// pattern without a match is an error that lists the names with folded blocks: "layers.{0..11}.mlp.weight".
Result<std::vector<std::string>> selectByPattern(const std::vector<ParameterInfo> &all,
                                                 const std::string &patterns);
/// The last `count` blocks, and the last norm.
Result<std::vector<std::string>> selectLastLayers(const std::vector<ParameterInfo> &all, int64_t count);
std::vector<std::string> selectBiases(const std::vector<ParameterInfo> &all);
std::vector<std::string> selectNorms(const std::vector<ParameterInfo> &all);

/// The names with folded blocks, separated by commas.
std::string foldedNames(const std::vector<ParameterInfo> &all);

/// The number of blocks: one more than the largest block number.
int64_t layerCount(const std::vector<ParameterInfo> &all);

/// The factor of a parameter's learning rate: 1 for heads and the last norm, decay for the last of `layers`
/// blocks, decay^2 for the block before it, ..., and decay^(layers + 1) for the embeddings (Howard and Ruder,
/// 2018).
double layerwiseScale(const ParameterInfo &parameter, int64_t layers, double decay);
/// Whether weight decay applies: not to biases, norms and other parameters of one dimension (Loshchilov and
/// Hutter, 2019, like the recipes of GPT-2 and BERT).
bool decays(const ParameterInfo &parameter);

} // namespace linnet::training
