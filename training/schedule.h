// The learning rate over a run.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <string_view>

namespace linnet::training {

enum class Decay : uint8_t { Constant, Linear, Cosine };

/// Step t of `steps`, from 0: the first `warmup` steps rise in equal parts to `peak` (step 0 has peak /
/// warmup), the others fall from `peak` to `floor` at the last step: not at all, along a line, or along half
/// a cosine (Loshchilov and Hutter, 2017, without restarts).
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
