// Writes the files of --dump-dir: the IR after each pass, graphs, memory plans, kernels, and a page that
// lists them. docs/reading-a-dump.md explains them.
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
  std::string name, file; ///< file: relative to the target's folder; empty if nothing changed
  double seconds = 0;
  size_t before = 0, after = 0; ///< ops
  bool failed = false;
  std::string crash; ///< how it crashed; empty if it did not
};
struct EntryRecord {
  std::string name, file; ///< file: the beginning of its pictures' names
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
  bool planned = false;                                 ///< the pipeline succeeded
};

/// After the first error nothing more is written; finish() returns that error.
class Dump {
public:
  static Result<std::unique_ptr<Dump>> open(const std::string &directory);

  /// The module before its first pass.
  void begin(const std::string &target, mlir::ModuleOp module);
  /// Writes the module after each pass that changed it. It must be added to the manager before the
  /// instrumentation that appends the pass's time to `phases`.
  std::unique_ptr<mlir::PassInstrumentation> instrumentation(mlir::ModuleOp module,
                                                             const std::vector<PhaseTime> &phases);
  /// Records that `pass`, after those of afterPass(), crashed and left no module.
  void crashed(const std::string &pass, const std::string &how);
  /// Writes the graphs and the plans of the module, which the backend has completed. Returns the first error
  /// so far.
  Result<void> planned(mlir::ModuleOp module);
  /// The first error so far, of any file.
  const Result<void> &written() const { return state; }
  /// Adds a kernel's text for one level of a target ("ll", "s"). writeKernels() writes it.
  void addKernel(const std::string &name, const std::string &isa, const std::string &ending,
                 std::string_view content);
  /// A listener that collects kernels. writeKernels() writes them and records the commands that call them.
  KernelListener kernelListener();
  void writeKernels(const fb::ProgramT &program);
  /// Writes the page. `title` names the input, `subtitle` the options.
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
  std::string text; ///< the module's text after the previous pass
  size_t ops = 0;
  std::map<std::string, std::string> kernels; ///< file -> text
};

/// index.html
std::string indexPage(const std::string &title, const std::string &subtitle,
                      const std::vector<TargetRecord> &targets, const std::vector<PhaseTime> &phases);

} // namespace linnet::dump
