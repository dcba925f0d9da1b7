// The table that the driver obtains with dlsym.
#include "compiler/api.h"

#include "backends/reference/device.h"
#include "compiler/bisect.h"
#include "compiler/compile.h"
#include "compiler/gradients.h"
#include "compiler/graph_summary.h"
#include "compiler/pipeline.h"
#include "compiler/target.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/derive.h"
#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/pull.h"
#include "frontend/model/family.h"
#include "runtime/device.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/scratch_directory.h"

#include "llvm/Config/llvm-config.h"

#include <algorithm>

namespace linnet {
namespace {

Result<CheckpointSummary> inspectCheckpoint(const std::string &path) {
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  LINNET_ASSIGN(auto tokenizer, checkpoint.tokenizer());
  CheckpointSummary summary;
  summary.format = checkpoint.format();
  summary.config = checkpoint.config().toJson().dump(2);
  summary.metadata = checkpoint.metadata();
  summary.ignored_keys = checkpoint.config().ignored_keys;
  if (const Json generation = checkpoint.config().generation.toJson(); !generation.empty())
    summary.generation = generation.dump(2);
  summary.ignored = checkpoint.config().generation.ignored;
  summary.end_tokens = checkpoint.config().endTokens();
  summary.has_tokenizer = tokenizer.has_value();
  summary.positions = checkpoint.config().n_positions;
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const TensorView &tensor = checkpoint.tensors()[i];
    const TensorSpec &spec = checkpoint.specs()[i];
    summary.tensors.push_back({tensor.name, storageTypeName(tensor.type), tensor.shape, tensor.bytes.size(),
                               spec.role, spec.block, exportedName(spec, checkpoint.config())});
    summary.parameters += tensor.elements();
    summary.bytes += tensor.bytes.size();
  }
  return summary;
}

/// The most frequent type of the checkpoint's tensors. Block types become f32 unless the format has blocks.
StorageType typeToExport(const Checkpoint &checkpoint, bool blocks) {
  const auto table = std::find_if(checkpoint.specs().begin(), checkpoint.specs().end(),
                                  [](const TensorSpec &spec) { return spec.role == TensorRole::embedding; });
  const StorageType type = checkpoint.find(table->name)->type;
  bool kept = type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16 ||
              (blocks && (type == StorageType::q8_0 || type == StorageType::q4_0));
  return kept ? type : StorageType::f32;
}

Result<ExportReport> exportModel(const ExportOptions &options) {
  bool gguf = options.format == "gguf";
  if (gguf || options.format == "safetensors") {
    LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(options.input, options.settings));
    StorageType type = typeToExport(checkpoint, gguf);
    if (!options.dtype.empty()) {
      LINNET_ASSIGN(type, parseStorageType(options.dtype));
    }
    ExportReport report;
    if (gguf) {
      LINNET_ASSIGN(report.lost, exportGguf(checkpoint, type, options.output));
    } else {
      LINNET_TRY(exportSafetensors(checkpoint, type, options.output));
    }
    return report;
  }
  return errorf("unknown format '{}', expected gguf or safetensors", options.format);
}

Result<void> checkTarget(const std::string &spec) {
  LINNET_TRY(parseTarget(spec));
  return {};
}

Result<void> initModel(const InitOptions &options) {
  LINNET_ASSIGN(ModelDescription config, options.config.empty() ? presetConfig(options.preset)
                                                                : ModelDescription::read(options.config));
  if (options.positions && options.config.empty()) config.n_positions = options.positions;
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, options.tokenizer.empty()
                                                        ? presetTokenizer(options.preset)
                                                        : Tokenizer::fromDirectory(options.tokenizer));
  if (!options.tokenizer.empty() && !tokenizer)
    return errorf("{}: no tokenizer here (tokenizer.json, or vocab.json and merges.txt)", options.tokenizer);
  if (!options.tokenizer.empty()) {
    config.vocab_size = tokenizer->idLimit();
    config.bos_token_id = tokenizer->bosId();
    config.eos_token_ids.clear();
    if (auto eos = tokenizer->eosId()) config.eos_token_ids = {*eos};
  }
  if (!options.labels.empty()) {
    config.task = ModelTask::classifier;
    config.id2label.clear();
    for (const std::string &label : options.labels)
      config.id2label[static_cast<int64_t>(config.id2label.size())] = label;
    if (!config.pad_token_id && !config.eos_token_ids.empty())
      config.pad_token_id = config.eos_token_ids.front(); // like makeClassifier
  }
  return initCheckpoint(config, options.seed, options.directory, tokenizer,
                        fmt::format("untrained: random weights, linnet init --preset {} --seed {}",
                                    options.preset, options.seed),
                        options.to_train ? Vectors::constant : Vectors::drawn);
}

Result<void> makeStart(const StartOptions &options) {
  LINNET_ASSIGN(Checkpoint base, Checkpoint::open(options.input));
  if (options.labels.empty()) return makeLanguageModel(base, options.directory);
  std::map<int64_t, std::string> labels;
  for (const std::string &label : options.labels) labels[static_cast<int64_t>(labels.size())] = label;
  ClassifierHead head;
  head.pooling = options.pooling;
  head.hidden = options.hidden;
  head.activation_function = options.activation;
  auto activation = activationNamed(options.activation);
  if (!activation)
    return errorf("unknown activation \"{}\", expected one of {}", options.activation, kActivations);
  head.activation = *activation;
  return makeClassifier(base, labels, head, options.seed, options.directory);
}

Result<void> writeTrainedModel(const TrainedOptions &options) {
  LINNET_ASSIGN(Checkpoint base, Checkpoint::open(options.input));
  LINNET_ASSIGN(StorageType type, parseStorageType(options.dtype));
  return writeTrained(base, options.parameters, type, options.as_language_model, options.directory);
}

Result<std::string> pullModel(const PullOptions &options) {
  return pullCheckpoint(options.model, options.directory,
                        [&](uint64_t done, uint64_t total, std::string_view what) {
                          if (options.progress) options.progress(std::string(what), done, total);
                        });
}

void registerDevices() {
  registerDevice("reference", [](std::string_view argument) -> Result<std::unique_ptr<Device>> {
    if (!argument.empty() && argument != "check")
      return errorf("device reference takes only 'check' after the colon, found '{}'", argument);
    return reference::makeDevice(argument == "check");
  });
}

Result<std::vector<std::byte>> readTokenizer(const std::string &path) {
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  LINNET_ASSIGN(auto tokenizer, checkpoint.tokenizer());
  return tokenizer ? tokenizer->serialize() : std::vector<std::byte>();
}

/// Removes files, then the directories that hold them.
void removeUnfinished() {
  removeUnfinishedFiles();
  removeUnfinishedDirectories();
}

} // namespace
} // namespace linnet

extern "C" __attribute__((visibility("default"))) const linnet::CompilerApi *linnet_compiler_api() {
  using namespace linnet;
  static const CompilerApi api = {kCompilerApiVersion, "linnet " LINNET_PROJECT_VERSION,
                                  LLVM_VERSION_STRING, compileModel,
                                  compileCached,       inspectCheckpoint,
                                  exportModel,         initModel,
                                  pullModel,           registerDevices,
                                  readTokenizer,       removeUnfinished,
                                  optionalPasses,      bisectModel,
                                  makeStart,           writeTrainedModel,
                                  compileTraining,     computeGradients,
                                  inspectGraph,        presetNames,
                                  hubNameOf,           checkTarget};
  return &api;
}
