// Runs an entry of any compiled graph by name, with tensors in host memory.
//
//   auto graph = linnet::Graph::load("mlp.linnet");
//   auto out = graph->run("main", {{"x", linnet::Tensor::fromFloats({2, 16}, values)}});
//   float first = out->at(0).tensor.floats()[0];
#pragma once
#include "linnet/api.h"
#include "linnet/memory_use.h"
#include "linnet/model.h"
#include "linnet/profile.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

enum class ElementType : uint8_t { F32, F16, BF16, I32, I8 };

/// A dense row-major tensor.
struct LINNET_API Tensor {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  static Tensor fromFloats(std::vector<int64_t> shape, std::span<const float> values);
  static Tensor fromInts(std::vector<int64_t> shape, std::span<const int32_t> values);
  /// The elements of an F32 tensor (I32 for ints()). Empty if the tensor has another type. The span points
  /// into `bytes`.
  std::span<const float> floats() const;
  std::span<const int32_t> ints() const;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// An input or output of an entry.
struct PortInfo {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<std::string> shape; ///< each dimension is a number, a name ("batch") or a formula of names
  std::vector<int64_t> largest;   ///< the shape at the bounds
};

struct EntryInfo {
  std::string name;
  std::vector<PortInfo> inputs, outputs;
};

/// A Graph is not thread-safe: one thread at a time.
class LINNET_API Graph {
public:
  /// Loads an artifact of any kind. The errors are those of Model::load, except that every kind is accepted.
  static Result<Graph> load(const std::string &path, const LoadOptions &options = {});
  Graph(Graph &&) noexcept;
  Graph &operator=(Graph &&) noexcept;
  ~Graph();

  const std::vector<EntryInfo> &entries() const;
  /// Runs an entry. The shapes of the inputs give the values of named dimensions; a dimension that no input
  /// has is at its bound. Inputs may be in any order. `outputs` names the outputs to return; empty means all.
  Result<std::vector<NamedTensor>> run(std::string_view entry, std::span<const NamedTensor> inputs,
                                       std::span<const std::string> outputs = {});
  /// Sets all states (caches, counters) to zero.
  void resetStates();
  /// The states, at their largest sizes: data that outlives a run, such as caches or trained parameters.
  const std::vector<PortInfo> &states() const;
  /// A state's contents at its largest size, row-major. Errors: no state of that name, or the device cannot.
  Result<Tensor> readState(std::string_view name);
  /// Overwrites a state. `bytes` must have exactly the size of readState's result.
  Result<void> writeState(std::string_view name, std::span<const std::byte> bytes);
  MemoryUse memory() const;
  /// Records later runs in `profiler`. Null stops recording.
  void setProfiler(std::shared_ptr<Profiler> profiler);

private:
  struct State;
  explicit Graph(std::unique_ptr<State> s);
  std::unique_ptr<State> state;
};

} // namespace linnet
