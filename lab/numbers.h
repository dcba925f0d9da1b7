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

/// What the calls gave: outputs and new states ("state k.0") of each entry.
using Outcome = std::map<std::string, reference::Named>;
Result<Outcome> runCalls(mlir::ModuleOp module, const std::vector<Call> &calls,
                         const reference::WeightProvider &weights);

/// The worst difference between two outcomes, relative to the largest magnitude of the tensor it is in
/// (integers: 1 where any differs). Infinite where shapes differ or a NaN stands on one side only.
struct Difference {
  double worst = 0;
  std::string entry, output; ///< where it is
  int64_t index = 0;         ///< row-major
  double found = 0, expected = 0;
  std::string text() const; ///< "@generate output logits[17]: 0.25 where 0.5 was, 0.5 of the largest"
};
Difference compare(const Outcome &found, const Outcome &expected);

} // namespace linnet::lab
