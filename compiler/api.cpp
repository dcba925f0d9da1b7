// The table that the driver gets from dlsym.
#include "compiler/api.h"

#include "backends/reference/device.h"
#include "compiler/bisect.h"
#include "compiler/compile.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/pull.h"
#include "passes/Passes.h"
#include "passes/Target.h"
#include "runtime/device.h"
#include "support/error.h"
#include "support/file.h"
#include "support/scratch_directory.h"

#include <algorithm>

namespace linnet {
namespace {

Result<CheckpointSummary> inspectCheckpoint(const std::string &path) {
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  LINNET_ASSIGN(auto tokenizer, checkpoint.tokenizer());
  CheckpointSummary summary;
  summary.format = checkpoint.format();
  summary.config = checkpoint.config().toJson().dump(2);
  summary.has_tokenizer = tokenizer.has_value();
  for (const TensorView &tensor : checkpoint.tensors()) {
    summary.tensors.push_back({tensor.name, storageTypeName(tensor.type), tensor.shape, tensor.bytes.size()});
    summary.parameters += tensor.elements();
    summary.bytes += tensor.bytes.size();
  }
  return summary;
}

/// The type that most of the checkpoint is in; safetensors has no blocks, so those become f32.
StorageType typeToExport(const Checkpoint &checkpoint, bool blocks) {
  const TensorView *table = checkpoint.find("wte.weight");
  StorageType type = table ? table->type : StorageType::f32;
  bool kept = type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16 ||
              (blocks && (type == StorageType::q8_0 || type == StorageType::q4_0));
  return kept ? type : StorageType::f32;
}

Result<void> exportModel(const ExportOptions &options) {
  bool gguf = options.format == "gguf";
  if (gguf || options.format == "safetensors") {
    LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(options.input));
    StorageType type = typeToExport(checkpoint, gguf);
    if (!options.dtype.empty()) {
      LINNET_ASSIGN(type, parseStorageType(options.dtype));
    }
    return gguf ? exportGguf(checkpoint, type, options.output)
                : exportSafetensors(checkpoint, type, options.output);
  }
  return errorf("unknown format '{}', expected gguf or safetensors", options.format);
}

Result<void> initModel(const InitOptions &options) {
  return initCheckpoint(options.preset, options.seed, options.directory);
}

Result<std::string> pullModel(const PullOptions &options) {
  return pullCheckpoint(options.model, options.directory,
                        [&](uint64_t done, uint64_t total, std::string_view what) {
                          if (options.progress) options.progress(std::string(what), done, total);
                        });
}

void registerDevices() {
  registerDevice("reference", [](std::string_view argument) -> Result<std::unique_ptr<Device>> {
    if (!argument.empty()) return errorf("device reference takes no argument, found '{}'", argument);
    return reference::makeDevice();
  });
}

Result<std::vector<std::byte>> readTokenizer(const std::string &path) {
  LINNET_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  LINNET_ASSIGN(auto tokenizer, checkpoint.tokenizer());
  return tokenizer ? tokenizer->serialize() : std::vector<std::byte>();
}

Result<std::vector<std::string>> optionalPasses(const std::string &spec, int opt_level) {
  const TargetDescription *target = findTarget(spec.substr(0, spec.find(':')));
  if (!target) return errorf("unknown target '{}', expected {}", spec, targetNames());
  auto holds = [](const std::vector<std::string> &names, const std::string &name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> names;
  for (const std::string &name : defaultPasses(*target, opt_level))
    if (!holds(requiredPasses(), name) && !holds(names, name)) names.push_back(name);
  return names;
}

/// Directories after the files in them.
void removeUnfinished() {
  removeUnfinishedFiles();
  removeUnfinishedDirectories();
}

} // namespace
} // namespace linnet

extern "C" __attribute__((visibility("default"))) const linnet::CompilerApi *linnet_compiler_api() {
  using namespace linnet;
  static const CompilerApi api = {kCompilerApiVersion, "linnet " LINNET_PROJECT_VERSION,
                                  compileModel,        compileCached,
                                  inspectCheckpoint,   exportModel,
                                  initModel,           pullModel,
                                  registerDevices,     readTokenizer,
                                  removeUnfinished,    optionalPasses,
                                  bisectModel};
  return &api;
}
