// Removes all rounding to narrow types from a graph: every float is f32, integer matrices are the floats that
// they were made from, and no operand is rounded. This shows the effect of a pass independently of the types
// of the numbers.
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

/// Parameters of linnet.quantize for a matrix.
struct Quantized {
  int64_t bits = 8, dim = 0, group = 0;
  bool asymmetric = false;
  std::set<std::string> scales; ///< params of its scales
};

/// The rounding that was removed from one op.
struct OpRounding {
  /// Unit roundoff of the narrowest float type of its results, 0 for f32.
  double unit = 0;
  /// Subnormal numbers of that type are multiples of 2 * `smallest`.
  double smallest = 0;
  int64_t int8_rows = 0, int8_group = 0, bf16_rows = 0; ///< attributes of linnet.matmul and linnet.attention
  bool integers = false;                                ///< a matmul whose rhs is integers
  std::optional<Quantized> quantized;                   ///< a linnet.param that was integers
};

struct Widened {
  mlir::OwningOpRef<mlir::ModuleOp> module;           ///< for the interpreter only; not verified
  llvm::DenseMap<mlir::Operation *, OpRounding> from; ///< by op of `module`; ops without rounding are absent
  bool narrow = false;                                ///< whether any type was widened

  const OpRounding *of(mlir::Operation *op) const {
    auto found = from.find(op);
    return found == from.end() ? nullptr : &found->second;
  }
};

Widened widen(mlir::ModuleOp module);

/// The largest error of each element of `matrix` if it is stored as integers: half a step, or with 4 bits a
/// whole step at the end of the range, because it has no 8. Asymmetric integers reach both ends.
reference::Tensor quantizationErrors(const reference::Tensor &matrix, const Quantized &quantized);

/// One line about the first integer matrix that differs from its source by more than its rounding; "" if
/// there is none. `widened` is widen(module).
Result<std::string> wrongIntegers(mlir::ModuleOp module, const Widened &widened,
                                  const reference::WeightProvider &weights);

} // namespace linnet::lab
