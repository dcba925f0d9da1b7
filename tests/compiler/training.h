// Programs that train, and their numbers.
#pragma once
#include "frontend/checkpoint/safetensors.h"
#include "linnet/graph.h"
#include "tests/compiler/scratch.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

namespace linnet::testing {

inline std::vector<float> floatsOf(const TensorView &view) {
  std::vector<float> values(view.elements());
  REQUIRE(readF32(view, 0, values));
  return values;
}
inline std::vector<int32_t> intsOf(const TensorView &view) {
  std::vector<int32_t> values(view.elements());
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t value;
    std::memcpy(&value, view.bytes.data() + 8 * i, 8);
    values[i] = static_cast<int32_t>(value);
  }
  return values;
}

/// Of the largest value.
inline double difference(std::span<const float> found, std::span<const float> expected) {
  REQUIRE(found.size() == expected.size());
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::fabs(double(found[i]) - expected[i]));
    largest = std::max(largest, std::fabs(double(expected[i])));
  }
  return worst / largest;
}

inline std::string deviceOf(const std::string &target) { return target.substr(0, target.find(':')); }

/// A program that trains, its parameters written. `prefix`: of the names in the file.
struct Training {
  Training(const TrainingOptions &options, const SafetensorsFile &start, const std::string &device,
           const std::string &prefix = "") {
    auto report = api().compileTraining(options);
    if (!report) FAIL(report.error().message);
    auto loaded = Graph::load(options.output, {.device = device, .threads = 2});
    if (!loaded) FAIL(loaded.error().message);
    graph.emplace(std::move(*loaded));
    for (const TrainedParameter &p : options.trainable) {
      const TensorView *view = start.find(prefix + p.name);
      if (!view) view = start.find(p.name);
      REQUIRE(view);
      std::vector<float> values = floatsOf(*view);
      auto written = graph->writeState("param." + p.name, std::as_bytes(std::span(values)));
      if (!written) FAIL(written.error().message);
    }
  }
  std::vector<NamedTensor> run(const std::string &entry, const std::vector<NamedTensor> &inputs) {
    auto out = graph->run(entry, inputs);
    if (!out) FAIL(out.error().message);
    return std::move(*out);
  }
  std::vector<float> state(const std::string &name) {
    auto tensor = graph->readState(name);
    if (!tensor) FAIL(tensor.error().message);
    return {tensor->floats().begin(), tensor->floats().end()};
  }
  /// The norm before clipping.
  float update(int step, float scale, float max_norm = 3e38f, float lr = 1e-3f) {
    auto one = [](const char *name, double value) {
      auto number = static_cast<float>(value);
      return NamedTensor{name, Tensor::fromFloats({1}, std::span(&number, 1))};
    };
    float norm = run("norm", {one("grad_scale", scale)}).at(0).tensor.floats()[0];
    run("update", {one("lr", lr), one("m_scale", 1 / (1 - std::pow(0.9, step))),
                   one("v_scale", 1 / (1 - std::pow(0.999, step))),
                   one("grad_scale", scale * std::min(1.0f, max_norm / norm))});
    return norm;
  }
  std::optional<Graph> graph;
};

inline double sum(const NamedTensor &loss) {
  return std::accumulate(loss.tensor.floats().begin(), loss.tensor.floats().end(), 0.0);
}

} // namespace linnet::testing
