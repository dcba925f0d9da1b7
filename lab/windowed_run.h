// Runs a part of a pipeline on a module: some of its passes, and of the last one only the first changes. It
// counts the applications of patterns (MLIR's apply-pattern action) and a pass's own changes (passes/
// RewriteAction.h); folding and the removal of dead ops by a pattern driver are not counted.
#pragma once
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace linnet::lab {

/// A change that a pass tried to make; most tries of a pattern do not match.
struct Application {
  std::string name;     ///< of the pattern: "AbsorbBias"
  std::string op;       ///< "linnet.add"
  std::string location; ///< its place in the original graph: "h.0.attn.c_attn"
};

struct Window {
  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  size_t first = 0, last = 0; ///< passes, both included
  int64_t limit = kAll;       ///< applications that pass `last` may make
};

class WindowedRun {
public:
  /// `manager` runs on builtin.module, and the context is used by this thread alone. Both outlive this.
  explicit WindowedRun(mlir::PassManager &manager);

  size_t passes() const { return names.size(); }
  /// "linnet-fuse-epilogue"
  const std::string &name(size_t pass) const { return names[pass]; }
  /// As in a pipeline: "linnet-alias{target=cpu}".
  const std::string &text(size_t pass) const { return texts[pass]; }

  /// Changes `module`. An error: a pass fails, or leaves what the verifier refuses.
  Result<void> run(mlir::ModuleOp module, Window window);
  /// Of the window's last pass in the last run: how many it tried, and the last one that it was let do.
  int64_t applications() const { return count; }
  const Application &lastApplication() const { return last; }

private:
  void handle(llvm::function_ref<void()> go, const mlir::tracing::Action &action, Window window);

  mlir::PassManager &manager;
  std::vector<std::string> names, texts;
  size_t next_pass = 0, current = 0;
  int depth = 0;
  int64_t count = 0;
  Application last;
};

} // namespace linnet::lab
