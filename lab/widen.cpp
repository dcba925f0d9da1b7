#include "lab/widen.h"

#include "backends/reference/weights.h"
#include "ir/Linnet.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

using namespace mlir;

namespace linnet::lab {
namespace {
using namespace ir;
using reference::Tensor;
using reference::WeightProvider;

/// Half of the smallest number that is not 0.
constexpr double kSmallestF16 = 0x1p-25, kSmallestBF16 = 0x1p-134;

Type elementOf(Type type) {
  auto tensor = llvm::dyn_cast<RankedTensorType>(type);
  return tensor ? tensor.getElementType() : type;
}
Type withElement(Type type, Type element) {
  auto tensor = llvm::dyn_cast<RankedTensorType>(type);
  return tensor ? RankedTensorType::get(tensor.getShape(), element, tensor.getEncoding()) : element;
}

/// The param of a weight, through relayouts.
ParamOp paramOf(Value value) {
  while (auto relayout = value ? value.getDefiningOp<RelayoutOp>() : RelayoutOp())
    value = relayout.getOperand();
  return value ? value.getDefiningOp<ParamOp>() : ParamOp();
}

class Widening {
public:
  Widened run(ModuleOp module) {
    result.module = module.clone();
    f32 = Float32Type::get(module.getContext());
    for (auto function : result.module->getOps<func::FuncOp>())
      if (function->hasAttr("linnet.weight")) removeQuantize(function);
    for (auto function : result.module->getOps<func::FuncOp>())
      if (!function.isExternal()) widenFunction(function);
    return std::move(result);
  }

private:
  /// Makes a function that returns an integer matrix return its source matrix.
  void removeQuantize(func::FuncOp function) {
    if (function.isExternal()) return;
    auto returned = function.getBody().front().getTerminator()->getOperand(0).getDefiningOp<QuantizeOp>();
    if (!returned) return;
    quantized[function.getName().str()] = {int64_t(returned.getBits()),
                                           int64_t(returned.getDim()),
                                           int64_t(returned.getGroup()),
                                           returned.getAsymmetric(),
                                           {}};
    returned.getResult().replaceAllUsesWith(returned.getOperand());
    returned.erase();
  }

  void widenFunction(func::FuncOp function) {
    Block &body = function.getBody().front();
    OpRounding ignored;
    for (BlockArgument argument : body.getArguments()) widenValue(argument, ignored);
    for (Operation &op : body.without_terminator()) widenOp(op);
    function.setType(FunctionType::get(function.getContext(), body.getArgumentTypes(),
                                       body.getTerminator()->getOperandTypes()));
  }

  void widenValue(Value value, OpRounding &rounding) {
    Type element = elementOf(value.getType());
    if (!element.isF16() && !element.isBF16()) return;
    rounding.unit = std::max(rounding.unit, element.isF16() ? kUnitF16 : kUnitBF16);
    rounding.smallest = std::max(rounding.smallest, element.isF16() ? kSmallestF16 : kSmallestBF16);
    value.setType(withElement(value.getType(), f32));
    result.narrow = true;
  }

  void widenOp(Operation &op) {
    OpRounding rounding;
    op.walk([&](Operation *inner) { // the op, and the ops inside a linnet.fused
      for (Region &region : inner->getRegions())
        for (BlockArgument argument : region.getArguments()) widenValue(argument, rounding);
      for (Value value : inner->getResults()) widenValue(value, rounding);
    });
    if (auto param = llvm::dyn_cast<ParamOp>(op)) {
      auto found = quantized.find(param.getName().str());
      if (found != quantized.end()) {
        rounding.quantized = found->second;
        toFloats(param.getResult());
      }
    } else if (auto relayout = llvm::dyn_cast<RelayoutOp>(op)) {
      if (floats.contains(relayout.getOperand())) toFloats(relayout.getResult());
    } else if (auto matmul = llvm::dyn_cast<MatmulOp>(op)) {
      rounding.integers = bool(matmul.getScale());
      rounding.int8_rows = static_cast<int64_t>(matmul.getInt8Rows());
      rounding.int8_group = static_cast<int64_t>(matmul.getInt8Group());
      matmul.setInt8Rows(0);
      matmul.setInt8Group(0);
      if (floats.contains(matmul.getRhs())) {
        dropScale(matmul.getRhs(), matmul.getScale(), matmul.getScaleMutable());
        matmul.setGroup(0);
        matmul.setAsymmetric(false);
      }
    } else if (auto embed = llvm::dyn_cast<EmbedOp>(op)) {
      if (floats.contains(embed.getTable())) {
        dropScale(embed.getTable(), embed.getScale(), embed.getScaleMutable());
        embed.setGroup(0);
        embed.setAsymmetric(false);
      }
    } else if (auto attention = llvm::dyn_cast<AttentionOp>(op)) {
      rounding.bf16_rows = static_cast<int64_t>(attention.getBf16Rows());
      attention.setBf16Rows(0);
    }
    const bool lost = rounding.unit || rounding.integers || rounding.int8_rows || rounding.bf16_rows;
    result.narrow |= lost || rounding.quantized;
    if (lost || rounding.quantized) result.from[&op] = rounding;
  }

  void toFloats(Value value) {
    value.setType(withElement(value.getType(), f32));
    floats.insert(value);
  }

  /// Removes the scale and records it with the param.
  void dropScale(Value integers, Value scale, MutableOperandRange operand) {
    ParamOp param = paramOf(integers), by = paramOf(scale);
    if (param && by)
      if (auto found = result.from.find(param); found != result.from.end() && found->second.quantized)
        found->second.quantized->scales.insert(by.getName().str());
    operand.clear();
  }

  Widened result;
  Type f32;
  std::map<std::string, Quantized> quantized; ///< weight functions by name
  llvm::DenseSet<Value> floats;               ///< values that were integers
};

/// The groups of a matrix in linnet.quantize_scale. Their table has one entry per group, or two if `asymmetric`.
struct Groups {
  Groups(const std::vector<int64_t> &shape, const Quantized &of)
      : rows(shape[0]), columns(shape[1]), by_rows(of.dim == 0),
        size(std::max<int64_t>(of.group ? of.group : shape[of.dim], 1)),
        along((shape[of.dim] + size - 1) / size), each(of.asymmetric ? 2 : 1),
        entries(each * along * shape[1 - of.dim]), minimum(by_rows ? columns : 1) {}

  /// Calls f(element, first entry of its group) in row-major order.
  template <class F> void forEach(F f) const {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0, group = 0, left = size; column < columns; ++column) {
        f(row * columns + column,
          by_rows ? row / size * each * columns + column : (row * along + group) * each);
        if (!by_rows && --left == 0) ++group, left = size;
      }
  }
  int64_t rows, columns;
  bool by_rows;
  int64_t size, along;   ///< of a group; groups along the dimension
  int64_t each, entries; ///< of a group; of the table
  int64_t minimum;       ///< the number of entries from a group's scale to its minimum
};

} // namespace

Widened widen(ModuleOp module) { return Widening().run(module); }

Tensor quantizationErrors(const Tensor &matrix, const Quantized &quantized) {
  const Groups groups(matrix.shape, quantized);
  std::vector<float> largest(static_cast<size_t>(groups.entries)); // of a group, with its sign
  const float *values = matrix.data();
  Tensor errors = Tensor::zeros(reference::Kind::f32, matrix.shape);
  if (quantized.asymmetric) {
    constexpr float kNone = std::numeric_limits<float>::infinity();
    constexpr double kStepsOf4 = 15;
    std::vector<float> smallest(largest.size(), kNone);
    std::fill(largest.begin(), largest.end(), -kNone);
    groups.forEach([&](int64_t i, int64_t group) {
      largest[group] = std::max(largest[group], values[i]);
      smallest[group] = std::min(smallest[group], values[i]);
    });
    groups.forEach([&](int64_t i, int64_t group) {
      errors.data()[i] = static_cast<float>((double(largest[group]) - smallest[group]) / kStepsOf4 / 2);
    });
    return errors;
  }
  groups.forEach([&](int64_t i, int64_t group) {
    if (std::fabs(values[i]) > std::fabs(largest[group])) largest[group] = values[i];
  });
  constexpr double kStepsOf8 = 127, kStepsOf4 = 8, kOtherEndOf4 = 7;
  const bool four = quantized.bits == 4;
  groups.forEach([&](int64_t i, int64_t group) {
    const double most = largest[group], x = values[i];
    const double step = std::fabs(most) / (four ? kStepsOf4 : kStepsOf8);
    const double clamped = four && x * most < 0 ? std::fabs(x) - kOtherEndOf4 * step : 0;
    errors.data()[i] = static_cast<float>(std::max(step / 2, clamped));
  });
  return errors;
}

namespace {

/// One line about the first element of `integers` times `scale` that differs too much from `matrix`; "" if
/// there is none.
std::string wrongElement(const Tensor &integers, const Tensor &scale, const Tensor &matrix,
                         const Quantized &quantized) {
  const Groups groups(matrix.shape, quantized);
  if (matrix.shape != integers.shape || integers.isFloat() || scale.size() != groups.entries)
    return fmt::format("is {} with scales {}, made from {}", describe(integers), describe(scale),
                       describe(matrix));
  const Tensor errors = quantizationErrors(matrix, quantized);
  constexpr double kSlack = 0x1p-20; // the scale is rounded to f32, and so is the product
  std::string wrong;
  groups.forEach([&](int64_t i, int64_t group) {
    const double x = matrix.data()[i], integer = integers.ints()[i], by = scale.data()[group];
    const double least = quantized.asymmetric ? scale.data()[group + groups.minimum] : 0;
    const double stored = quantized.asymmetric ? (integer + 8) * by + least : integer * by;
    const double size = std::max(std::fabs(x), std::fabs(least));
    if (wrong.empty() && !(std::fabs(stored - x) <= errors.data()[i] + kSlack * size))
      wrong = fmt::format(
          "element {} is stored as {:.9g}, expected {:.9g} within {:.2g}, the rounding of {} bits", i, stored,
          x, errors.data()[i], quantized.bits);
  });
  return wrong;
}

} // namespace

Result<std::string> wrongIntegers(ModuleOp module, const Widened &widened, const WeightProvider &weights) {
  const WeightProvider stored = reference::withComputedWeights(module, weights),
                       meant = reference::withComputedWeights(*widened.module, weights);
  SmallVector<ParamOp> params;
  ModuleOp(*widened.module).walk([&](ParamOp param) { params.push_back(param); });
  std::set<std::string> seen;
  for (ParamOp param : params) {
    const OpRounding *rounding = widened.of(param);
    if (!rounding || !rounding->quantized) continue;
    const std::string name = param.getName().str();
    for (const std::string &by : rounding->quantized->scales) {
      if (!seen.insert(name + " " + by).second) continue;
      LINNET_ASSIGN(const Tensor matrix, meant(name));
      LINNET_ASSIGN(const Tensor integers, stored(name));
      LINNET_ASSIGN(const Tensor scale, stored(by));
      if (std::string wrong = wrongElement(integers, scale, matrix, *rounding->quantized); !wrong.empty())
        return fmt::format("weight \"{}\" with scale \"{}\": {}", name, by, wrong);
    }
  }
  return std::string();
}

} // namespace linnet::lab
