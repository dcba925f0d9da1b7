// Any compiled graph, language model or not: run an entry by name with tensors of the host.
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
  /// Empty where the type is another.
  std::span<const float> floats() const;
  std::span<const int32_t> ints() const;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// An input or output. A dimension is a number, or a name with its bound ("batch", up to 8), or a formula.
struct PortInfo {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<std::string> shape;
  std::vector<int64_t> largest; ///< the shape at the bounds
};

struct EntryInfo {
  std::string name;
  std::vector<PortInfo> inputs, outputs;
};

/// Not for two threads at a time.
class LINNET_API Graph {
public:
  static Result<Graph> load(const std::string &path, const LoadOptions &options = {});
  Graph(Graph &&) noexcept;
  Graph &operator=(Graph &&) noexcept;
  ~Graph();

  const std::vector<EntryInfo> &entries() const;
  /// Runs an entry. Named dimensions take their values from the inputs' shapes; one that no input has is at
  /// its bound. Inputs may come in any order. `outputs`: the ones to give back, all when empty.
  Result<std::vector<NamedTensor>> run(std::string_view entry, std::span<const NamedTensor> inputs,
                                       std::span<const std::string> outputs = {});
  /// States (caches, counters) back to zero.
  void resetStates();
  /// What outlives a run, at its largest size: caches, counters, a training program's parameters.
  const std::vector<PortInfo> &states() const;
  /// A state's contents at its largest size, row-major.
  Result<Tensor> readState(std::string_view name);
  Result<void> writeState(std::string_view name, std::span<const std::byte> bytes);
  MemoryUse memory() const;
  /// Runs to come are noted in `profiler`; null: no more.
  void setProfiler(std::shared_ptr<Profiler> profiler);

private:
  struct State;
  explicit Graph(std::unique_ptr<State> s);
  std::unique_ptr<State> state;
};

} // namespace linnet
