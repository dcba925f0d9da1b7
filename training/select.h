// Which parameters are trained, and how fast each learns.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

struct ParameterInfo {
  std::string name; ///< canonical: "h.3.attn.c_attn.weight"
  std::vector<int64_t> shape;
  int64_t elements() const;
};

/// `*` is any run of characters, `?` one character, `{a,b,3..5}` one of several, numbers from..to included.
bool matchesPattern(std::string_view pattern, std::string_view name);

/// Names that match one of `patterns` (separated by commas outside braces), in the parameters' order. A
/// pattern that matches nothing is an error that lists what there is, layers folded: "h.{0..11}.ln_1.weight".
Result<std::vector<std::string>> selectByPattern(const std::vector<ParameterInfo> &all,
                                                 const std::string &patterns);
/// Blocks n_layer - count ..., and the last layer norm.
Result<std::vector<std::string>> selectLastLayers(const std::vector<ParameterInfo> &all, int64_t count);
std::vector<std::string> selectBiases(const std::vector<ParameterInfo> &all);
std::vector<std::string> selectNorms(const std::vector<ParameterInfo> &all);

/// The names with layers folded, separated by commas.
std::string foldedNames(const std::vector<ParameterInfo> &all);

/// One more than the largest N of "h.N."; 0 without layers.
int64_t layerCount(const std::vector<ParameterInfo> &all);

/// What a parameter's learning rate is multiplied by: 1 for heads and the last layer norm, decay for the last
/// block, decay^2 for the one below, ..., and decay^(n_layer + 1) for the embeddings (Howard and Ruder,
/// 2018).
double layerwiseScale(std::string_view name, int64_t n_layer, double decay);
/// False for biases, layer norms and everything else with one dimension (Loshchilov and Hutter, 2019, as
/// GPT-2's and BERT's recipes have it).
bool decays(const ParameterInfo &parameter);

} // namespace linnet::training
