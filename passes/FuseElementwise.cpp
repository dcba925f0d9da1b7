//===- linnet-fuse-elementwise -------------------------------------------------------------------------===//
//
// An elementwise consumer absorbs its elementwise producers of the same shape that have no other user. Both
// become linnet.fused first, so one kind of merge suffices. Constants of one value move into the region. A
// producer of a smaller shape stays outside: it would be computed again for each element it broadcasts to.
//
// Preserves every returned value. Legal after it: nothing new. Elementwise ops that fuse with no other op do
// not change (linnet-wrap-elementwise makes them linnet.fused).
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Fusion.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

bool isFusible(Operation *op) { return llvm::isa<FusedOp>(op) || isTensorElementwise(op); }

/// The most tensors that one kernel of a backend reads.
constexpr size_t kMostInputs = 31;

size_t inputsTogether(Operation *consumer, Operation *producer) {
  llvm::SmallDenseSet<Value> inputs(consumer->operand_begin(), consumer->operand_end());
  inputs.erase(producer->getResult(0));
  inputs.insert(producer->operand_begin(), producer->operand_end());
  return inputs.size();
}

/// Whether all uses of the producer's one result are operands of `consumer`, and the shapes are equal.
bool canTakeIn(Operation *consumer, Operation *producer) {
  if (!producer || !isFusible(producer) || producer->getNumResults() != 1) return false;
  if (auto fused = llvm::dyn_cast<FusedOp>(producer); fused && fused.getReduce()) return false;
  if (producer->getBlock() != consumer->getBlock()) return false;
  for (Operation *user : producer->getUsers())
    if (user != consumer) return false;
  return elementShape(producer) == elementShape(consumer) &&
         inputsTogether(consumer, producer) <= kMostInputs;
}

/// `op` if it is a linnet.fused, else a linnet.fused that replaces it.
FusedOp toFused(PatternRewriter &rewriter, Operation *op) {
  if (auto fused = llvm::dyn_cast<FusedOp>(op)) return fused;
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  FusedOp fused = asFused(rewriter, op);
  rewriter.replaceOp(op, fused);
  return fused;
}

struct TakeInProducer : RewritePattern {
  TakeInProducer(MLIRContext *context, Counters &counters)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context), counters(counters) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isFusible(op)) return failure();
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!canTakeIn(op, producer)) continue;
      FusedOp inner = toFused(rewriter, producer), outer = toFused(rewriter, op);
      rewriter.setInsertionPoint(outer);
      rewriter.replaceOp(outer, mergeProducer(rewriter, outer, inner));
      rewriter.eraseOp(inner);
      counters.add("linnet-fuse-elementwise", "fused");
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no elementwise producer of this shape without other users");
  }
  Counters &counters;
};

/// reduce(elementwise) along the last dimension -> a linnet.fused with `reduce`.
struct TakeInReduced : OpRewritePattern<ReduceOp> {
  TakeInReduced(MLIRContext *context, Counters &counters) : OpRewritePattern(context), counters(counters) {}
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    Operation *producer = op.getOperand().getDefiningOp();
    auto type = llvm::cast<RankedTensorType>(op.getOperand().getType());
    if (static_cast<int64_t>(op.getDim()) != type.getRank() - 1)
      return rewriter.notifyMatchFailure(op, "not along the last dimension");
    if (!producer || !isFusible(producer) || producer->getNumResults() != 1 || !producer->hasOneUse() ||
        producer->getBlock() != op->getBlock() ||
        (llvm::isa<FusedOp>(producer) && llvm::cast<FusedOp>(producer).getReduce()))
      return rewriter.notifyMatchFailure(op, "the operand is not elementwise, or has other users");
    FusedOp inner = toFused(rewriter, producer);
    rewriter.setInsertionPoint(op);
    auto made = llvm::cast<FusedOp>(rewriter.clone(*inner));
    made->setLoc(rewriter.getFusedLoc({inner.getLoc(), op.getLoc()}));
    rewriter.modifyOpInPlace(made, [&] {
      made.setReduce(op.getKind());
      made.getResult(0).setType(op.getType());
    });
    rewriter.replaceOp(op, made);
    rewriter.eraseOp(inner);
    counters.add("linnet-fuse-elementwise", "reductions");
    return success();
  }
  Counters &counters;
};

struct TakeInConstants : OpRewritePattern<FusedOp> {
  TakeInConstants(MLIRContext *context, Counters &counters) : OpRewritePattern(context), counters(counters) {}
  LogicalResult matchAndRewrite(FusedOp op, PatternRewriter &rewriter) const override {
    FusedOp smaller = absorbSplats(rewriter, op);
    if (!smaller) return rewriter.notifyMatchFailure(op, "no constant of one value that could move inside");
    counters.add("linnet-fuse-elementwise", "constants", op.getInputs().size() - smaller.getInputs().size());
    rewriter.replaceOp(op, smaller);
    return success();
  }
  Counters &counters;
};

struct FuseElementwise : impl::FuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    auto &counters = getAnalysis<Counters>();
    RewritePatternSet patterns(&getContext());
    patterns.add<TakeInProducer, TakeInReduced, TakeInConstants>(&getContext(), counters);
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) signalPassFailure();
  }
};

} // namespace
} // namespace linnet
