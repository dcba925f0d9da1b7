//===- linnet-fuse-epilogue ----------------------------------------------------------------------------===//
//
// Moves the ops after a matmul into its epilogue, activation(ab + bias) + residual. Each rule is a pattern
// that keeps this order and requires a matmul without other users. The new matmul is inserted at the absorbed
// op, because all its operands are defined there.
//
// Preserves every returned value. Legal after it: nothing new. A matmul may have any epilogue before and
// after.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Activations.h"
#include "ir/Matmul.h"
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

RankedTensorType tensorOrNull(Value value) { return llvm::dyn_cast<RankedTensorType>(value.getType()); }

/// Replaces `absorbed` by `matmul` with this bias, residual and activation.
void absorb(PatternRewriter &rewriter, MatmulOp matmul, Operation *absorbed, Value bias, Value residual,
            Activation activation) {
  Location loc = rewriter.getFusedLoc({matmul.getLoc(), absorbed->getLoc()});
  rewriter.replaceOp(absorbed, cloneWith(rewriter, loc, matmul, [&](MatmulParts &parts) {
                       parts.bias = bias;
                       parts.residual = residual;
                       parts.activation = activation;
                     }));
  rewriter.eraseOp(matmul);
}

/// The matmul that computes `operand`, if it has no other use; else null.
MatmulOp onlyUsersMatmul(Value operand) {
  auto matmul = operand.getDefiningOp<MatmulOp>();
  return matmul && matmul->hasOneUse() ? matmul : MatmulOp();
}

/// add(matmul, bias) with bias (N), before any activation or residual.
struct AbsorbBias : OpRewritePattern<AddOp> {
  AbsorbBias(MLIRContext *context, Counters &counters) : OpRewritePattern(context, 2), counters(counters) {}
  LogicalResult matchAndRewrite(AddOp add, PatternRewriter &rewriter) const override {
    for (auto [value, bias] :
         {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
      MatmulOp matmul = onlyUsersMatmul(value);
      if (!matmul || matmul.getBias() || matmul.getResidual() || matmul.getActivation() != Activation::none)
        continue;
      RankedTensorType type = tensorOrNull(bias);
      if (matmul.getType() != add.getType() || type.getRank() != 1 ||
          shapeOf(type)[0] != shapeOf(matmul.getType()).back() || panelOf(type))
        continue;
      absorb(rewriter, matmul, add, bias, Value(), Activation::none);
      counters.add("linnet-fuse-epilogue", "biases");
      return success();
    }
    return rewriter.notifyMatchFailure(add, "no single-use matmul without epilogue plus a vector over N");
  }
  Counters &counters;
};

/// activation(matmul), if the matmul has no activation and no residual.
template <class Op> struct AbsorbActivation : OpRewritePattern<Op> {
  AbsorbActivation(MLIRContext *context, Counters &counters)
      : OpRewritePattern<Op>(context), counters(counters) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    MatmulOp matmul = onlyUsersMatmul(op.getOperand());
    if (!matmul) return rewriter.notifyMatchFailure(op, "operand is not a single-use matmul");
    if (matmul.getResidual() || matmul.getActivation() != Activation::none)
      return rewriter.notifyMatchFailure(op, "the matmul already has an activation or a residual");
    absorb(rewriter, matmul, op, matmul.getBias(), Value(), *activationOf(op));
    counters.add("linnet-fuse-epilogue", "activations");
    return success();
  }
  Counters &counters;
};

/// add(matmul, x) with x of the result's shape.
struct AbsorbResidual : OpRewritePattern<AddOp> {
  AbsorbResidual(MLIRContext *context, Counters &counters) : OpRewritePattern(context), counters(counters) {}
  LogicalResult matchAndRewrite(AddOp add, PatternRewriter &rewriter) const override {
    for (auto [value, residual] :
         {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
      MatmulOp matmul = onlyUsersMatmul(value);
      if (!matmul || matmul.getResidual() || matmul.getType() != add.getType() ||
          residual.getType() != add.getType())
        continue;
      absorb(rewriter, matmul, add, matmul.getBias(), residual, matmul.getActivation());
      counters.add("linnet-fuse-epilogue", "residuals");
      return success();
    }
    return rewriter.notifyMatchFailure(add,
                                       "no single-use matmul without residual plus a tensor of its shape");
  }
  Counters &counters;
};

struct FuseEpilogue : impl::FuseEpilogueBase<FuseEpilogue> {
  void runOnOperation() override {
    auto &counters = getAnalysis<Counters>();
    RewritePatternSet patterns(&getContext());
    patterns.add<AbsorbBias, AbsorbActivation<ReluOp>, AbsorbActivation<GeluOp>, AbsorbActivation<SiluOp>,
                 AbsorbResidual>(&getContext(), counters);
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) signalPassFailure();
  }
};

} // namespace
} // namespace linnet
