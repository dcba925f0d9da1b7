// What a Model's copies and its Sessions share.
#pragma once
#include "linnet/model.h"
#include "runtime/device.h"

#include <memory>
#include <mutex>
#include <string>

namespace linnet {

/// An artifact opened on a device: the part that language models and other graphs have in common.
struct LoadedArtifact {
  Artifact artifact;
  std::unique_ptr<Device> device;
  const fb::Program *program = nullptr;
  DeviceOptions options;

  /// `spec` as in LoadOptions::device.
  static Result<LoadedArtifact> open(const std::string &path, const LoadOptions &options);
  std::string deviceText() const { return device->description(options); }
  void describeTo(Profiler &profiler) const { profiler.setDevice(deviceText(), device->kind()); }
  Result<std::unique_ptr<Executable>> load() { return device->load(artifact, *program, options); }
};

struct LoadedModel {
  LoadedArtifact file;
  ModelConfig config;
  GenerateOptions generation;
  std::string config_json;
  std::optional<Tokenizer> tokenizer;
  MemoryUse memory;
  std::mutex mutex;
  std::unique_ptr<Executable> spare; // made by Model::load, for the first session

  /// The spare one, or a new one.
  Result<std::unique_ptr<Executable>> takeExecutable();
};

/// Reads the numbers that sessions need out of the configuration, and a classifier's labels.
Result<ModelConfig> parseModelConfig(const Artifact &artifact);
/// Defaults, and what the artifact's generation settings say instead.
Result<GenerateOptions> parseGeneration(const Artifact &artifact);

} // namespace linnet
