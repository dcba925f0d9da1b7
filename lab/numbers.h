// Runs a module on random inputs and compares the results, to test passes.
#pragma once
#include "backends/reference/interpreter.h"
#include "support/result.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <string>
#include <vector>

namespace linnet::lab {

/// Inputs and states of one call of each entry.
struct Call {
  std::string entry;
  reference::Named inputs, states;
};

/// Draws a call of each entry from `seed`. Dynamic dimensions are small (at most 2 to 8, and within their
/// bounds). Floats are normally distributed. Integers are valid for the ops that read them: ids below a
/// table's rows, a past that leaves room in the caches, a length from 1 to T. Errors: an argument that is not
/// a tensor, or a dimension without a bound.
Result<std::vector<Call>> drawCalls(mlir::ModuleOp module, uint64_t seed);

/// Consecutive calls. The first call of an entry begins with the call's states (zero if absent), each later
/// one with the states that the previous one left.
using Rounds = std::vector<std::vector<Call>>;

/// Tensors by entry and name.
using Tensors = std::map<std::string, reference::Named>;

/// The results of one round of calls.
struct Outcome {
  Tensors values; ///< outputs and new states ("state k.0")
  Tensors scores; ///< by the name of an output that is a linnet.argmax: its operand
};

using Evaluator = decltype(reference::RunOptions::evaluator);
/// Runs the calls in the interpreter. Floats of a call are rounded to the type of their argument.
Result<std::vector<Outcome>> interpret(mlir::ModuleOp module, const Rounds &rounds,
                                       const reference::WeightProvider &weights,
                                       const Evaluator &evaluator = {});
Result<Outcome> interpret(mlir::ModuleOp module, const std::vector<Call> &calls,
                          const reference::WeightProvider &weights);
/// The largest magnitude of a finite element; 0 if there is none.
double largestOf(const reference::Tensor &tensor);
/// One line about the first float output that is NaN throughout; "" if there is none.
std::string notComparable(const Outcome &outcome);

/// By entry and output: the allowed error of each value and each score.
struct Bounds {
  std::map<std::string, std::map<std::string, double>> values, scores;
};
/// `tolerance` times the largest magnitude of each tensor.
Bounds boundsOf(const Outcome &outcome, double tolerance);
/// The larger of both for each tensor.
Bounds larger(const Bounds &a, const Bounds &b);

/// The worst difference between two outcomes.
struct Difference {
  /// Relative to the largest magnitude of its tensor. For tokens, the score of the expected one minus that of
  /// the found one. For other integers, 1 if any differs. Infinite if shapes differ or only one side is NaN.
  double worst = 0;
  double excess = 0;         ///< difference divided by its bound; above 1 it is a fault. 0 for equal numbers.
  std::string entry, output; ///< location of the difference
  int64_t index = 0;         ///< row-major
  double found = 0, expected = 0;
  std::string text() const; ///< "@generate logits[17]: 0.25 where 0.5 was, 0.5 of the largest"
};
/// The difference with the largest `worst`.
Difference compare(const Outcome &found, const Outcome &expected);
/// The difference with the largest `excess`. A token may be any whose score is within twice its bound of the
/// best one.
Difference compare(const Outcome &found, const Outcome &expected, const Bounds &bounds);

} // namespace linnet::lab
