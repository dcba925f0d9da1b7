// The interpreter's table of ops. Each file of ops/ has the loops of some ops, and adds them. The verifier and run()
// check shapes before. Conditions that depend on values, such as an id out of range, are errors here.
#pragma once
#include "backends/reference/tensor.h"
#include "ir/Linnet.h"

#include "llvm/ADT/StringMap.h"

#include <cassert>
#include <cmath>

namespace linnet::reference {

/// The operands of an op, and the weights of its module.
struct Inputs {
  std::span<const Tensor> operands;
  const WeightProvider &weights;

  const Tensor &operator[](size_t i) const { return operands[i]; }
};

/// How each op is evaluated, by its name.
class OpTable {
public:
  using Results = Result<std::vector<Tensor>>;

  /// `f(op, inputs)` returns the result as a Tensor or Result<Tensor>, or all results as a vector or a Result of one.
  template <class Op, class F> void add(F f) {
    auto evaluate = [f](mlir::Operation *op, const Inputs &x) -> Results {
      return results(f(llvm::cast<Op>(op), x));
    };
    const bool first = functions.try_emplace(Op::getOperationName(), std::move(evaluate)).second;
    assert(first && "two files add this op");
    (void)first;
  }
  /// `op`'s results; an error if no file added the op.
  Results evaluate(mlir::Operation *op, const Inputs &inputs) const;

private:
  static Results results(Tensor one) { return std::vector<Tensor>{std::move(one)}; }
  static Results results(std::vector<Tensor> all) { return all; }
  static Results results(Results all) { return all; }
  static Results results(Result<Tensor> one) {
    if (!one) return one.error();
    return results(std::move(*one));
  }

  llvm::StringMap<std::function<Results(mlir::Operation *, const Inputs &)>> functions;
};

/// The table with the ops of every file in ops/.
const OpTable &opTable();

/// Returns the optional operands of an op one after another, from number `first` on.
class Optionals {
public:
  Optionals(const Inputs &inputs, size_t first) : inputs(inputs), next(first) {}
  /// The next operand if the op has it: `there` is null if it has not.
  const Tensor *take(mlir::Value there) { return there ? &inputs[next++] : nullptr; }

private:
  const Inputs &inputs;
  size_t next;
};

/// How a matrix of integers is scaled (linnet.quantize_scale). Groups of `group` elements along dimension `dim` share a
/// scale. If group is 0, there is one group.
struct ScaleForm {
  int64_t group = 0, dim = 0;
  bool asymmetric = false;
};
/// The form of a linnet.quantize or linnet.quantize_scale.
template <class Op> ScaleForm formOf(Op op) {
  return {static_cast<int64_t>(op.getGroup()), static_cast<int64_t>(op.getDim()), op.getAsymmetric()};
}
/// The value of an integer's unit where a group of a row is rounded to 8 bits (linnet.matmul's int8_group).
double int8Step(double largest_of_row, double largest_of_group);
Tensor quantizeScale(const Tensor &x, int64_t bits, const ScaleForm &form);
Tensor quantize(const Tensor &x, const Tensor &scale, int64_t bits, const ScaleForm &form);

/// The rule for which keys a query sees.
struct Sight {
  const Tensor *past, *length;
  bool causal;
  int64_t window = 0; ///< number of keys up to the query's own position; 0 means all
  struct Keys {
    int64_t begin, end;
  };
  /// The keys [begin, end) that query t of `seq` in row b sees, or an error if past is negative. begin <= end <=
  /// capacity.
  Result<Keys> keys(int64_t b, int64_t t, int64_t seq, int64_t capacity) const;
};
/// How the product of a query and a key becomes a score. cap = 0 means no cap.
struct Scores {
  double scale, cap = 0;
  /// `product` includes the scale.
  double capped(double product) const { return cap > 0 ? cap * std::tanh(product / cap) : product; }
  /// The derivative of capped() at the point where it returns `score`.
  double slope(double score) const { return cap > 0 ? 1 - score / cap * (score / cap) : 1; }
};
template <class Op> Scores scoresOf(Op op) {
  return {op.getScale().convertToFloat(), op.getCap().convertToFloat()};
}
template <class Op> int64_t windowOf(Op op) { return static_cast<int64_t>(op.getWindow()); }

Tensor reduce(ir::ReduceKind kind, const Tensor &x, int64_t dim);
Result<std::vector<Tensor>> elementwise(mlir::Operation *op, std::span<const Tensor> operands);

/// The interpreter's kind for an element type of the dialect.
Kind kindOf(mlir::Type element);

} // namespace linnet::reference
