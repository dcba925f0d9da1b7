// GPT-2's settings in addition to those of every model.
#pragma once
#include "frontend/model/description.h"

namespace linnet::gpt2 {

const Family &family();

struct Settings : FamilySettings {
  int64_t n_inner = 0; ///< width of the hidden layer of each block's MLP
  ActivationFunction activation = ActivationFunction::gelu_tanh;
  std::string activation_function = "gelu_new"; ///< the name in config.json
  double layer_norm_epsilon = 1e-5;
  bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;

  static const Settings &of(const ModelDescription &model) {
    return static_cast<const Settings &>(*model.settings);
  }
};

} // namespace linnet::gpt2
