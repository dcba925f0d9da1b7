//===- linnet-fuse-attention, linnet-decompose-attention -----------------------------------------------===//
//
// Attention as separate ops, and as one op:
//
//     %s = matmul transpose(q), k {transpose_rhs}        (B, H, T, S)
//     %c = mul (tanh (mul %s, scale / cap)), cap         optional; without the cap, mul %s, scale
//     %m = mask %c past length {window}                  optional
//     transpose (matmul (softmax %m), v)           <->   attention q, k, v past length {scale, cap, causal, window}
//
// with transposes of dimensions 1 and 2. One op needs no (B, H, T, S) matrix in memory. If several heads share a key
// head, decomposing repeats the key head for each of them. Fusing does not undo the repetition.
//
// Both preserve every returned value up to rounding, except rows whose keys are all masked: attention returns
// zeros, and softmax returns NaN. Legal after fusing: nothing new. Legal after decomposing: no attention.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_FUSEATTENTION
#define GEN_PASS_DEF_DECOMPOSEATTENTION
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

constexpr int64_t kHeadsAndPositions[] = {0, 2, 1, 3};

bool swapsHeadsAndPositions(TransposeOp op) {
  return op && op.getPermutation() == ArrayRef(kHeadsAndPositions);
}

/// The factor of mul(x, constant of one value) or div(x, constant); `value` becomes x. 1 for any other op. Nothing if
/// the factor is not a constant or if another op reads the product.
std::optional<float> takeScale(Value &value) {
  Operation *op = value.getDefiningOp();
  if (!llvm::isa_and_nonnull<MulOp, DivOp>(op)) return 1.0f;
  auto splat = [](Value operand) -> std::optional<float> {
    auto constant = operand.getDefiningOp<ConstantOp>();
    auto dense = constant ? llvm::dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
    if (!dense || !dense.isSplat() || !dense.getElementType().isF32()) return std::nullopt;
    return dense.getSplatValue<float>();
  };
  Value x = op->getOperand(0);
  auto factor = splat(op->getOperand(1));
  if (!factor && llvm::isa<MulOp>(op)) x = op->getOperand(1), factor = splat(op->getOperand(0));
  if (!factor || !op->hasOneUse() || x.getType() != value.getType()) return std::nullopt;
  value = x;
  return llvm::isa<DivOp>(op) ? 1 / *factor : *factor;
}

bool isPlain(MatmulOp op) {
  return op && !op.getBias() && !op.getResidual() && !op.getScale() &&
         op.getActivation() == Activation::none && !op.getTransposeLhs() &&
         tensor(op.getLhs()).getRank() == 4 && tensor(op.getRhs()).getRank() == 4;
}

struct FusePattern : OpRewritePattern<TransposeOp> {
  FusePattern(MLIRContext *context, Counters &counters) : OpRewritePattern(context), counters(counters) {}

  LogicalResult matchAndRewrite(TransposeOp root, PatternRewriter &rewriter) const override {
    auto fail = [&](const char *why) { return rewriter.notifyMatchFailure(root, why); };
    auto weighted = root.getOperand().getDefiningOp<MatmulOp>();
    if (!swapsHeadsAndPositions(root) || !isPlain(weighted) || weighted.getTransposeRhs() ||
        !weighted->hasOneUse())
      return fail("no transposed product of weights and values");
    auto softmax = weighted.getLhs().getDefiningOp<SoftmaxOp>();
    if (!softmax || !softmax->hasOneUse()) return fail("lhs is not a softmax");
    Value scores = softmax.getOperand();
    auto mask = scores.getDefiningOp<MaskOp>();
    if (mask) scores = mask.getOperand();
    auto scale = takeScale(scores);
    float cap = 0;
    if (auto tanh = scores.getDefiningOp<TanhOp>(); scale && tanh) {
      if (!tanh->hasOneUse() || !(*scale > 0))
        return fail("the capped scores are read elsewhere, or not positive");
      cap = *scale;
      scores = tanh.getOperand();
      scale = takeScale(scores);
      // Canonicalization does not merge the scale with the division by the cap.
      if (const auto inner = scale ? takeScale(scores) : std::nullopt)
        scale = cap * *scale * *inner;
      else
        scale.reset();
    }
    auto product = scores.getDefiningOp<MatmulOp>();
    if (!scale || !isPlain(product) || !product.getTransposeRhs() || !scores.hasOneUse() ||
        (mask && !mask->hasOneUse()))
      return fail("the softmax is not over scaled and masked products of queries and keys");
    auto queries = product.getLhs().getDefiningOp<TransposeOp>();
    if (!swapsHeadsAndPositions(queries)) return fail("queries are not (B, T, H, D), transposed");
    Value q = queries.getOperand(), k = product.getRhs(), v = weighted.getRhs();
    if (k.getType() != v.getType()) return fail("keys and values differ in type");
    if (!mask && shapeOf(tensor(q))[1] != shapeOf(tensor(k))[2])
      return fail("without a mask there are as many keys as queries");
    Location loc = rewriter.getFusedLoc({product.getLoc(), softmax.getLoc(), weighted.getLoc()});
    rewriter
        .replaceOpWithNewOp<AttentionOp>(
            root, q, k, v, mask ? mask.getPast() : Value(), mask ? mask.getLength() : Value(),
            rewriter.getF32FloatAttr(*scale), cap > 0 ? rewriter.getF32FloatAttr(cap) : FloatAttr(),
            rewriter.getBoolAttr(mask && mask.getCausal()), mask ? mask.getWindowAttr() : IntegerAttr())
        ->setLoc(loc);
    counters.add("linnet-fuse-attention", "fused");
    return success();
  }
  Counters &counters;
};

/// cached (B, G, S, D) with each of the G heads repeated until there are `heads`.
Value repeatHeads(OpBuilder &b, Value cached, int64_t heads) {
  const Location loc = cached.getLoc();
  const int64_t key_heads = tensor(cached).getDimSize(1);
  if (key_heads == heads) return cached;
  SmallVector<Value> repeated;
  for (int64_t g = 0; g < key_heads; ++g)
    repeated.append(heads / key_heads, b.create<SliceOp>(loc, cached, /*dim=*/1, /*offset=*/g, /*size=*/1));
  return b.create<ConcatOp>(loc, repeated, /*dim=*/1);
}

struct DecomposePattern : OpRewritePattern<AttentionOp> {
  DecomposePattern(MLIRContext *context, Counters &counters)
      : OpRewritePattern(context), counters(counters) {}

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto element = tensor(op.getQ()).getElementType();
    if (element != tensor(op.getK()).getElementType() || !element.isF32())
      return rewriter.notifyMatchFailure(op, "only f32 is written out");
    auto swap = rewriter.getDenseI64ArrayAttr(kHeadsAndPositions);
    Value q = rewriter.create<TransposeOp>(loc, op.getQ(), swap);
    const int64_t heads = tensor(op.getQ()).getDimSize(2);
    Value scores =
        rewriter.create<MatmulOp>(loc, q, repeatHeads(rewriter, op.getK(), heads), /*transpose_rhs=*/true);
    auto scaled = [&](Value x, const APFloat &by) -> Value {
      auto value = DenseElementsAttr::get(RankedTensorType::get({1}, element), by);
      return rewriter.create<MulOp>(loc, x, rewriter.create<ConstantOp>(loc, value.getType(), value));
    };
    if (op.getCap().isZero()) {
      scores = scaled(scores, op.getScale());
    } else {
      const APFloat inner(op.getScale().convertToFloat() / op.getCap().convertToFloat());
      scores = scaled(rewriter.create<TanhOp>(loc, scaled(scores, inner)), op.getCap());
    }
    Value masked = rewriter.create<MaskOp>(loc, scores, op.getPast(), op.getLength(),
                                           rewriter.getBoolAttr(op.getCausal()), op.getWindowAttr());
    Value weights = rewriter.create<SoftmaxOp>(loc, masked.getType(), masked);
    Value sums = rewriter.create<MatmulOp>(loc, weights, repeatHeads(rewriter, op.getV(), heads));
    rewriter.replaceOpWithNewOp<TransposeOp>(op, sums, swap);
    counters.add("linnet-decompose-attention", "decomposed");
    return success();
  }
  Counters &counters;
};

struct FuseAttention : impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FusePattern>(&getContext(), getAnalysis<Counters>());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) signalPassFailure();
  }
};

struct DecomposeAttention : impl::DecomposeAttentionBase<DecomposeAttention> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DecomposePattern>(&getContext(), getAnalysis<Counters>());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) signalPassFailure();
  }
};

} // namespace
} // namespace linnet
