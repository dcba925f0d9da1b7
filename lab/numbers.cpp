#include "lab/numbers.h"

#include "ir/Shapes.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <random>

using namespace mlir;

namespace linnet::lab {
namespace {
using namespace ir;
using reference::Kind;
using reference::Named;
using reference::Tensor;

/// Sizes of the dynamic dimensions of one entry.
class Sizes {
public:
  explicit Sizes(func::FuncOp function) : function(function) {}

  Result<std::vector<int64_t>> of(RankedTensorType type) {
    std::vector<int64_t> shape;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        shape.push_back(type.getDimSize(i));
        continue;
      }
      StringAttr name = dimName(type, i);
      auto bound = name ? boundOf(function, name) : std::nullopt;
      if (!bound)
        return errorf("@{}: a dimension of {} has no bound", function.getName().str(), describe(type));
      auto [found, fresh] = sizes.try_emplace(name.str(), 0);
      // The first names are the outer ones (batch, seq); later ones are capacities.
      constexpr int64_t kWanted[] = {2, 3, 8};
      if (fresh) found->second = std::min(*bound, kWanted[std::min<size_t>(sizes.size() - 1, 2)]);
      shape.push_back(found->second);
    }
    return shape;
  }

private:
  func::FuncOp function;
  std::map<std::string, int64_t> sizes;
};

/// The integers that every reader of the argument allows: [low, high].
struct Range {
  int64_t low = 0, high = 3;
  void atMost(int64_t value) { high = std::max(low, std::min(high, value)); }
};

Range rangeOf(BlockArgument argument, Sizes &sizes) {
  Range range;
  auto dim = [&](Value value, int64_t i) -> int64_t {
    auto shape = sizes.of(llvm::cast<RankedTensorType>(value.getType()));
    return shape ? (*shape)[i] : 1;
  };
  bool ids = false;
  for (Operation *user : argument.getUsers()) {
    if (auto embed = llvm::dyn_cast<EmbedOp>(user)) {
      int64_t rows = dim(embed.getTable(), 0);
      range.high = ids ? std::min(range.high, rows - 1) : rows - 1;
      ids = true;
    } else if (auto pool = llvm::dyn_cast<PoolOp>(user)) {
      range.low = 1;
      range.atMost(dim(pool.getOperand(), 1));
    } else if (auto append = llvm::dyn_cast<CacheAppendOp>(user)) {
      range.atMost(dim(append.getCache(), 2) - dim(append.getEntries(), 1));
    } else if (auto attention = llvm::dyn_cast<AttentionOp>(user)) {
      if (argument == attention.getLength()) range.low = 1, range.atMost(dim(attention.getQ(), 1));
    } else if (auto mask = llvm::dyn_cast<MaskOp>(user)) {
      if (argument == mask.getLength()) range.low = 1, range.atMost(dim(mask.getOperand(), 2));
    }
  }
  return range;
}

Tensor draw(RankedTensorType type, std::vector<int64_t> shape, Range range, std::mt19937_64 &random) {
  Type element = type.getElementType();
  Kind kind = element.isF32()        ? Kind::f32
              : element.isF16()      ? Kind::f16
              : element.isBF16()     ? Kind::bf16
              : element.isInteger(8) ? Kind::i8
                                     : Kind::i32;
  Tensor tensor = Tensor::zeros(kind, std::move(shape));
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<int64_t> whole(range.low, range.high);
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (tensor.isFloat())
      tensor.data()[i] = reference::rounded(kind, normal(random));
    else
      tensor.ints()[i] = static_cast<int32_t>(whole(random));
  return tensor;
}

Difference difference(const Tensor &found, const Tensor &expected) {
  Difference result;
  if (found.shape != expected.shape || found.isFloat() != expected.isFloat()) {
    result.worst = HUGE_VAL;
    return result;
  }
  auto at = [](const Tensor &x, int64_t i) {
    return x.isFloat() ? double(x.data()[i]) : double(x.ints()[i]);
  };
  double largest = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    if (double value = std::fabs(at(expected, i)); std::isfinite(value)) largest = std::max(largest, value);
  for (int64_t i = 0; i < expected.size(); ++i) {
    double a = at(found, i), b = at(expected, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double worst = !found.isFloat() ? 1 : std::fabs(a - b) / std::max(largest, 1e-30);
    if (!std::isfinite(worst)) worst = HUGE_VAL;
    if (worst > result.worst) result = {worst, "", "", i, a, b};
  }
  return result;
}

} // namespace

Result<std::vector<Call>> drawCalls(ModuleOp module, uint64_t seed) {
  std::vector<Call> calls;
  std::mt19937_64 random(seed);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!isEntry(function)) continue;
    Call call{function.getName().str(), {}, {}};
    Sizes sizes(function);
    for (BlockArgument argument : function.getArguments()) {
      auto type = llvm::dyn_cast<RankedTensorType>(argument.getType());
      if (!type) return errorf("@{}: argument {} is no tensor", call.entry, argument.getArgNumber());
      LINNET_ASSIGN(std::vector<int64_t> shape, sizes.of(type));
      std::string state = argState(function, argument.getArgNumber()).str();
      Tensor tensor = draw(type, std::move(shape), rangeOf(argument, sizes), random);
      if (state.empty())
        call.inputs[argName(function, argument.getArgNumber()).str()] = std::move(tensor);
      else
        call.states[state] = std::move(tensor);
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

Result<Outcome> runCalls(ModuleOp module, const std::vector<Call> &calls,
                         const reference::WeightProvider &weights) {
  Outcome outcome;
  for (const Call &call : calls) {
    // A pass may have narrowed a state's type: what it holds is rounded to it.
    Named states = call.states;
    auto function = module.lookupSymbol<func::FuncOp>(call.entry);
    if (!function) return errorf("@{} is gone", call.entry);
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto found = states.find(argState(function, i).str());
      auto type = llvm::dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
      if (found == states.end() || !type || !found->second.isFloat()) continue;
      Kind kind = type.getElementType().isBF16()  ? Kind::bf16
                  : type.getElementType().isF16() ? Kind::f16
                                                  : Kind::f32;
      Tensor as = Tensor::zeros(kind, found->second.shape);
      std::transform(found->second.floats->begin(), found->second.floats->end(), as.data(),
                     [&](float x) { return reference::rounded(kind, x); });
      found->second = std::move(as);
    }
    LINNET_ASSIGN(Named outputs, reference::run(module, call.entry, call.inputs, states, weights));
    for (auto &[name, tensor] : states) outputs["state " + name] = tensor;
    outcome[call.entry] = std::move(outputs);
  }
  return outcome;
}

Difference compare(const Outcome &found, const Outcome &expected) {
  Difference worst;
  for (const auto &[entry, outputs] : expected)
    for (const auto &[name, tensor] : outputs) {
      auto in = found.find(entry);
      Difference here;
      if (in == found.end() || !in->second.count(name))
        here.worst = HUGE_VAL;
      else
        here = difference(in->second.find(name)->second, tensor);
      if (here.worst <= worst.worst) continue;
      worst = here;
      worst.entry = entry, worst.output = name;
    }
  return worst;
}

std::string Difference::text() const {
  return fmt::format("@{} {}[{}]: {:.9g} where {:.9g} was, {:.2g} of the largest", entry, output, index,
                     found, expected, worst);
}

} // namespace linnet::lab
