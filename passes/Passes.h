// Linnet's passes and pipelines. What each pass does: Passes.td, docs/passes.md.
#pragma once
#include "passes/Target.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace linnet {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

/// What a pipeline is made of.
struct PipelineSpec {
  std::string target = "cpu";
  /// 0: what correctness needs (no fusion, no views of slices). 1 and 2: everything there is.
  int opt_level = 2;
  /// Arguments of passes to leave out: every occurrence. Those in requiredPasses() cannot be.
  std::vector<std::string> disabled;
  /// Runs instead of the optimizing part, in mlir-opt's syntax ("canonicalize,linnet-fuse-epilogue"); the
  /// passes that make a plan follow it.
  std::string custom;
  /// How weights are stored: f32 (as they are), bf16, f16, int8 (a scale a column), int4 (in groups of 32).
  std::string dtype = "f32";
  /// How KV caches are stored: f32, bf16 or f16.
  std::string kv_cache = "f32";
};

/// Appends passes given as text in mlir-opt's syntax, all but those named in `disabled`; `what` is the option
/// they were given with, for the error.
Result<void> appendPasses(mlir::OpPassManager &manager, const std::string &passes, const std::string &what,
                          const std::vector<std::string> &disabled = {});

/// Appends to `manager` (on builtin.module) the pipeline that ends in a planned module, or, for a target that
/// plans nothing, in an optimized one. An unknown target, pass or level, or a required pass disabled, is an
/// error.
Result<void> buildPipeline(mlir::OpPassManager &manager, const PipelineSpec &spec);

/// Arguments of the passes of the default pipeline at this level, in order, before any is left out.
std::vector<std::string> defaultPasses(const TargetDescription &target, int opt_level);
/// Those without which a module cannot be lowered.
const std::vector<std::string> &requiredPasses();

/// Registers the passes and `linnet-default-pipeline{target=cpu opt-level=2 disable=NAME,NAME}` by name.
/// A second call does nothing.
void registerPasses();

} // namespace linnet
