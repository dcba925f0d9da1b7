// Linnet's passes and pipelines. Passes.td and docs/passes.md describe each pass.
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

/// Settings of a pipeline.
struct PipelineSpec {
  std::string target = "cpu";
  /// 0: only what correctness needs (no fusion, no views of slices). 1: fusion and layouts. 2: all passes.
  int opt_level = 2;
  /// Arguments of passes to leave out, in every occurrence. Passes in requiredPasses() are errors.
  std::vector<std::string> disabled;
  /// Passes that replace the optimizing part, in mlir-opt's syntax ("canonicalize,linnet-fuse-epilogue"). The
  /// planning passes follow them.
  std::string custom;
  /// Type of weights: f32 (unchanged), bf16, f16, int8 (one scale per column), int4 (groups of 32), int4a (a
  /// minimum for each group, too), or keep (as the module attribute linnet.kept says).
  std::string dtype = "f32";
  /// Type of KV caches: f32, bf16 or f16.
  std::string kv_cache = "f32";
};

/// Appends `passes` (text in mlir-opt's syntax) except those in `disabled`. Errors name `what`, the option
/// that the text comes from.
Result<void> appendPasses(mlir::OpPassManager &manager, const std::string &passes, const std::string &what,
                          const std::vector<std::string> &disabled = {});

/// Appends the pipeline that ends in a planned module to `manager` (on builtin.module). Errors: an unknown
/// target, pass or level, or a required pass in `disabled`.
Result<void> buildPipeline(mlir::OpPassManager &manager, const PipelineSpec &spec);

/// Arguments of all passes of the default pipeline at this level, in order.
std::vector<std::string> defaultPasses(const TargetDescription &target, int opt_level);
/// The passes that lowering needs. They cannot be disabled.
const std::vector<std::string> &requiredPasses();

/// Registers the passes and `linnet-default-pipeline{target=cpu opt-level=2 disable=NAME,NAME}` by name.
/// A second call does nothing.
void registerPasses();

} // namespace linnet
