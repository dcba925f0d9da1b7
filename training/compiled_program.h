// A compiled training program on a device.
#pragma once
#include "linnet/graph.h"
#include "training/program.h"

#include <functional>
#include <string>
#include <vector>

namespace linnet::training {

/// Entries @accumulate, @norm, @update and @evaluate over states "param.NAME", "grad.NAME", "m.NAME",
/// "v.NAME" (docs/finetuning.md).
class CompiledProgram : public TrainingProgram {
public:
  /// Adam's coefficients of the compiled program. `max_norm` 0: no clipping. `seed` is the first word of
  /// dropout's key; accumulate() receives the second.
  struct Optimizer {
    double beta1 = 0.9, beta2 = 0.999, max_norm = 0;
    uint32_t seed = 0;
  };
  static Result<CompiledProgram> load(const std::string &artifact, const LoadOptions &options,
                                      const Optimizer &optimizer);

  Result<double> accumulate(const Batch &batch, uint32_t seed) override;
  Result<double> update(const UpdateInputs &inputs) override;
  Result<Evaluation> evaluate(const Batch &batch) override;
  const std::vector<StateInfo> &states() const override { return kept; }
  Result<std::vector<float>> read(std::string_view state) override;
  Result<void> write(std::string_view state, std::span<const float> values) override;
  Result<std::string> firstNonFinite(Quantity quantity, std::span<const Replay> batches) override;

  /// Sets the function that compiles the same program for "reference" and returns its file. firstNonFinite()
  /// runs it.
  void setChecker(std::function<Result<std::string>()> compile) { checker = std::move(compile); }

  void setProfiler(std::shared_ptr<Profiler> profiler) { graph.setProfiler(std::move(profiler)); }
  MemoryUse memory() const { return graph.memory(); }
  /// Names of "start.NAME" states: copies of the parameters that a penalty pulls towards.
  const std::vector<StateInfo> &starts() const { return start_states; }

private:
  explicit CompiledProgram(Graph g) : graph(std::move(g)) {}
  Result<std::vector<NamedTensor>> run(const char *entry, const Batch &batch, bool scores, uint32_t seed);
  Result<double> gradientNorm(double scale);
  Result<std::string> nonFiniteState(std::string_view prefix);
  Graph graph;
  Optimizer optimizer;
  std::function<Result<std::string>()> checker;
  std::vector<StateInfo> kept, start_states;
};

} // namespace linnet::training
