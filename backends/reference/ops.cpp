#include "backends/reference/ops.h"
#include "support/error.h"

#include <cassert>

namespace linnet::reference {

#define LINNET_OPS(add) void add(OpTable &);
#include "backends/reference/ops.inc"
#undef LINNET_OPS

const OpTable &opTable() {
  static const OpTable table = [] {
    OpTable all;
#define LINNET_OPS(add) add(all);
#include "backends/reference/ops.inc"
#undef LINNET_OPS
    return all;
  }();
  return table;
}

// Elementwise ops have one meaning for all backends, in backends/common/scalar.h.
OpTable::Results OpTable::evaluate(mlir::Operation *op, const Inputs &inputs) const {
  if (llvm::isa<ir::ElementwiseOpInterface>(op)) return elementwise(op, inputs.operands);
  const auto found = functions.find(op->getName().getStringRef());
  if (found == functions.end()) return Error{"the interpreter does not know this op"};
  return found->second(op, inputs);
}

Kind kindOf(mlir::Type element) {
  if (element.isF16()) return Kind::f16;
  if (element.isBF16()) return Kind::bf16;
  if (element.isInteger(32)) return Kind::i32;
  if (element.isInteger(8)) return Kind::i8;
  if (element.isInteger(4)) return Kind::i4;
  assert(element.isF32() && "the dialect has no other element type");
  return Kind::f32;
}

} // namespace linnet::reference
