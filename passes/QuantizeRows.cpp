//===- linnet-quantize-rows ----------------------------------------------------------------------------===//
//
// Makes matmuls with integer weights in panels round their lhs to bytes if it has many rows. Runs after
// linnet-assign-layout: without panels a matmul reads its weights one by one and gains nothing.
//
// Changes the numbers by a bounded rounding; docs/passes.md has the bound. Legal after it: `int8_rows` on
// matmuls with a scale.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_QUANTIZEROWS
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

struct QuantizeRows : impl::QuantizeRowsBase<QuantizeRows> {
  using QuantizeRowsBase::QuantizeRowsBase;

  void runOnOperation() override {
    if (from < 1) {
      getOperation().emitError("from is expected to be at least 1 row");
      return signalPassFailure();
    }
    auto &counters = getAnalysis<Counters>();
    getOperation().walk([&](MatmulOp matmul) {
      const bool packed = panelOf(llvm::cast<RankedTensorType>(matmul.getRhs().getType())) != PanelAttr();
      if (!packed || !matmul.getScale() || matmul.getTransposeLhs() || matmul.getInt8Rows()) return;
      rewrite(matmul, "round rows", [&] {
        matmul.setInt8Rows(from);
        counters.add("linnet-quantize-rows", "matmuls");
      });
    });
  }
};

} // namespace
} // namespace linnet
