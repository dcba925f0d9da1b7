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

  /// With one sequence, prompts have several rows and generated tokens one. With several sequences a row's
  /// numbers would depend on the other sequences, so all rows are rounded.
  int64_t leastRows() {
    bool batches = false;
    getOperation().walk(
        [&](FunctionOpInterface function) { batches |= boundOf(function, "batch").value_or(1) > 1; });
    return batches ? 1 : 2;
  }

  void runOnOperation() override {
    if (from < 0) {
      getOperation().emitError("from is expected to be at least 0 rows");
      return signalPassFailure();
    }
    const int64_t least = from ? from : leastRows();
    auto &counters = getAnalysis<Counters>();
    getOperation().walk([&](MatmulOp matmul) {
      const bool packed = panelOf(llvm::cast<RankedTensorType>(matmul.getRhs().getType())) != PanelAttr();
      if (!packed || !matmul.getScale() || matmul.getTransposeLhs() || matmul.getInt8Rows()) return;
      rewrite(matmul, "round rows", [&] {
        matmul.setInt8Rows(least);
        counters.add("linnet-quantize-rows", "matmuls");
      });
    });
  }
};

} // namespace
} // namespace linnet
