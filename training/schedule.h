// The schedule of the learning rate.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <string_view>

namespace linnet::training {

enum class Decay : uint8_t { Constant, Linear, Cosine };

/// The learning rate of steps 0 to `steps` - 1. It rises linearly during the first `warmup` steps (step 0 has
/// peak / warmup, step warmup - 1 has `peak`). Then it is constant, or falls to `floor` at the last step
/// along a line or half a cosine (Loshchilov and Hutter, 2017, without restarts).
struct Schedule {
  Decay decay = Decay::Cosine;
  double peak = 1e-3, floor = 0;
  int64_t steps = 1, warmup = 0;

  double at(int64_t step) const;
};

/// "constant", "linear", "cosine".
Result<Decay> parseDecay(std::string_view name);
const char *decayName(Decay decay);

} // namespace linnet::training
