#include "lab/numbers.h"

#include "ir/Shapes.h"
#include "support/error.h"

#include "llvm/ADT/DenseMap.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

using namespace mlir;

namespace linnet::lab {
namespace {
using namespace ir;
using reference::Kind;
using reference::Named;
using reference::Tensor;

/// Sizes of the dynamic dimensions of one entry. The first two names are the outer dimensions (batch, seq),
/// whose product is the number of rows of matmuls. Later names are capacities (context).
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
      if (fresh) {
        found->second = std::min(*bound, wanted());
        order.push_back(found->second);
      }
      shape.push_back(found->second);
    }
    return shape;
  }

private:
  /// Size of the next name. There are eight rows: several sequences of several positions, as kernels for many rows
  /// need.
  int64_t wanted() {
    constexpr int64_t kRows = 8, kBatch = 2, kRoom = 2; // kRoom: cache entries after the new positions
    switch (order.size()) {
    case 0:
      return hasOneName() ? kRows : kBatch;
    case 1:
      return kRows / order[0];
    default:
      return kRoom * order[1];
    }
  }

  bool hasOneName() {
    std::set<std::string> names;
    for (Type type : function.getArgumentTypes())
      if (auto tensor = llvm::dyn_cast<RankedTensorType>(type))
        for (int64_t i = 0; i < tensor.getRank(); ++i)
          if (StringAttr name = tensor.isDynamicDim(i) ? dimName(tensor, i) : StringAttr())
            names.insert(name.str());
    return names.size() < 2;
  }

  func::FuncOp function;
  std::map<std::string, int64_t> sizes;
  std::vector<int64_t> order; ///< sizes in the order of their names
};

/// The integers that all readers of the argument accept: [low, high].
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
    } else if (auto rotary = llvm::dyn_cast<RotaryOp>(user)) {
      range.atMost(dim(rotary.getTable(), 0) - 1);
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
  // Numbers that bf16 and f16 can represent, so that a state has the same initial values after a pass narrows
  // it.
  auto narrow = [](double x) { return reference::rounded(Kind::f16, reference::rounded(Kind::bf16, x)); };
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (tensor.isFloat())
      tensor.data()[i] = narrow(normal(random));
    else
      tensor.ints()[i] = static_cast<int32_t>(whole(random));
  return tensor;
}

double at(const Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? double(tensor.data()[i]) : double(tensor.ints()[i]);
}

/// `floats` converted to the type of an argument.
Tensor as(RankedTensorType type, const Tensor &floats) {
  Type element = type.getElementType();
  Kind kind = element.isBF16() ? Kind::bf16 : element.isF16() ? Kind::f16 : Kind::f32;
  Tensor rounded = Tensor::zeros(kind, floats.shape);
  std::transform(floats.floats->begin(), floats.floats->end(), rounded.data(),
                 [&](float x) { return reference::rounded(kind, x); });
  return rounded;
}

void roundToArguments(func::FuncOp function, Named &inputs, Named &states) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto type = llvm::dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
    const std::string state = argState(function, i).str();
    Named &from = state.empty() ? inputs : states;
    auto found = from.find(state.empty() ? argName(function, i).str() : state);
    if (type && found != from.end() && found->second.isFloat()) found->second = as(type, found->second);
  }
}

/// The outputs of an entry that an argmax computes, possibly followed by reshapes.
llvm::DenseMap<Operation *, std::string> chosenOutputs(func::FuncOp function) {
  llvm::DenseMap<Operation *, std::string> chosen;
  for (auto [i, value] : llvm::enumerate(function.getBody().front().getTerminator()->getOperands())) {
    Operation *op = value.getDefiningOp();
    while (auto reshape = llvm::dyn_cast_if_present<ReshapeOp>(op)) op = reshape.getOperand().getDefiningOp();
    StringRef name = resultName(function, static_cast<unsigned>(i));
    if (llvm::isa_and_present<ArgmaxOp>(op)) chosen[op] = name.empty() ? std::to_string(i) : name.str();
  }
  return chosen;
}

/// The member that ranks differences: `excess`, or `worst` if there are no bounds.
using Rank = double Difference::*;

Difference floatDifference(const Tensor &found, const Tensor &expected, double bound, Rank rank) {
  Difference result;
  const double largest = std::max(largestOf(expected), 1e-30);
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double a = at(found, i), b = at(expected, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double apart = std::isfinite(a - b) ? std::fabs(a - b) : HUGE_VAL;
    Difference here{apart / largest, apart / bound, "", "", i, a, b};
    if (!(here.*rank <= result.*rank)) result = here;
  }
  return result;
}

/// `scores` is the tensor from which the expected integers were chosen; null if unknown.
Difference integerDifference(const Tensor &found, const Tensor &expected, const Tensor *scores, double bound,
                             Rank rank) {
  Difference result;
  const int64_t choices = scores && !scores->shape.empty() ? scores->shape.back() : 0;
  const double largest = choices ? std::max(largestOf(*scores), 1e-30) : 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const int64_t a = found.ints()[i], b = expected.ints()[i];
    if (a == b) continue;
    Difference here{1, HUGE_VAL, "", "", i, double(a), double(b)};
    if (choices && a >= 0 && a < choices && b >= 0 && b < choices) {
      const double gap = double(scores->data()[i * choices + b]) - scores->data()[i * choices + a];
      here.worst = gap / largest;
      if (gap <= 0)
        here.excess = 0; // equal scores
      else if (std::isfinite(gap))
        here.excess = gap / (2 * bound); // both scores may have an error
    }
    if (!(here.*rank <= result.*rank)) result = here;
  }
  return result;
}

template <class Map, class Value>
Value valueOr(const std::map<std::string, Map> &from, const std::string &entry, const std::string &name,
              Value missing) {
  auto found = from.find(entry);
  if (found == from.end()) return missing;
  auto inner = found->second.find(name);
  return inner == found->second.end() ? missing : Value(inner->second);
}

const Tensor *find(const Tensors &from, const std::string &entry, const std::string &name) {
  auto found = from.find(entry);
  if (found == from.end()) return nullptr;
  auto inner = found->second.find(name);
  return inner == found->second.end() ? nullptr : &inner->second;
}

Difference difference(const Tensor *found, const Tensor &expected, const Tensor *scores, double bound,
                      double score_bound, Rank rank) {
  if (!found || found->shape != expected.shape || found->isFloat() != expected.isFloat())
    return {HUGE_VAL, HUGE_VAL, "", "", 0, 0, 0};
  return expected.isFloat() ? floatDifference(*found, expected, bound, rank)
                            : integerDifference(*found, expected, scores, score_bound, rank);
}

Difference compareBy(const Outcome &found, const Outcome &expected, const Bounds &bounds, Rank rank) {
  Difference worst;
  for (const auto &[entry, outputs] : expected.values)
    for (const auto &[name, tensor] : outputs) {
      Difference here = difference(
          find(found.values, entry, name), tensor, find(expected.scores, entry, name),
          valueOr(bounds.values, entry, name, 0.0), valueOr(bounds.scores, entry, name, 0.0), rank);
      if (here.*rank <= worst.*rank) continue;
      worst = here;
      worst.entry = entry, worst.output = name;
    }
  return worst;
}

} // namespace

double largestOf(const Tensor &tensor) {
  double largest = 0;
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (double value = std::fabs(at(tensor, i)); std::isfinite(value)) largest = std::max(largest, value);
  return largest;
}

Result<std::vector<Call>> drawCalls(ModuleOp module, uint64_t seed) {
  std::vector<Call> calls;
  std::mt19937_64 random(seed);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!isEntry(function)) continue;
    Call call{function.getName().str(), {}, {}};
    Sizes sizes(function);
    for (BlockArgument argument : function.getArguments()) {
      auto type = llvm::dyn_cast<RankedTensorType>(argument.getType());
      if (!type) return errorf("@{}: argument {} is not a tensor", call.entry, argument.getArgNumber());
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

Result<std::vector<Outcome>> interpret(ModuleOp module, const Rounds &rounds,
                                       const reference::WeightProvider &weights, const Evaluator &evaluator) {
  std::vector<Outcome> outcomes;
  Tensors carried;
  for (const std::vector<Call> &calls : rounds) {
    Outcome outcome;
    for (const Call &call : calls) {
      auto function = module.lookupSymbol<func::FuncOp>(call.entry);
      if (!function || function.isExternal()) return errorf("@{} is gone", call.entry);
      Named &states = carried.try_emplace(call.entry, call.states).first->second, inputs = call.inputs;
      roundToArguments(function, inputs, states);
      const auto chosen = chosenOutputs(function);
      reference::RunOptions options;
      options.evaluator = [&](Operation *op, std::span<const Tensor> operands,
                              const reference::WeightProvider &provider) -> Result<std::vector<Tensor>> {
        if (auto output = chosen.find(op); output != chosen.end())
          outcome.scores[call.entry][output->second] = operands[0];
        return evaluator ? evaluator(op, operands, provider) : reference::evaluate(op, operands, provider);
      };
      LINNET_ASSIGN(Named outputs, reference::run(module, call.entry, inputs, states, weights, options));
      for (const auto &[name, tensor] : states) outputs["state " + name] = tensor;
      outcome.values[call.entry] = std::move(outputs);
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

Result<Outcome> interpret(ModuleOp module, const std::vector<Call> &calls,
                          const reference::WeightProvider &weights) {
  LINNET_ASSIGN(std::vector<Outcome> outcomes, interpret(module, Rounds{calls}, weights));
  return std::move(outcomes.front());
}

std::string notComparable(const Outcome &outcome) {
  for (const auto &[entry, outputs] : outcome.values)
    for (const auto &[name, tensor] : outputs)
      if (tensor.isFloat() && tensor.size() > 0 &&
          std::all_of(tensor.floats->begin(), tensor.floats->end(), [](float x) { return std::isnan(x); }))
        return fmt::format("@{} {}: every number is NaN, so there is nothing to compare", entry, name);
  return "";
}

Bounds boundsOf(const Outcome &outcome, double tolerance) {
  Bounds bounds;
  auto fill = [&](const Tensors &tensors, auto &into) {
    for (const auto &[entry, outputs] : tensors)
      for (const auto &[name, tensor] : outputs) into[entry][name] = tolerance * largestOf(tensor);
  };
  fill(outcome.values, bounds.values);
  fill(outcome.scores, bounds.scores);
  return bounds;
}

Bounds larger(const Bounds &a, const Bounds &b) {
  Bounds bounds = a;
  auto merge = [](auto &into, const auto &from) {
    for (const auto &[entry, outputs] : from)
      for (const auto &[name, bound] : outputs) into[entry][name] = std::max(into[entry][name], bound);
  };
  merge(bounds.values, b.values);
  merge(bounds.scores, b.scores);
  return bounds;
}

Difference compare(const Outcome &found, const Outcome &expected) {
  return compareBy(found, expected, {}, &Difference::worst);
}

Difference compare(const Outcome &found, const Outcome &expected, const Bounds &bounds) {
  return compareBy(found, expected, bounds, &Difference::excess);
}

std::string Difference::text() const {
  return fmt::format("@{} {}[{}]: {:.9g} where {:.9g} was, {:.2g} of the largest", entry, output, index,
                     found, expected, worst);
}

} // namespace linnet::lab
