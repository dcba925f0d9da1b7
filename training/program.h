// The interface between the training loop and its program: a compiled one, or a few lines in a test.
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
  int64_t step = 0;      ///< from 1, for Adam's bias correction
  double lr = 0;         ///< learning rate of this step, before the factor of each parameter
  double grad_scale = 1; ///< 1 / labels counted since the last update: gradients are accumulated as sums
};

/// The arguments of an accumulate() or evaluate(), to run it again.
struct Replay {
  Batch batch;
  uint32_t seed = 0; ///< argument of accumulate()
};

/// The quantity that was NaN or infinite.
enum class Quantity : uint8_t { Loss, Gradient, HeldOutLoss };

struct Evaluation {
  double loss_sum = 0;       ///< over batch.counted labels, without dropout
  std::vector<float> scores; ///< a classifier's scores [rows, labels]; else empty
};

struct StateInfo {
  std::string name; ///< "param.NAME", "m.NAME", "v.NAME"
  std::vector<int64_t> shape;
};

class TrainingProgram {
public:
  virtual ~TrainingProgram() = default;
  /// Adds the gradient of the sum of the batch's losses, and returns that sum. `seed` is that of dropout.
  virtual Result<double> accumulate(const Batch &batch, uint32_t seed) = 0;
  /// Makes one AdamW step and zeroes the gradients. Returns the norm of the gradient before clipping. If that
  /// is NaN or infinite, nothing changes.
  virtual Result<double> update(const UpdateInputs &inputs) = 0;
  virtual Result<Evaluation> evaluate(const Batch &batch) = 0;
  /// The states that a run needs to continue: trained parameters and the optimizer's moments, f32.
  virtual const std::vector<StateInfo> &states() const = 0;
  virtual Result<std::vector<float>> read(std::string_view state) = 0;
  virtual Result<void> write(std::string_view state, std::span<const float> values) = 0;
  /// Returns the first op with an infinite or NaN result and its location, or such a parameter. `batches` led
  /// to `quantity`: one batch for a loss, all batches of the step for a gradient.
  virtual Result<std::string> firstNonFinite(Quantity quantity, std::span<const Replay> batches) = 0;
};

} // namespace linnet::training
