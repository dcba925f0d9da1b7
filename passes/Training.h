// Attributes of a function @loss that `linnet-autodiff` reads.
//
//   linnet.train = {"blocks.0.mlp.weight" = {lr_scale = 1.0 : f32, decay = 0.01 : f32}, ...}
//       The trained params; all others are frozen. Without it all are trained, with lr_scale 1 and decay 0.
//   linnet.adam = {beta1 = 0.9 : f32, beta2 = 0.999 : f32, epsilon = 1.0e-8 : f32, pull = 0.0 : f32}
//       Constants that all params share.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace linnet {

inline constexpr llvm::StringLiteral kTrainAttribute = "linnet.train", kAdamAttribute = "linnet.adam";

/// Constants of linnet.adamw that all parameters share.
struct AdamSettings {
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, pull = 0;
};
AdamSettings readAdam(mlir::DictionaryAttr attribute);

struct ParameterSettings {
  std::string name;
  float lr_scale = 1, decay = 0;
};
void requestTraining(mlir::func::FuncOp loss, llvm::ArrayRef<ParameterSettings> parameters,
                     const AdamSettings &adam);

} // namespace linnet
