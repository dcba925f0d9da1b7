#include "compiler/input.h"

#include "compiler/graph_file.h"
#include "compiler/keep.h"
#include "compiler/provenance.h"
#include "compiler/weights.h"
#include "frontend/model/graph.h"
#include "support/error.h"
#include "support/file.h"
#include "support/text.h"

#include <chrono>

namespace linnet {
namespace {

Result<ModelInput> openGraph(const CompileOptions &options) {
  if (options.max_context || options.max_batch)
    return errorf(
        "{}: --max-context and --max-batch are for checkpoints; a graph says its linnet.bounds itself",
        options.input);
  if (!options.settings.empty())
    return errorf("{}: --set is for a checkpoint's config.json, which a graph does not have", options.input);
  ModelInput input;
  input.graph_path = options.input;
  LINNET_ASSIGN(MappedFile text, MappedFile::open(options.input));
  LINNET_ASSIGN(input.graph_text, withoutByteOrderMark(text.text(), options.input));
  input.files = {options.input};
  std::optional<SafetensorsFile> weights;
  if (!options.weights.empty()) {
    LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(options.weights));
    weights = std::move(file);
    input.files.push_back(options.weights);
  }
  input.weights = weightsOf(std::move(weights), options.weights);
  return input;
}

Result<ModelInput> openCheckpoint(const CompileOptions &options) {
  if (!options.weights.empty())
    return errorf("{}: --weights is for .mlir files, a checkpoint has its own", options.input);
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(options.input, options.settings));
  int64_t limit = checkpoint.config().n_positions;
  if (options.max_context < 0 || options.max_context > limit)
    return errorf("{}: --max-context is {}, expected from 1 to the model's n_positions, {}", options.input,
                  options.max_context, limit);
  constexpr int64_t kLargestBatch = 1 << 16;
  if (options.max_batch < 0 || options.max_batch > kLargestBatch)
    return errorf("--max-batch is {}, expected from 1 to {}", options.max_batch, kLargestBatch);
  ModelInput input;
  input.weights = weightsOf(checkpoint);
  input.files = checkpoint.files();
  input.checkpoint = std::move(checkpoint);
  return input;
}

} // namespace

Result<ModelInput> ModelInput::open(const CompileOptions &options) {
  const auto begin = std::chrono::steady_clock::now();
  if (options.progress) options.progress("reading " + options.input, 0);
  LINNET_ASSIGN(ModelInput input,
                options.input.ends_with(".mlir") ? openGraph(options) : openCheckpoint(options));
  input.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return input;
}

Result<std::string> ModelInput::contentKey() {
  if (content_key.empty()) {
    LINNET_ASSIGN(content_key, linnet::contentKey(files));
  }
  return content_key;
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> ModelInput::build(mlir::MLIRContext &context,
                                                            const CompileOptions &options) {
  if (!checkpoint) return parseGraph(context, graph_text, graph_path);
  GraphOptions graph;
  graph.max_batch = options.max_batch ? options.max_batch : 1;
  graph.max_context = options.max_context;
  auto module = buildGraph(context, checkpoint->config(), graph);
  if (options.dtype == "keep") {
    LINNET_ASSIGN(kept, keepWeights(*checkpoint, *module));
  }
  return module;
}

} // namespace linnet
