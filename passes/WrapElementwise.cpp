//===- linnet-wrap-elementwise -------------------------------------------------------------------------===//
//
// Wraps each elementwise op on tensors in a linnet.fused, whose region computes it on scalars. Preserves
// every value. Legal after it: no elementwise op on tensors outside linnet.fused.
//
//===---------------------------------------------------------------------------------------------------===//
#include "passes/Counters.h"
#include "passes/Fusion.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_WRAPELEMENTWISE
#include "passes/Passes.h.inc"

namespace {

struct WrapElementwise : impl::WrapElementwiseBase<WrapElementwise> {
  void runOnOperation() override {
    llvm::SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isTensorElementwise(op)) ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops)
      rewrite(op, "wrap", [&] {
        rewriter.setInsertionPoint(op);
        rewriter.replaceOp(op, asFused(rewriter, op));
      });
    getAnalysis<Counters>().add("linnet-wrap-elementwise", "wrapped", ops.size());
    if (ops.empty()) markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace linnet
