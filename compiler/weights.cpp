#include "compiler/weights.h"

#include "backends/reference/weights.h"
#include "compiler/keep.h"
#include "support/error.h"

#include <bit>
#include <cmath>
#include <map>

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

/// Whether no value is infinite or NaN. Without branches, because a model has millions.
bool allFinite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (float value : values) bad |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent;
  return !bad;
}

/// An error if a weight is infinite or NaN, because trained models have no such weights. A graph's constants
/// may be infinite (masks).
WeightTensor finiteOnly(WeightTensor weight, const std::string &where) {
  auto read = [inner = std::move(weight.read), where](int64_t first, std::span<float> out) -> Result<void> {
    LINNET_TRY(inner(first, out));
    if (allFinite(out)) return {};
    size_t i = 0;
    while (std::isfinite(out[i])) ++i;
    return errorf("{}: element {} is {}, expected a finite number", where, static_cast<size_t>(first) + i,
                  out[i]);
  };
  return {weight.dtype, std::move(weight.shape), std::move(read)};
}

class CheckpointWeights : public WeightSource {
public:
  explicit CheckpointWeights(const Checkpoint &from) : checkpoint(from) {}
  Result<WeightTensor> open(std::string_view name) override {
    const std::string where = fmt::format("{}: tensor '{}'", checkpoint.path(), name);
    if (const TensorView *view = checkpoint.find(name)) return finiteOnly(weightOf(*view), where);
    LINNET_ASSIGN(std::optional<WeightTensor> kept, keptWeight(checkpoint, name));
    if (kept) return finiteOnly(std::move(*kept), where);
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

/// Reads a whole tensor, for the interpreter.
Result<reference::Tensor> readWhole(WeightSource &source, std::string_view name) {
  LINNET_ASSIGN(WeightTensor weight, source.open(name));
  reference::Tensor tensor = reference::Tensor::zeros(reference::Kind::f32, weight.shape);
  LINNET_TRY(weight.read(0, *tensor.floats));
  return tensor;
}

/// Reads parts of a tensor in memory. Integers become floats.
WeightTensor partsOf(const reference::Tensor &tensor, std::string_view name) {
  auto read = [tensor, label = std::string(name)](int64_t first, std::span<float> out) -> Result<void> {
    auto size = static_cast<uint64_t>(tensor.size()), begin = static_cast<uint64_t>(first);
    if (first < 0 || begin > size || out.size() > size - begin)
      return errorf("{}: elements [{}, +{}) of {} were asked for", label, first, out.size(), size);
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = tensor.isFloat() ? tensor.data()[begin + i] : static_cast<float>(tensor.ints()[begin + i]);
    return {};
  };
  return WeightTensor{fb::DType::f32, tensor.shape, read};
}

class ProvidedWeights : public WeightSource {
public:
  explicit ProvidedWeights(reference::WeightProvider from) : provider(std::move(from)) {}
  Result<WeightTensor> open(std::string_view name) override {
    LINNET_ASSIGN(const reference::Tensor tensor, provider(name));
    return partsOf(tensor, name);
  }

private:
  reference::WeightProvider provider;
};

class ComputedWeights : public WeightSource {
public:
  ComputedWeights(mlir::ModuleOp module, WeightSource &stored) : module(module), stored(stored) {}

  Result<WeightTensor> open(std::string_view name) override {
    auto function = reference::weightFunction(module, name);
    if (!function) return stored.open(name);
    LINNET_ASSIGN(reference::Tensor tensor, compute(function));
    return partsOf(tensor, name);
  }

private:
  /// Evaluates a weight function. Small results are cached: scales are needed for their matrix and as
  /// weights.
  Result<reference::Tensor> compute(mlir::func::FuncOp function) {
    constexpr int64_t kKeptElements = 1 << 20;
    std::string name = function.getName().str();
    if (auto found = kept.find(name); found != kept.end()) return found->second;
    auto provider = [this](std::string_view other) -> Result<reference::Tensor> {
      return readWhole(stored, other);
    };
    LINNET_ASSIGN(reference::Tensor tensor, reference::computeWeight(function, provider));
    if (tensor.size() <= kKeptElements) kept.emplace(std::move(name), tensor);
    return tensor;
  }

  mlir::ModuleOp module;
  WeightSource &stored;
  std::map<std::string, reference::Tensor> kept;
};

} // namespace

reference::WeightProvider providerOf(WeightSource &stored) {
  auto read = std::make_shared<std::map<std::string, reference::Tensor, std::less<>>>();
  return [&stored, read](std::string_view name) -> Result<reference::Tensor> {
    if (auto found = read->find(name); found != read->end()) return found->second;
    LINNET_ASSIGN(reference::Tensor tensor, readWhole(stored, name));
    return read->emplace(std::string(name), std::move(tensor)).first->second;
  };
}

std::unique_ptr<WeightSource> withComputed(mlir::ModuleOp module, WeightSource &stored) {
  return std::make_unique<ComputedWeights>(module, stored);
}
std::unique_ptr<WeightSource> weightsOf(const Checkpoint &checkpoint) {
  return std::make_unique<CheckpointWeights>(checkpoint);
}
std::unique_ptr<WeightSource> weightsOf(reference::WeightProvider provider) {
  return std::make_unique<ProvidedWeights>(std::move(provider));
}
std::unique_ptr<WeightSource> weightsOf(std::optional<SafetensorsFile> file, const std::string &path) {
  return std::make_unique<FileWeights>(std::move(file), path);
}

} // namespace linnet
