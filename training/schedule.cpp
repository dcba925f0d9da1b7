#include "training/schedule.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::training {

double Schedule::at(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (decay == Decay::Constant) return peak;
  auto span = static_cast<double>(std::max<int64_t>(steps - 1 - warmup, 1));
  double part = std::clamp(static_cast<double>(step - warmup) / span, 0.0, 1.0);
  double left = decay == Decay::Linear ? 1 - part : 0.5 * (1 + std::cos(part * 3.14159265358979323846));
  return floor + (peak - floor) * left;
}

Result<Decay> parseDecay(std::string_view name) {
  for (Decay decay : {Decay::Constant, Decay::Linear, Decay::Cosine})
    if (name == decayName(decay)) return decay;
  return errorf("unknown schedule \"{}\"; there are constant, linear, cosine", name);
}

const char *decayName(Decay decay) {
  return decay == Decay::Constant ? "constant" : decay == Decay::Linear ? "linear" : "cosine";
}

} // namespace linnet::training
