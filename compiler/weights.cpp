#include "compiler/weights.h"

#include "support/error.h"

namespace linnet {
namespace {

fb::DType storedAs(StorageType type) {
  switch (type) {
  case StorageType::f16:
    return fb::DType::f16;
  case StorageType::bf16:
    return fb::DType::bf16;
  default:
    return fb::DType::f32;
  }
}

WeightTensor weightOf(const TensorView &view) {
  auto read = [view](int64_t first, std::span<float> out) -> Result<void> {
    uint64_t elements = view.elements(), begin = static_cast<uint64_t>(first);
    if (first < 0 || begin > elements || out.size() > elements - begin)
      return errorf("{}: elements [{}, +{}) of {} were asked for", view.name, first, out.size(), elements);
    return readF32(view, begin, out);
  };
  return {storedAs(view.type), view.shape, read};
}

class CheckpointWeights : public WeightSource {
public:
  explicit CheckpointWeights(const Checkpoint &from) : checkpoint(from) {}
  Result<WeightTensor> open(std::string_view name) override {
    if (const TensorView *view = checkpoint.find(name)) return weightOf(*view);
    return errorf("{}: no tensor '{}'", checkpoint.path(), name);
  }

private:
  Checkpoint checkpoint;
};

class FileWeights : public WeightSource {
public:
  FileWeights(std::optional<SafetensorsFile> from, std::string file_path)
      : file(std::move(from)), path(std::move(file_path)) {}
  Result<WeightTensor> open(std::string_view name) override {
    if (!file)
      return errorf("the graph has a linnet.param \"{}\", and no file of weights was given (--weights)",
                    name);
    if (const TensorView *view = file->find(name)) return weightOf(*view);
    return errorf("{}: no tensor '{}'", path, name);
  }

private:
  std::optional<SafetensorsFile> file;
  std::string path;
};

} // namespace

std::unique_ptr<WeightSource> weightsOf(const Checkpoint &checkpoint) {
  return std::make_unique<CheckpointWeights>(checkpoint);
}
std::unique_ptr<WeightSource> weightsOf(std::optional<SafetensorsFile> file, const std::string &path) {
  return std::make_unique<FileWeights>(std::move(file), path);
}

} // namespace linnet
