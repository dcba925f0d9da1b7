//===- linnet-quantize-rows ----------------------------------------------------------------------------===//
//
// Makes matmuls with integer weights in panels round their lhs to bytes if it has many rows. Runs after
// linnet-assign-layout: without panels a matmul reads its weights one by one and gains nothing.
//
// Changes the numbers by a bounded rounding; docs/passes.md has the bound. Legal after it: `int8_rows` and
// `int8_group` on matmuls with a scale.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

#include <numeric>

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_QUANTIZEROWS
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

constexpr int64_t kGroup = 32; ///< elements of lhs that share a scale

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

  /// The number of elements of lhs that share a scale. No group of rhs begins inside one of lhs.
  int64_t elements(MatmulOp matmul) {
    return group < 0 ? std::gcd(int64_t(matmul.getGroup()), kGroup) : int64_t(group);
  }

  void runOnOperation() override {
    if (group < -1) {
      getOperation().emitError("group is expected to be at least -1");
      return signalPassFailure();
    }
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
        matmul.setInt8Group(elements(matmul));
        counters.add("linnet-quantize-rows", "matmuls");
      });
    });
  }
};

} // namespace
} // namespace linnet
