// What --dump-dir writes: the IR after each pass, the graphs, the memory plans, the kernels and a page that
// lists them. docs/reading-a-dump.md shows how to read it.
#pragma once
#include "backends/common/kernel_text.h"
#include "compiler/api.h"
#include "compiler/dump/folder.h"
#include "runtime/artifact/artifact_generated.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassInstrumentation.h"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace linnet::dump {

struct PassRecord {
  std::string name, file; ///< file: relative to the target's folder; empty when nothing changed
  double seconds = 0;
  size_t before = 0, after = 0; ///< ops
  bool failed = false;
  std::string crash; ///< how it crashed; empty: it did not
};
struct EntryRecord {
  std::string name, file; ///< file: what the names of its pictures begin with
  bool planned = false;
};
struct KernelRecord {
  std::string name, isa, file;
};
struct TargetRecord {
  std::string target;
  std::vector<PassRecord> passes;
  std::vector<EntryRecord> entries;
  std::vector<KernelRecord> kernels;
  std::map<std::string, std::vector<std::string>> uses; ///< kernel -> the commands that call it
  bool planned = false;                                 ///< came through the pipeline
};

/// The first error is kept, and what follows is not written; finish() gives it.
class Dump {
public:
  static Result<std::unique_ptr<Dump>> open(const std::string &directory);

  /// The module before its first pass.
  void begin(const std::string &target, mlir::ModuleOp module);
  /// Writes the module after each pass that changed it. Add it to the manager before whatever appends to
  /// `phases`, whose last entry is the pass's time.
  std::unique_ptr<mlir::PassInstrumentation> instrumentation(mlir::ModuleOp module,
                                                             const std::vector<PhaseTime> &phases);
  /// The pass behind those that afterPass() has seen: it left no module.
  void crashed(const std::string &pass, const std::string &how);
  /// The graphs and the plans of the module, which the backend has completed. The first error so far.
  Result<void> planned(mlir::ModuleOp module);
  /// The first error so far, of any file.
  const Result<void> &written() const { return state; }
  /// A kernel's text for one level of a target ("ll", "s"), collected until writeKernels().
  void addKernel(const std::string &name, const std::string &isa, const std::string &ending,
                 std::string_view content);
  /// Collects kernels while they are made; writeKernels() writes them, and notes which commands call them.
  KernelListener kernelListener();
  void writeKernels(const fb::ProgramT &program);
  /// The page. `title`: what was compiled; `subtitle`: how.
  Result<void> finish(const std::string &title, const std::string &subtitle,
                      const std::vector<PhaseTime> &phases);

  void afterPass(const std::string &name, mlir::ModuleOp module, double seconds, bool failed);

private:
  explicit Dump(Folder folder) : folder(std::move(folder)) {}
  void write(const std::string &name, std::string_view text);
  void graphs(mlir::ModuleOp module, const std::string &stage, const std::string &title);

  Folder folder;
  Result<void> state;
  std::vector<TargetRecord> targets;
  std::string text; ///< of the module after the pass before
  size_t ops = 0;
  std::map<std::string, std::string> kernels; ///< file -> text
};

/// index.html
std::string indexPage(const std::string &title, const std::string &subtitle,
                      const std::vector<TargetRecord> &targets, const std::vector<PhaseTime> &phases);

} // namespace linnet::dump
