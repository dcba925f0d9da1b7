// The same graph without the rounding that its types and passes ask for: every float is f32, matrices of
// integers are the floats that they were made from, no operand is rounded. What a pass means shows in this
// graph, whatever type the numbers are stored in.
#pragma once
#include "backends/reference/tensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>
#include <set>
#include <string>

namespace linnet::lab {

/// Unit roundoff: half the distance from 1 to the next number of the type.
inline constexpr double kUnitF32 = 0x1p-24, kUnitF16 = 0x1p-11, kUnitBF16 = 0x1p-8;

/// How linnet.quantize rounds a matrix: see ir.md.
struct Quantized {
  int64_t bits = 8, dim = 0, group = 0;
  std::set<std::string> scales; ///< params that the integers are multiplied by
};

/// The rounding that was taken from one op.
struct OpRounding {
  /// Unit roundoff of the narrowest float type of its results, 0 for f32.
  double unit = 0;
  /// Below it numbers of that type are multiples of 2 * `smallest`.
  double smallest = 0;
  int64_t int8_rows = 0, bf16_rows = 0; ///< attributes of linnet.matmul and linnet.attention
  bool integers = false;                ///< a matmul whose rhs is integers
  std::optional<Quantized> quantized;   ///< a linnet.param that was integers
};

struct Widened {
  mlir::OwningOpRef<mlir::ModuleOp> module;           ///< for the interpreter: no verifier has seen it
  llvm::DenseMap<mlir::Operation *, OpRounding> from; ///< by op of `module`; ops that lost nothing are absent
  bool narrow = false;                                ///< something was widened

  const OpRounding *of(mlir::Operation *op) const {
    auto found = from.find(op);
    return found == from.end() ? nullptr : &found->second;
  }
};

Widened widen(mlir::ModuleOp module);

/// For each element of `matrix` the largest difference that storing it as integers may make: half a step, and
/// with 4 bits a whole one at the end of the range that has no 8.
reference::Tensor quantizationErrors(const reference::Tensor &matrix, const Quantized &quantized);

/// The first matrix of integers that differs from the matrix it was made from by more than its rounding; one
/// line, "" when none does. `widened` is widen(module).
Result<std::string> wrongIntegers(mlir::ModuleOp module, const Widened &widened,
                                  const reference::WeightProvider &weights);

} // namespace linnet::lab
