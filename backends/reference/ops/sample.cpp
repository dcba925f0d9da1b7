#include "backends/reference/ops.h"
#include "runtime/philox.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace linnet::reference {
namespace {

struct Choice {
  double temperature, top_p;
  int64_t top_k;
  double u;
};

// Follows the description of linnet.sample step by step.
int64_t draw(std::span<const float> x, const Choice &choice) {
  std::vector<int64_t> kept; // by falling logits; equal logits by rising index
  for (size_t i = 0; i < x.size(); ++i)
    if (!std::isnan(x[i])) kept.push_back(static_cast<int64_t>(i));
  auto at = [&](int64_t i) { return double(x[static_cast<size_t>(i)]); };
  std::stable_sort(kept.begin(), kept.end(), [&](int64_t a, int64_t b) { return at(a) > at(b); });
  if (kept.empty()) return 0;
  const double largest = at(kept[0]);
  if (std::isinf(largest)) return largest > 0 ? kept[0] : 0;
  const int64_t k = choice.top_k;
  if (k > 0 && k < static_cast<int64_t>(kept.size())) {
    const double least = at(kept[static_cast<size_t>(k - 1)]);
    while (at(kept.back()) < least) kept.pop_back();
  }
  auto weight = [&](int64_t i) { return std::exp((at(i) - largest) / choice.temperature); };
  auto sum = [&] {
    return std::accumulate(kept.begin(), kept.end(), 0.0, [&](double s, int64_t i) { return s + weight(i); });
  };
  if (choice.top_p < 1) {
    const double may_go = (1 - choice.top_p) * sum();
    double gone = 0;
    while (kept.size() > 1 && (gone += weight(kept.back())) <= may_go) kept.pop_back();
  }
  std::sort(kept.begin(), kept.end());
  const double limit = choice.u * sum();
  double passed = 0;
  for (int64_t i : kept)
    if ((passed += weight(i)) > limit) return i;
  return kept.back(); // reached only if rounding makes the sum smaller than `limit`
}

Tensor sample(ir::SampleOp, const Inputs &operands) {
  const Tensor &logits = operands[0], &seed = operands[4];
  const int64_t rows = logits.shape[0], columns = logits.shape[1];
  const auto word = [](const Tensor &t, int64_t i) { return static_cast<uint32_t>(t.ints()[i]); };
  Tensor out = Tensor::zeros(Kind::i32, {rows});
  for (int64_t b = 0; b < rows; ++b) {
    const PhiloxCounter counter = {word(operands[5], b), 0, word(operands[6], b), 0};
    const uint32_t drawn = philox4x32(counter, {word(seed, 0), word(seed, 1)})[0] >> 8;
    const Choice choice{operands[1].data()[b], operands[3].data()[b], operands[2].ints()[b], drawn * 0x1p-24};
    out.ints()[b] =
        static_cast<int32_t>(draw({logits.data() + b * columns, static_cast<size_t>(columns)}, choice));
  }
  return out;
}

} // namespace

void addSample(OpTable &table) { table.add<ir::SampleOp>(sample); }

} // namespace linnet::reference
