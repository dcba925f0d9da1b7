// A pass of one's own: GELU as x / (1 + e^(-1.702 x)), the cheap form of Hendrycks and Gimpel
// (arXiv:1606.08415).
#include "ir/Linnet.h"
#include "passes/Counters.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace linnet::ir;

namespace {

Value scalar(PatternRewriter &rewriter, Location loc, float value) {
  auto type = RankedTensorType::get({1}, rewriter.getF32Type());
  return rewriter.create<ConstantOp>(loc, type, DenseElementsAttr::get(type, value));
}

struct QuickGelu : OpRewritePattern<GeluOp> {
  QuickGelu(MLIRContext *context, linnet::Counters &counters)
      : OpRewritePattern(context), counters(counters) {}
  LogicalResult matchAndRewrite(GeluOp gelu, PatternRewriter &rewriter) const override {
    Location loc = gelu.getLoc(); // what it came from stays known
    Value x = gelu.getOperand();
    if (!getElementTypeOrSelf(x).isF32()) return rewriter.notifyMatchFailure(gelu, "only f32");
    Value power = rewriter.create<ExpOp>(loc, rewriter.create<MulOp>(loc, x, scalar(rewriter, loc, -1.702f)));
    Value divisor = rewriter.create<AddOp>(loc, power, scalar(rewriter, loc, 1));
    rewriter.replaceOpWithNewOp<DivOp>(gelu, x, divisor);
    counters.add("my-quick-gelu", "replaced");
    return success();
  }
  linnet::Counters &counters;
};

struct QuickGeluPass : PassWrapper<QuickGeluPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuickGeluPass)
  StringRef getArgument() const override { return "my-quick-gelu"; }
  StringRef getDescription() const override { return "GELU by its cheap form"; }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<QuickGelu>(&getContext(), getAnalysis<linnet::Counters>());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) signalPassFailure();
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "my-pass", "1.0", [] { PassRegistration<QuickGeluPass>(); }};
}
