// Runs a part of a pipeline on a module: some of its passes, and of the last one only the first changes. A
// change is an application of a pattern (MLIR's apply-pattern action) or one of a pass's own (passes/
// RewriteAction.h) that leaves other IR than it found; folding and the removal of dead ops by a pattern
// driver are not counted. Passes run in a child process first: one that crashes there does not run here.
#pragma once
#include "lab/child_process.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace linnet::lab {

/// A change that a pass made, or was about to make when it crashed.
struct Application {
  std::string name;     ///< the pattern: "AbsorbBias"
  std::string op;       ///< "linnet.add"
  std::string location; ///< location in the original graph: "blocks.0.attn.qkv"
};

struct Window {
  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  size_t first = 0, last = 0; ///< passes, both included
  int64_t limit = kAll;       ///< changes that pass `last` may make
};

class WindowedRun {
public:
  /// `manager` runs on builtin.module, and only this thread uses the context. Both must outlive this object.
  explicit WindowedRun(mlir::PassManager &manager);

  size_t passes() const { return names.size(); }
  /// "linnet-fuse-epilogue"
  const std::string &name(size_t pass) const { return names[pass]; }
  /// The pass as in a pipeline: "linnet-alias{target=cpu}".
  const std::string &text(size_t pass) const { return texts[pass]; }

  /// Runs the window's passes on `module`. Errors: a pass fails, crashes, or leaves an invalid module. After
  /// a crash `module` is unchanged.
  Result<void> run(mlir::ModuleOp module, Window window);
  /// The first half of run(), in a child process: how a pass crashes, or nothing. `module` does not change.
  std::optional<std::string> crash(mlir::ModuleOp module, Window window);

  /// Whether the last run crashed. lastPass() is the last pass that it ran.
  bool crashed() const { return ended_in_crash; }
  size_t lastPass() const { return progress().pass; }
  /// Number of changes of the window's last pass in the last run, including one during which it crashed.
  /// lastApplication() is the last of them, if Window::limit was not larger.
  int64_t applications() const { return progress().changes + (crashed() && progress().changing); }
  Application lastApplication() const { return {progress().name, progress().op, progress().location}; }

private:
  /// The progress of a run, in memory that a child process can write. Longer texts are cut.
  struct Progress {
    size_t pass = 0;
    int64_t changes = 0;
    bool changing = false;
    char name[128] = {}, op[64] = {}, location[512] = {};
  };
  Progress &progress() { return shared.get() ? *shared.get() : own; }
  const Progress &progress() const { return shared.get() ? *shared.get() : own; }
  /// The second half, in this process.
  Result<void> runHere(mlir::ModuleOp module, Window window);
  void handle(llvm::function_ref<void()> go, const mlir::tracing::Action &action, Window window);
  void note(const mlir::tracing::Action &action, mlir::Operation *op);

  mlir::PassManager &manager;
  std::vector<std::string> names, texts;
  size_t next_pass = 0;
  int depth = 0;
  bool ended_in_crash = false;
  SharedMemory<Progress> shared;
  Progress own; ///< if there is no shared memory
};

} // namespace linnet::lab
