// Data that the copies of a Model and its Sessions share.
#pragma once
#include "linnet/model.h"
#include "runtime/device.h"

#include <memory>
#include <mutex>
#include <string>

namespace linnet {

/// An artifact opened on a device, for language models and for other graphs.
struct LoadedArtifact {
  Artifact artifact;
  std::unique_ptr<Device> device;
  const fb::Program *program = nullptr;
  DeviceOptions options;

  /// Opens the artifact at `path` on the device of `options`.
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

  /// Returns `spare` the first time, then new ones.
  Result<std::unique_ptr<Executable>> takeExecutable();
};

/// Reads sizes, tokens and a classifier's labels from the configuration.
Result<ModelConfig> parseModelConfig(const Artifact &artifact);
/// The artifact's generation settings, with defaults for missing ones.
Result<GenerateOptions> parseGeneration(const Artifact &artifact);

} // namespace linnet
