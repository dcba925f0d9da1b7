#include "compiler/training_graph.h"

#include "compiler/diagnostics.h"
#include "compiler/graph_file.h"
#include "frontend/model/graph.h"
#include "passes/Passes.h"
#include "passes/Training.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace linnet {
namespace {

Result<OwningOpRef<ModuleOp>> lossOf(const Checkpoint &checkpoint, MLIRContext &context,
                                     const TrainingOptions &options) {
  const ModelDescription &config = checkpoint.config();
  bool classifier = options.task == "classify" || options.task == "features";
  if (!classifier && options.task != "lm")
    return errorf("unknown task '{}', expected lm, classify or features", options.task);
  if (classifier != config.classifies())
    return errorf("{}: task {} is for a {}, this is a {}", options.input, options.task,
                  classifier ? "classifier" : "language model", classifier ? "language model" : "classifier");
  if (classifier && (config.id2label.size() < 2 || config.problem_type == "regression" ||
                     config.problem_type == "multi_label_classification"))
    return errorf("{}: the loss is of one label of several; this classifier has {} label{}{}", options.input,
                  config.id2label.size(), config.id2label.size() == 1 ? "" : "s",
                  config.problem_type.empty() ? "" : " and problem_type " + config.problem_type);
  constexpr int64_t kLargestBatch = 1 << 16;
  if (options.max_batch < 1 || options.max_batch > kLargestBatch)
    return errorf("the batch is {}, expected from 1 to {}", options.max_batch, kLargestBatch);
  if (options.max_seq < 0 || options.max_seq > config.n_positions)
    return errorf("{}: a row has {} positions, expected from 1 to the model's n_positions, {}", options.input,
                  options.max_seq, config.n_positions);
  if (!(options.dropout >= 0 && options.dropout < 1))
    return errorf("dropout is {}, expected from 0 to less than 1", options.dropout);
  const bool features = options.task == "features";
  if (features && options.dropout > 0)
    return errorf("dropout acts in the model's blocks: task features has none");
  EntrySpec entry{
      "loss", {"loss"}, options.max_seq ? options.max_seq : config.n_positions, features, options.dropout};
  return buildGraph(context, config, {.max_batch = options.max_batch, .max_context = 0, .entries = {entry}});
}

} // namespace

Result<OwningOpRef<ModuleOp>> buildTraining(const ModelInput &input, MLIRContext &context,
                                            const TrainingOptions &options) {
  if (options.dtype != "f32" && options.dtype != "bf16")
    return errorf("training computes in f32 or bf16, found dtype '{}'", options.dtype);
  auto built = input.checkpoint ? lossOf(*input.checkpoint, context, options)
                                : parseGraph(context, input.graph_text, input.graph_path);
  if (!built) return built.error();
  OwningOpRef<ModuleOp> module = std::move(*built);
  auto loss = module->lookupSymbol<func::FuncOp>("loss");
  if (!loss) return errorf("{}: the graph has no function @loss to train", options.input);
  std::vector<ParameterSettings> parameters;
  for (const TrainedParameter &p : options.trainable)
    parameters.push_back({p.name, p.lr_scale, p.weight_decay});
  if (parameters.empty()) return errorf("{}: no parameter to train was named", options.input);
  requestTraining(loss, parameters, {options.beta1, options.beta2, options.epsilon, options.l2sp});

  PassManager manager(&context, ModuleOp::getOperationName());
  DiagnosticCollector diagnostics(&context);
  LINNET_TRY(appendPasses(manager, "linnet-autodiff", "training"));
  if (options.dtype == "bf16")
    LINNET_TRY(appendPasses(manager, "canonicalize,cse,linnet-mixed-precision{weights=f32 compute=bf16}",
                            "training"));
  if (failed(manager.run(*module))) return diagnostics.error("linnet-autodiff failed and did not say why");
  return module;
}

} // namespace linnet
