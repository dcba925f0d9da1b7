// The input of a compilation: a checkpoint, or a graph in a file.
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
  std::optional<Checkpoint> checkpoint; ///< absent for a graph
  std::string graph_text, graph_path;
  std::unique_ptr<WeightSource> weights;
  std::vector<std::string> files; ///< files whose contents determine the result
  double seconds = 0;             ///< time to open it
  /// The key of `files`, see provenance.h. Computed once, from all their bytes.
  Result<std::string> contentKey();

  /// Opens and checks options.input and its options (max_context, max_batch, weights). The result can be used
  /// for any number of compilations.
  static Result<ModelInput> open(const CompileOptions &options);
  /// The graph for these options.
  Result<mlir::OwningOpRef<mlir::ModuleOp>> build(mlir::MLIRContext &context, const CompileOptions &options);
  std::string kept; ///< what keepWeights() says about the built graph; empty without --dtype keep
  /// Whether the input is a language model.
  bool generates() const { return checkpoint && !checkpoint->config().classifies(); }
  /// The artifact's kind, see runtime/artifact/format.h.
  const char *kind() const {
    return generates() ? format::kLanguageModel : checkpoint ? format::kClassifier : format::kGraph;
  }

private:
  std::string content_key;
};

} // namespace linnet
