// Runs a module on drawn inputs and compares what comes out: numbers as the oracle of a pass.
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

/// Draws a call of each entry from `seed`. Dynamic dimensions are small (at most 2 to 8, and no more than
/// their bounds); floats are normal; integers are legal for the ops that read them: ids below a table's rows,
/// a past that leaves room in the caches, a length from 1 to T. Fails where an entry's argument is no tensor
/// or a dimension has no bound.
Result<std::vector<Call>> drawCalls(mlir::ModuleOp module, uint64_t seed);

/// Calls that are made one after the other. The first one of an entry begins with the call's states, zeros
/// where it has none, each other one with what the one before it left.
using Rounds = std::vector<std::vector<Call>>;

/// Tensors by entry and name.
using Tensors = std::map<std::string, reference::Named>;

/// What one round of calls gave.
struct Outcome {
  Tensors values; ///< outputs and new states ("state k.0")
  Tensors scores; ///< by the name of an output that is a linnet.argmax: what that chooses from
};

using Evaluator = decltype(reference::RunOptions::evaluator);
/// Runs them in the interpreter. Floats that a call brings are rounded to the type of their argument.
Result<std::vector<Outcome>> interpret(mlir::ModuleOp module, const Rounds &rounds,
                                       const reference::WeightProvider &weights,
                                       const Evaluator &evaluator = {});
Result<Outcome> interpret(mlir::ModuleOp module, const std::vector<Call> &calls,
                          const reference::WeightProvider &weights);
/// Magnitude of the largest finite element; 0 where there is none.
double largestOf(const reference::Tensor &tensor);
/// "" if every output of floats has a number; else one line that names the first that is NaN throughout.
std::string notComparable(const Outcome &outcome);

/// By entry and output: how far each value, and each score, may be from the right one.
struct Bounds {
  std::map<std::string, std::map<std::string, double>> values, scores;
};
/// `tolerance` of the largest magnitude of each tensor.
Bounds boundsOf(const Outcome &outcome, double tolerance);
/// The larger of both for each tensor.
Bounds larger(const Bounds &a, const Bounds &b);

/// The worst difference between two outcomes.
struct Difference {
  /// Of the largest magnitude of its tensor. Tokens: how much lower the score of the found one is than the
  /// score of the expected one. Other integers: 1 where any differs. Infinite where shapes differ or a NaN
  /// stands on one side only.
  double worst = 0;
  double excess = 0;         ///< times its bound; a fault above 1. Equal numbers have 0.
  std::string entry, output; ///< where it is
  int64_t index = 0;         ///< row-major
  double found = 0, expected = 0;
  std::string text() const; ///< "@generate logits[17]: 0.25 where 0.5 was, 0.5 of the largest"
};
/// The one of the largest `worst`.
Difference compare(const Outcome &found, const Outcome &expected);
/// The one of the largest `excess`. A token may be any whose score is within twice its bound of the best.
Difference compare(const Outcome &found, const Outcome &expected, const Bounds &bounds);

} // namespace linnet::lab
