// Folds and canonicalization of the ops on whole tensors.
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace linnet::ir {

OpFoldResult ReshapeOp::fold(FoldAdaptor a) {
  if (getOperand().getType() == getType()) return getOperand();
  if (auto inner = getOperand().getDefiningOp<ReshapeOp>()) {
    setOperand(inner.getOperand());
    return getResult();
  }
  if (auto dense = llvm::dyn_cast_or_null<DenseElementsAttr>(a.getOperand());
      dense && getType().hasStaticShape())
    return dense.reshape(getType());
  return {};
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType()) return getOperand();
  auto inner = getOperand().getDefiningOp<SliceOp>();
  if (!inner || inner.getDim() != getDim()) return {};
  setOffset(getOffset() + inner.getOffset());
  getOperandMutable().set(inner.getOperand());
  return getResult();
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  bool identity = true;
  for (auto [i, dim] : llvm::enumerate(getPermutation())) identity &= static_cast<int64_t>(i) == dim;
  if (identity) return getOperand();
  auto inner = getOperand().getDefiningOp<TransposeOp>();
  if (!inner) return {};
  SmallVector<int64_t> combined;
  for (int64_t dim : getPermutation()) combined.push_back(inner.getPermutation()[dim]);
  setPermutation(combined);
  getOperandMutable().set(inner.getOperand());
  return getResult();
}

OpFoldResult RelayoutOp::fold(FoldAdaptor) {
  if (getOperand().getType() == getType()) return getOperand();
  auto inner = getOperand().getDefiningOp<RelayoutOp>();
  if (!inner) return {};
  getOperandMutable().set(inner.getOperand());
  return getResult();
}

namespace {

/// relayout(param) -> a param that is stored in that layout.
struct RelayoutOfParam : OpRewritePattern<RelayoutOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RelayoutOp op, PatternRewriter &rewriter) const override {
    auto param = op.getOperand().getDefiningOp<ParamOp>();
    if (!param) return rewriter.notifyMatchFailure(op, "operand is not a param");
    rewriter.replaceOpWithNewOp<ParamOp>(op, op.getType(), param.getNameAttr());
    return success();
  }
};

/// matmul(transpose(x), y) -> matmul(x, y) with the transpose flag.
struct TransposeIntoMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  static TransposeOp lastTwoSwapped(Value value) {
    auto transpose = value.getDefiningOp<TransposeOp>();
    if (!transpose) return {};
    ArrayRef<int64_t> p = transpose.getPermutation();
    int64_t rank = p.size();
    if (rank < 2 || p[rank - 1] != rank - 2 || p[rank - 2] != rank - 1) return {};
    for (int64_t i = 0; i < rank - 2; ++i)
      if (p[i] != i) return {};
    return transpose;
  }
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    TransposeOp lhs = lastTwoSwapped(op.getLhs()), rhs = lastTwoSwapped(op.getRhs());
    if (op.getScale()) rhs = {}; // the scale would have to be transposed, too
    if (!lhs && !rhs) return rewriter.notifyMatchFailure(op, "no transposed operand");
    rewriter.modifyOpInPlace(op, [&] {
      if (lhs) {
        op.getLhsMutable().assign(lhs.getOperand());
        op.setTransposeLhs(!op.getTransposeLhs());
      }
      if (rhs) {
        op.getRhsMutable().assign(rhs.getOperand());
        op.setTransposeRhs(!op.getTransposeRhs());
      }
    });
    return success();
  }
};

} // namespace

void RelayoutOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<RelayoutOfParam>(context);
}
void MatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<TransposeIntoMatmul>(context);
}

} // namespace linnet::ir
