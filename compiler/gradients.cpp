#include "compiler/gradients.h"

#include "compiler/compile.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "linnet/graph.h"
#include "support/error.h"
#include "support/scratch_directory.h"

#include <algorithm>
#include <cmath>

namespace linnet {
namespace {

/// Index of the first value outside [low, limit) other than `also`; -1 if there is none.
int64_t outside(const std::vector<int64_t> &values, int64_t low, int64_t limit, int64_t also) {
  auto bad = std::find_if(values.begin(), values.end(),
                          [&](int64_t v) { return v != also && (v < low || v >= limit); });
  return bad == values.end() ? -1 : bad - values.begin();
}

Result<void> check(const GradientOptions &options, const ModelDescription &config) {
  if (options.ids_shape.size() != 2 || options.ids.empty())
    return errorf("{}: expected ids of shape [B, T] with at least one, found [{}]", options.ids_name,
                  fmt::join(options.ids_shape, ", "));
  std::vector<int64_t> wanted = options.ids_shape;
  if (config.classifies()) wanted.pop_back();
  if (options.labels_shape != wanted)
    return errorf("{}: expected labels of shape [{}], as {} goes with them, found [{}]", options.labels_name,
                  fmt::join(wanted, ", "), options.ids_name, fmt::join(options.labels_shape, ", "));
  if (options.ids_shape[1] > config.n_positions)
    return errorf("{}: rows of {} ids, the model has {} positions", options.ids_name, options.ids_shape[1],
                  config.n_positions);
  if (int64_t at = outside(options.ids, 0, config.vocab_size, 0); at >= 0)
    return errorf("{}: element {} is {}, expected from 0 to {}", options.ids_name, at,
                  options.ids[static_cast<size_t>(at)], config.vocab_size - 1);
  int64_t classes = config.classifies() ? static_cast<int64_t>(config.id2label.size()) : config.vocab_size;
  if (int64_t at = outside(options.labels, 0, classes, -100); at >= 0)
    return errorf("{}: element {} is {}, expected from 0 to {}, or -100 for one that does not count",
                  options.labels_name, at, options.labels[static_cast<size_t>(at)], classes - 1);
  if (std::all_of(options.labels.begin(), options.labels.end(), [](int64_t label) { return label < 0; }))
    return errorf("{}: every label is -100: there is no loss", options.labels_name);
  return {};
}

Tensor toInts(const std::vector<int64_t> &shape, const std::vector<int64_t> &values) {
  std::vector<int32_t> narrow(values.begin(), values.end());
  return Tensor::fromInts(shape, narrow);
}

/// A float tensor for the file. The state is read only when it is written.
TensorToWrite scaledState(Graph &graph, const std::string &name, std::vector<int64_t> shape, float scale) {
  auto write = [&graph, name, scale](const auto &sink) -> Result<void> {
    LINNET_ASSIGN(Tensor tensor, graph.readState("grad." + name));
    std::vector<float> values(tensor.floats().begin(), tensor.floats().end());
    for (float &value : values) value *= scale;
    auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
    if (bad != values.end())
      return errorf("the gradient of {}, element {}, is {}, expected a finite number", name,
                    bad - values.begin(), std::isnan(*bad) ? "nan" : "infinite");
    return sink(std::as_bytes(std::span(values)));
  };
  return {name, StorageType::f32, std::move(shape), write};
}

/// Loads the program on a device and sets the checkpoint's parameters.
Result<Graph> loadWithParameters(const TrainingOptions &training, const Checkpoint &checkpoint,
                                 const LoadOptions &load) {
  LINNET_TRY(compileTraining(training));
  LINNET_ASSIGN(Graph graph, Graph::load(training.output, load));
  for (const TensorView &tensor : checkpoint.tensors()) {
    std::vector<float> values(tensor.elements());
    LINNET_TRY(readF32(tensor, 0, values));
    LINNET_TRY(graph.writeState("param." + tensor.name, std::as_bytes(std::span(values))));
  }
  return graph;
}

/// The error about an infinite or NaN loss. The interpreter finds the first such op.
Error lossError(double loss, TrainingOptions training, const Checkpoint &checkpoint,
                std::span<const NamedTensor> inputs) {
  const std::string message =
      fmt::format("the loss is {}, expected a finite number", std::isnan(loss) ? "nan" : "infinite");
  training.target = "reference";
  auto checking = loadWithParameters(training, checkpoint, {.device = "reference:check"});
  if (!checking) return checking.error();
  const std::string wanted[] = {"loss"};
  auto run = checking->run("accumulate", inputs, wanted);
  return Error{run ? message : message + "; first in " + run.error().message};
}

} // namespace

Result<GradientReport> computeGradients(const GradientOptions &options) {
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(options.input));
  const ModelDescription &config = checkpoint.config();
  LINNET_TRY(check(options, config));
  LINNET_ASSIGN(ScratchDirectory scratch, ScratchDirectory::create("linnet-grad"));
  TrainingOptions training;
  training.input = options.input;
  training.output = scratch.path() + "/loss.linnet";
  training.target = targetFor(options.device);
  training.onednn = options.onednn;
  training.task = config.classifies() ? "classify" : "lm";
  training.max_batch = options.ids_shape[0], training.max_seq = options.ids_shape[1];
  training.progress = options.progress;
  for (const TensorView &tensor : checkpoint.tensors()) training.trainable.push_back({tensor.name});
  LINNET_ASSIGN(Graph graph, loadWithParameters(training, checkpoint,
                                                {.device = options.device, .threads = options.threads}));
  std::vector<NamedTensor> inputs = {{"ids", toInts(options.ids_shape, options.ids)},
                                     {"labels", toInts(options.labels_shape, options.labels)}};
  if (config.classifies())
    inputs.push_back({"length", toInts({options.ids_shape[0]},
                                       std::vector<int64_t>(static_cast<size_t>(options.ids_shape[0]),
                                                            options.ids_shape[1]))});
  if (options.progress) options.progress("running", 0);
  std::vector<std::string> wanted = {"loss"};
  LINNET_ASSIGN(std::vector<NamedTensor> out, graph.run("accumulate", inputs, wanted));
  GradientReport report;
  double sum = 0;
  for (float loss : out.at(0).tensor.floats()) sum += loss;
  for (int64_t label : options.labels) report.counted += label >= 0;
  report.loss = sum / static_cast<double>(report.counted);
  if (!std::isfinite(report.loss)) return lossError(report.loss, training, checkpoint, inputs);
  auto mean = static_cast<float>(report.loss);
  std::vector<TensorToWrite> tensors = {
      {"loss", StorageType::f32, {1}, [mean](const auto &sink) -> Result<void> {
         return sink(std::as_bytes(std::span(&mean, 1)));
       }}};
  for (const TensorView &tensor : checkpoint.tensors())
    tensors.push_back(scaledState(graph, tensor.name, tensor.shape, 1 / static_cast<float>(report.counted)));
  report.gradients = tensors.size() - 1;
  LINNET_TRY(writeSafetensors(options.output, tensors));
  return report;
}

} // namespace linnet
