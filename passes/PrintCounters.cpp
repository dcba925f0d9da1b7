//===- linnet-print-counters ---------------------------------------------------------------------------===//
//
// Prints how often the passes before it fired. Changes nothing.
//
//===---------------------------------------------------------------------------------------------------===//
#include "passes/Counters.h"
#include "passes/Passes.h"

#include "llvm/Support/raw_ostream.h"

namespace linnet {
#define GEN_PASS_DEF_PRINTCOUNTERS
#include "passes/Passes.h.inc"

namespace {

struct PrintCounters : impl::PrintCountersBase<PrintCounters> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    for (const auto &[name, times] : getAnalysis<Counters>().counts)
      if (times) llvm::errs() << name.first << ' ' << name.second << ' ' << times << '\n';
  }
};

} // namespace
} // namespace linnet
