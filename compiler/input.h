// What is compiled: a checkpoint, or a graph in a file.
#pragma once
#include "backends/common/weights.h"
#include "compiler/api.h"
#include "frontend/checkpoint/checkpoint.h"
#include "runtime/artifact/format.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

struct ModelInput {
  std::optional<Checkpoint> checkpoint; ///< nothing for a graph
  std::string graph_text, graph_path;
  std::unique_ptr<WeightSource> weights;
  std::vector<std::string> files; ///< whose contents decide the result
  double seconds = 0;             ///< that opening it took
  /// Of `files`: see provenance.h. Computed once, from every byte of them.
  Result<std::string> contentKey();

  /// Opens options.input and checks it and the options that belong to it (max_context, max_batch, weights).
  /// Serves any number of compilations.
  static Result<ModelInput> open(const CompileOptions &options);
  /// The graph for these options.
  Result<mlir::OwningOpRef<mlir::ModuleOp>> build(mlir::MLIRContext &context,
                                                  const CompileOptions &options) const;
  /// Whether there is something to decode: logits of a language model.
  bool generates() const { return checkpoint && !checkpoint->config().classifies(); }
  /// What the artifact holds: see runtime/artifact/format.h.
  const char *kind() const {
    return generates() ? format::kLanguageModel : checkpoint ? format::kClassifier : format::kGraph;
  }

private:
  std::string content_key;
};

} // namespace linnet
