#include "backends/common/rows.h"

#include "ir/Linnet.h"
#include "ir/Shapes.h"

using namespace mlir;

namespace linnet::backend {
namespace {
using namespace ir;

int64_t sizesFrom(RankedTensorType type, int64_t dim) {
  int64_t product = 1;
  for (int64_t size : type.getShape().drop_front(dim)) product *= size;
  return product;
}

} // namespace

bool acceptsStridedRows(Operation *op, unsigned operand, int64_t row) {
  auto type = llvm::cast<RankedTensorType>(op->getOperand(operand).getType());
  if (llvm::isa<AttentionOp>(op)) return operand == 0 && row == sizesFrom(type, 2);
  if (llvm::isa<RotaryOp>(op)) return operand == 0 && row == sizesFrom(type, 2);
  if (llvm::isa<CacheAppendOp>(op)) return operand == 1 && row == sizesFrom(type, 2);
  auto matmul = llvm::dyn_cast<MatmulOp>(op);
  if (!matmul || operand != 0 || matmul.getTransposeLhs()) return false;
  auto rhs = llvm::cast<RankedTensorType>(matmul.getRhs().getType());
  return panelOf(rhs) && type.getRank() >= 1 && row == type.getShape().back();
}

} // namespace linnet::backend
