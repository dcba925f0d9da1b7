// GPT-NeoX's settings in addition to those of every model.
#pragma once
#include "frontend/model/description.h"
#include "frontend/model/rotary.h"

namespace linnet::gpt_neox {

const Family &family();

struct Settings : FamilySettings {
  int64_t intermediate = 24576; ///< width of the MLP
  std::string hidden_act = "gelu";
  ActivationFunction activation = ActivationFunction::gelu_erf;
  double epsilon = 1e-5;
  Rotary rotary;
  bool parallel = true; ///< attention and MLP read the same x, each through its own norm
  bool attention_bias = true;

  static const Settings &of(const ModelDescription &model) {
    return static_cast<const Settings &>(*model.settings);
  }
};

} // namespace linnet::gpt_neox
