// The seam between the loop and what computes: a compiled training program, or a few lines in a test.
#pragma once
#include "support/result.h"
#include "training/batch.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

struct UpdateInputs {
  int64_t step = 0;      ///< from 1: what Adam's bias correction counts
  double lr = 0;         ///< this step's, before each parameter's own factor
  double grad_scale = 1; ///< 1 / labels counted since the last update: gradients are accumulated as sums
};

/// A batch that was given to accumulate() or evaluate(), so that it can be run again.
struct Replay {
  Batch batch;
  uint32_t seed = 0; ///< of accumulate()
};

/// Which number was found not to be finite.
enum class Quantity : uint8_t { Loss, Gradient, HeldOutLoss };

struct Evaluation {
  double loss_sum = 0;       ///< over batch.counted labels, without dropout
  std::vector<float> scores; ///< of a classifier: [rows, labels]; else empty
};

struct StateInfo {
  std::string name; ///< "param.NAME", "m.NAME", "v.NAME"
  std::vector<int64_t> shape;
};

class TrainingProgram {
public:
  virtual ~TrainingProgram() = default;
  /// Adds the gradient of the sum of the batch's losses; gives that sum. `seed` is dropout's.
  virtual Result<double> accumulate(const Batch &batch, uint32_t seed) = 0;
  /// One AdamW step, and the gradients back to zero. Returns the norm of the gradient before clipping. If
  /// that is not finite, nothing has changed.
  virtual Result<double> update(const UpdateInputs &inputs) = 0;
  virtual Result<Evaluation> evaluate(const Batch &batch) = 0;
  /// All that a run needs to go on: trained parameters and the optimizer's moments, f32.
  virtual const std::vector<StateInfo> &states() const = 0;
  virtual Result<std::vector<float>> read(std::string_view state) = 0;
  virtual Result<void> write(std::string_view state, std::span<const float> values) = 0;
  /// Returns the first op whose result is not finite, and its place, or the parameter that is not. `batches`
  /// are what leads to `quantity`: one batch for a loss, all batches of the step for its gradient.
  virtual Result<std::string> firstNonFinite(Quantity quantity, std::span<const Replay> batches) = 0;
};

} // namespace linnet::training
