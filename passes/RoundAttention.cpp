//===- linnet-round-attention --------------------------------------------------------------------------===//
//
// Makes attention of several queries multiply numbers rounded to bf16.
//
// Changes the numbers by a bounded rounding; docs/passes.md has the bound. Legal after it: `bf16_rows` on
// attention.
//
//===---------------------------------------------------------------------------------------------------===//
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_ROUNDATTENTION
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

struct RoundAttention : impl::RoundAttentionBase<RoundAttention> {
  using RoundAttentionBase::RoundAttentionBase;

  void runOnOperation() override {
    if (from < 1) {
      getOperation().emitError("from is expected to be at least 1 query");
      return signalPassFailure();
    }
    auto &counters = getAnalysis<Counters>();
    getOperation().walk([&](AttentionOp attention) {
      if (attention.getBf16Rows()) return;
      rewrite(attention, "round attention", [&] {
        attention.setBf16Rows(from);
        counters.add("linnet-round-attention", "attentions");
      });
    });
  }
};

} // namespace
} // namespace linnet
