//===- linnet-hoist-pool -------------------------------------------------------------------------------===//
//
// A pool that takes one position (last, first) of a sequence moves before the ops that treat all positions
// alike: layer norm, matmul with a weight, elementwise ops. They then compute one position instead of all. In
// a language model that needs only the next token, the head, the last layer norm and the part of the last
// block after its attention run on one position.
//
// Preserves every returned value, exactly for f32: the sums of a position do not change. Legal after it:
// nothing new.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Matmul.h"
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Fusion.h"
#include "passes/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_HOISTPOOL
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// Whether all users of `value` are equal pools of one position.
bool onlyPooled(Value value, PoolOp pool) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    auto other = llvm::dyn_cast<PoolOp>(user);
    return other && other.getMode() == pool.getMode() && other.getLength() == pool.getLength();
  });
}

struct Hoist : OpRewritePattern<PoolOp> {
  Hoist(MLIRContext *context, Counters &counters) : OpRewritePattern(context), counters(counters) {}

  LogicalResult matchAndRewrite(PoolOp pool, PatternRewriter &rewriter) const override {
    if (pool.getMode() == PoolMode::mean)
      return rewriter.notifyMatchFailure(pool, "a mean needs every position");
    Operation *producer = pool.getOperand().getDefiningOp();
    if (!producer || !onlyPooled(pool.getOperand(), pool))
      return rewriter.notifyMatchFailure(pool, "the operand is read by others, or an argument");
    auto length = pool.getLength().getDefiningOp();
    if (length && length->getBlock() == producer->getBlock() && !length->isBeforeInBlock(producer))
      return rewriter.notifyMatchFailure(pool, "length is computed later than the operand");
    if (mergeWithTwin(rewriter, pool)) {
      counters.add("linnet-hoist-pool", "merged");
      return success();
    }
    rewriter.setInsertionPoint(producer);
    Operation *made = nullptr;
    if (llvm::isa<LayerNormOp, RmsNormOp>(producer))
      made = norm(rewriter, pool, producer);
    else if (auto matmul = llvm::dyn_cast<MatmulOp>(producer))
      made = hoisted(rewriter, pool, matmul);
    else if (isTensorElementwise(producer))
      made = elementwise(rewriter, pool, producer);
    if (!made) return rewriter.notifyMatchFailure(pool, "the operand's op does not treat positions alike");
    rewriter.replaceOp(pool, made);
    rewriter.eraseOp(producer); // a dead user of its operands would block the next step
    counters.add("linnet-hoist-pool", "hoisted");
    return success();
  }

private:
  static Operation *norm(PatternRewriter &rewriter, PoolOp pool, Operation *producer) {
    Value chosen = pooled(rewriter, pool, producer->getOperand(0));
    Operation *made = rewriter.clone(*producer);
    made->setOperand(0, chosen);
    made->getResult(0).setType(chosen.getType());
    return made;
  }

  /// Merges `pool` with an equal one. Otherwise each residual would double the number of pools.
  static bool mergeWithTwin(PatternRewriter &rewriter, PoolOp pool) {
    for (Operation *user : pool.getOperand().getUsers()) {
      auto twin = llvm::cast<PoolOp>(user);
      if (twin == pool || twin->getBlock() != pool->getBlock()) continue;
      bool first = pool->isBeforeInBlock(twin);
      rewriter.replaceOp(first ? twin : pool, first ? pool : twin);
      return true;
    }
    return false;
  }

  /// One position of `value` (B, T, C).
  static Value pooled(PatternRewriter &rewriter, PoolOp pool, Value value) {
    return rewriter.create<PoolOp>(pool.getLoc(), pool.getMode(), value, pool.getLength());
  }

  static Operation *hoisted(PatternRewriter &rewriter, PoolOp pool, MatmulOp matmul) {
    if (matmul.getTransposeLhs() || tensor(matmul.getRhs()).getRank() != 2) return nullptr;
    return cloneWith(rewriter, matmul.getLoc(), matmul, [&](MatmulParts &parts) {
      if (parts.residual) parts.residual = pooled(rewriter, pool, parts.residual);
      parts.lhs = pooled(rewriter, pool, parts.lhs);
    });
  }

  /// Pools the operands (B, T, C); vectors (C) and scalars stay. Returns null for any other broadcast.
  static Operation *elementwise(PatternRewriter &rewriter, PoolOp pool, Operation *op) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (shapeOf(tensor(operand)) == shapeOf(tensor(op->getResult(0))))
        operands.push_back(Value());
      else if (tensor(operand).getRank() <= 1)
        operands.push_back(operand);
      else
        return nullptr;
    }
    for (auto [pooled_one, operand] : llvm::zip(operands, op->getOperands()))
      if (!pooled_one) pooled_one = pooled(rewriter, pool, operand);
    OperationState state(op->getLoc(), op->getName());
    state.addOperands(operands);
    state.addTypes(makeType(shapeOf(pool.getType()), getElementTypeOrSelf(op->getResult(0).getType())));
    state.propertiesAttr = op->getPropertiesAsAttribute();
    return rewriter.create(state);
  }

  Counters &counters;
};

struct HoistPool : impl::HoistPoolBase<HoistPool> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Hoist>(&getContext(), getAnalysis<Counters>());
    GreedyRewriteConfig config;
    config.maxIterations = GreedyRewriteConfig::kNoLimit; // it ends: each step moves a pool towards the start
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace linnet
