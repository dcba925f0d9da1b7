#include "lab/rounding.h"

#include "backends/reference/interpreter.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <random>

using namespace mlir;

namespace linnet::lab {
namespace {
using namespace ir;
using reference::Named;
using reference::Tensor;

/// Runs with other draws. Each element of an output is moved in each, so that three say how far it goes.
constexpr int kRuns = 3;
/// Three draws may all be small, above all for an output of few elements.
constexpr double kMargin = 8;
/// An 8-bit row's rounding, and a 16-bit row's, beside which kernels multiply integers: half a step.
constexpr double kHalfStep8 = 0.5 / 127, kHalfStep16 = 0.5 / 32512;

/// Arithmetic whose sums a device may round otherwise; what only moves elements rounds nothing.
bool computes(Operation *op) {
  return llvm::isa<MatmulOp, AttentionOp, LayerNormOp, SoftmaxOp, ReduceOp, PoolOp, FusedOp,
                   ElementwiseOpInterface>(op);
}

class Disturbance {
public:
  Disturbance(const Widened &widened, const Rounding &rounding, uint64_t seed)
      : widened(widened), rounding(rounding), random(seed) {}

  Result<std::vector<Tensor>> operator()(Operation *op, std::span<const Tensor> operands,
                                         const reference::WeightProvider &weights) {
    const OpRounding *lost = rounding.types ? widened.of(op) : nullptr;
    std::vector<Tensor> inputs(operands.begin(), operands.end());
    if (lost) roundInputs(op, *lost, inputs);
    LINNET_ASSIGN(std::vector<Tensor> results, reference::evaluate(op, inputs, weights));
    for (Tensor &result : results) {
      if (!result.isFloat()) continue;
      const double device = computes(op) ? rounding.device * largestOf(result) : 0;
      Tensor integers;
      if (lost && lost->quantized) integers = quantizationErrors(result, *lost->quantized);
      const double unit = kUnitF32 + (lost ? lost->unit : 0), least = device + (lost ? lost->smallest : 0);
      move(result, [&](int64_t i, double x) {
        return unit * std::fabs(x) + least + (integers.floats ? double(integers.data()[i]) : 0.0);
      });
    }
    return results;
  }

  /// What a call brings is as exact as a result.
  void moveAll(Named &tensors) {
    for (auto &[name, tensor] : tensors)
      if (tensor.isFloat()) move(tensor, [](int64_t, double x) { return kUnitF32 * std::fabs(x); });
  }

private:
  void roundInputs(Operation *op, const OpRounding &lost, std::vector<Tensor> &inputs) {
    if (auto matmul = llvm::dyn_cast<MatmulOp>(op); matmul && lost.integers && !matmul.getTransposeLhs()) {
      const int64_t rows = inputs[0].size() / std::max<int64_t>(inputs[0].shape.back(), 1);
      const bool bytes = lost.int8_rows && rows >= lost.int8_rows;
      if (bytes || rounding.device > 0) moveRows(inputs[0], bytes ? kHalfStep8 : kHalfStep16);
    } else if (llvm::isa<AttentionOp>(op) && lost.bf16_rows && inputs[0].shape[1] >= lost.bf16_rows) {
      for (int operand : {0, 1, 2}) // the weights of the values are rounded, too: as if the values were twice
        move(inputs[operand],
             [&](int64_t, double x) { return (operand == 2 ? 2 : 1) * kUnitBF16 * std::fabs(x); });
    }
  }

  /// By so much of the largest element of each row.
  void moveRows(Tensor &tensor, double step) {
    const int64_t width = tensor.shape.back();
    std::vector<double> largest(static_cast<size_t>(width ? tensor.size() / width : 0));
    for (int64_t i = 0; i < tensor.size(); ++i)
      largest[i / width] = std::max(largest[i / width], double(std::fabs(tensor.data()[i])));
    move(tensor, [&](int64_t i, double) { return step * largest[i / width]; });
  }

  /// Each finite element by `size`, up or down. Elements may be shared: others keep theirs.
  template <class Size> void move(Tensor &tensor, Size size) {
    tensor.floats = std::make_shared<std::vector<float>>(*tensor.floats);
    constexpr int64_t kSignsOfDraw = 64;
    uint64_t signs = 0;
    for (int64_t i = 0, n = tensor.size(); i < n; ++i, signs >>= 1) {
      if (i % kSignsOfDraw == 0) signs = random();
      float &x = tensor.data()[i];
      if (!std::isfinite(x)) continue;
      const double by = size(i, x);
      x = static_cast<float>(signs & 1 ? x + by : x - by);
    }
  }

  const Widened &widened;
  const Rounding &rounding;
  std::mt19937_64 random;
};

/// The largest finite distance of each tensor, added to what `bounds` has from other runs.
void widenBounds(std::map<std::string, std::map<std::string, double>> &bounds, const Tensors &moved,
                 const Tensors &base) {
  for (const auto &[entry, outputs] : base)
    for (const auto &[name, tensor] : outputs) {
      double &bound = bounds[entry][name];
      auto in = moved.find(entry);
      if (!tensor.isFloat() || in == moved.end() || !in->second.count(name)) continue;
      const Tensor &other = in->second.find(name)->second;
      for (int64_t i = 0; i < std::min(tensor.size(), other.size()); ++i)
        if (double apart = std::fabs(double(other.data()[i]) - tensor.data()[i]); std::isfinite(apart))
          bound = std::max(bound, apart);
    }
}

} // namespace

Result<std::vector<Bounds>> roundingBounds(const Widened &widened, const Rounds &rounds,
                                           const reference::WeightProvider &weights,
                                           const Rounding &rounding) {
  LINNET_ASSIGN(const std::vector<Outcome> base, interpret(*widened.module, rounds, weights));
  std::vector<Bounds> moved(rounds.size()), bounds;
  for (int run = 0; run < kRuns; ++run) {
    Disturbance disturbance(widened, rounding, static_cast<uint64_t>(run));
    Rounds calls = rounds;
    for (std::vector<Call> &round : calls)
      for (Call &call : round) disturbance.moveAll(call.inputs), disturbance.moveAll(call.states);
    auto evaluator = [&](Operation *op, std::span<const Tensor> operands,
                         const reference::WeightProvider &provider) {
      return disturbance(op, operands, provider);
    };
    LINNET_ASSIGN(const std::vector<Outcome> outcomes, interpret(*widened.module, calls, weights, evaluator));
    for (size_t round = 0; round < rounds.size(); ++round) {
      widenBounds(moved[round].values, outcomes[round].values, base[round].values);
      widenBounds(moved[round].scores, outcomes[round].scores, base[round].scores);
    }
  }
  for (size_t round = 0; round < rounds.size(); ++round) {
    for (auto *by_entry : {&moved[round].values, &moved[round].scores})
      for (auto &[entry, outputs] : *by_entry)
        for (auto &[name, bound] : outputs) bound *= kMargin;
    // A single rounding of the largest element is never a fault.
    constexpr double kOneRounding = 2 * kUnitF32;
    bounds.push_back(larger(moved[round], boundsOf(base[round], kOneRounding)));
  }
  return bounds;
}

} // namespace linnet::lab
