// Which parameters are trained, and how fast each learns.
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
  int64_t block = -1;        ///< or -1 outside of blocks
  std::string exported = {}; ///< its name in model.safetensors
  int64_t elements() const;
};

/// `*` is any run of characters, `?` one character, `{a,b,3..5}` one of several, numbers from..to included.
bool matchesPattern(std::string_view pattern, std::string_view name);

/// Names that match one of `patterns` (separated by commas outside braces), in the parameters' order. A
/// pattern that matches nothing is an error that lists what there is, blocks folded:
/// "layers.{0..11}.mlp.weight".
Result<std::vector<std::string>> selectByPattern(const std::vector<ParameterInfo> &all,
                                                 const std::string &patterns);
/// The last `count` blocks, and the last norm.
Result<std::vector<std::string>> selectLastLayers(const std::vector<ParameterInfo> &all, int64_t count);
std::vector<std::string> selectBiases(const std::vector<ParameterInfo> &all);
std::vector<std::string> selectNorms(const std::vector<ParameterInfo> &all);

/// The names with blocks folded, separated by commas.
std::string foldedNames(const std::vector<ParameterInfo> &all);

/// One more than the largest number of a block; 0 without blocks.
int64_t layerCount(const std::vector<ParameterInfo> &all);

/// The factor of a parameter's learning rate: 1 for heads and the last norm, decay for the last of `layers`
/// blocks, decay^2 for the one below, ..., and decay^(layers + 1) for the embeddings (Howard and Ruder,
/// 2018).
double layerwiseScale(const ParameterInfo &parameter, int64_t layers, double decay);
/// False for biases, norms and everything else with one dimension (Loshchilov and Hutter, 2019, as
/// GPT-2's and BERT's recipes have it).
bool decays(const ParameterInfo &parameter);

} // namespace linnet::training
