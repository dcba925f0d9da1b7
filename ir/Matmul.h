// A copy of a matmul with some of its operands or attributes replaced.
#pragma once
#include "ir/Linnet.h"

#include "mlir/IR/Builders.h"

namespace linnet::ir {

/// Operands and attributes of linnet.matmul. Null operands are absent.
struct MatmulParts {
  mlir::Value lhs, rhs, bias, residual, scale;
  bool transpose_lhs = false, transpose_rhs = false;
  Activation activation = Activation::none;
  int64_t group = 0;
  bool wide = false;
  int64_t int8_rows = 0;
  bool asymmetric = false;
  int64_t int8_group = 0;

  explicit MatmulParts(MatmulOp op)
      : lhs(op.getLhs()), rhs(op.getRhs()), bias(op.getBias()), residual(op.getResidual()),
        scale(op.getScale()), transpose_lhs(op.getTransposeLhs()), transpose_rhs(op.getTransposeRhs()),
        activation(op.getActivation()), group(op.getGroup()), wide(op.getWide()), int8_rows(op.getInt8Rows()),
        asymmetric(op.getAsymmetric()), int8_group(op.getInt8Group()) {}
};

/// Inserts a copy of `op` at the builder's insertion point, with the parts that `change` modifies. `op` stays.
inline MatmulOp cloneWith(mlir::OpBuilder &builder, mlir::Location loc, MatmulOp op,
                          llvm::function_ref<void(MatmulParts &)> change) {
  MatmulParts parts(op);
  change(parts);
  return builder.create<MatmulOp>(loc, parts.lhs, parts.rhs, parts.bias, parts.residual, parts.scale,
                                  parts.transpose_lhs, parts.transpose_rhs, parts.activation, parts.group,
                                  parts.wide, parts.int8_rows, parts.asymmetric, parts.int8_group);
}

} // namespace linnet::ir
