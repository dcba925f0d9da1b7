#include "lab/rounding.h"

#include "backends/reference/interpreter.h"
#include "backends/reference/ops.h"
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

/// Number of runs with different draws. Each run moves all elements of an output, so three are enough.
constexpr int kRuns = 3;
/// Factor of the bounds, because three draws may all be small, especially for an output with few elements.
constexpr double kMargin = 8;
/// Half a step of a row that is rounded to 16 bits, relative to its largest element.
constexpr double kHalfStep16 = 0.5 / 32512;

/// Whether a device may round the op's result differently: ops with a cost, those of training among them. Ops that only
/// move elements have none.
bool computes(Operation *op) { return llvm::isa<FlopsOpInterface>(op); }

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

  /// Moves the inputs of a call like results.
  void moveAll(Named &tensors) {
    for (auto &[name, tensor] : tensors)
      if (tensor.isFloat()) move(tensor, [](int64_t, double x) { return kUnitF32 * std::fabs(x); });
  }

private:
  void roundInputs(Operation *op, const OpRounding &lost, std::vector<Tensor> &inputs) {
    if (auto matmul = llvm::dyn_cast<MatmulOp>(op); matmul && lost.integers && !matmul.getTransposeLhs()) {
      const int64_t rows = inputs[0].size() / std::max<int64_t>(inputs[0].shape.back(), 1);
      const bool bytes = lost.int8_rows && rows >= lost.int8_rows;
      if (bytes || rounding.device > 0) bytes ? moveBytes(inputs[0], lost.int8_group) : moveRows(inputs[0]);
    } else if (llvm::isa<AttentionOp>(op) && lost.bf16_rows && inputs[0].shape[1] >= lost.bf16_rows) {
      // softmax's factors are rounded, too: counted as a second rounding of the values.
      for (int operand : {0, 1, 2})
        move(inputs[operand],
             [&](int64_t, double x) { return (operand == 2 ? 2 : 1) * kUnitBF16 * std::fabs(x); });
    }
  }

  /// Half a step of rows that are rounded to 8 bits in groups of `group` elements (0: the whole row).
  void moveBytes(Tensor &tensor, int64_t group) {
    const int64_t width = tensor.shape.back(), size = std::max<int64_t>(group ? group : width, 1);
    const int64_t groups = (width + size - 1) / size;
    const std::vector<double> of_rows = largestOfGroups(tensor, width),
                              of_groups = largestOfGroups(tensor, size);
    move(tensor, [&](int64_t i, double) {
      const int64_t row = i / width;
      return reference::int8Step(of_rows[row], of_groups[row * groups + i % width / size]) / 2;
    });
  }
  /// Half a step of rows that are rounded to 16 bits.
  void moveRows(Tensor &tensor) {
    const int64_t width = tensor.shape.back();
    const std::vector<double> largest = largestOfGroups(tensor, width);
    move(tensor, [&](int64_t i, double) { return kHalfStep16 * largest[i / width]; });
  }
  /// The largest magnitude of each group of `size` elements of a row.
  static std::vector<double> largestOfGroups(const Tensor &tensor, int64_t size) {
    const int64_t width = tensor.shape.back(), groups = width ? (width + size - 1) / size : 0;
    std::vector<double> largest(static_cast<size_t>(width ? tensor.size() / width * groups : 0));
    for (int64_t i = 0; i < tensor.size(); ++i) {
      double &of_group = largest[i / width * groups + i % width / size];
      of_group = std::max(of_group, double(std::fabs(tensor.data()[i])));
    }
    return largest;
  }

  /// Moves each finite element by `size`, up or down. Copies the elements first if they are shared.
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

/// Raises the bounds to the largest finite distance of each tensor.
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
