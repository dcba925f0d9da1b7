// Counts how often each pass fired. MLIR's Pass::Statistic does not count in release builds of MLIR
// (LLVM_ENABLE_STATS is off in Debian's and Ubuntu's), so each pass counts here, too.
#pragma once
#include "mlir/Pass/AnalysisManager.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace linnet {

/// An analysis of the module. No pass invalidates it, so it lives as long as the pipeline runs. A pass
/// obtains it with getAnalysis<Counters>() and counts with `counters.add("linnet-fuse-epilogue", "biases")`.
struct Counters {
  explicit Counters(mlir::Operation *) {}
  bool isInvalidated(const mlir::detail::PreservedAnalyses &) { return false; }

  void add(llvm::StringRef pass, llvm::StringRef what, int64_t n = 1) {
    counts[{pass.str(), what.str()}] += n;
  }
  int64_t get(llvm::StringRef pass, llvm::StringRef what) const {
    auto found = counts.find({pass.str(), what.str()});
    return found == counts.end() ? 0 : found->second;
  }
  /// (pass, counter) -> count.
  std::map<std::pair<std::string, std::string>, int64_t> counts;
};

} // namespace linnet
