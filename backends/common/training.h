// What every backend's kernels of training compute, but for sizes: docs/ir.md has the formulas.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace linnet::backend {

/// One step of linnet.adamw. `start` is not read when pull is 0.
struct AdamWSpec {
  float beta1, beta2, epsilon, decay, lr_scale, pull;
};

struct DropoutSpec {
  float rate;
  uint32_t stream;
  /// An element stays where the upper 24 bits of its random word are not below this: u >= rate in steps of
  /// 2^-24.
  uint32_t threshold() const { return static_cast<uint32_t>(std::ceil(double(rate) * 0x1p24)); }
  double factor() const { return 1 / (1 - double(rate)); }
};

} // namespace linnet::backend
