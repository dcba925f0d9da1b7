// The loop: batches in, updates, evaluations, checkpoints.
#pragma once
#include "training/batch.h"
#include "training/program.h"
#include "training/run_directory.h"
#include "training/schedule.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace linnet::training {

struct TrainerOptions {
  Schedule schedule;            ///< schedule.steps is how many updates there are
  int64_t accumulate = 1;       ///< micro-batches to an update
  int64_t evaluate_every = 0;   ///< steps; also before the first and after the last. 0: never
  int64_t patience = 0;         ///< evaluations without a lesser loss before it stops; 0: goes on to the end
  int64_t checkpoint_every = 0; ///< steps; 0: only at the end and when it is stopped
  std::string title;            ///< of the curves
};

struct StepReport {
  int64_t step = 0;
  Position position;
  double loss = 0, lr = 0, grad_norm = 0, seconds = 0;
  int64_t counted = 0; ///< labels in it
};

struct EvaluationReport {
  int64_t step = 0;
  double loss = 0;
  std::optional<double> accuracy; ///< of a classifier: share of right labels
  bool best = false;              ///< the least loss so far

  double perplexity() const; ///< of a language model
};

struct TrainerEvents {
  std::function<void(const StepReport &)> step;
  std::function<void(const EvaluationReport &)> evaluated;
  /// Asked between micro-batches and between the batches of an evaluation; true: what the current step or
  /// evaluation has done is dropped, a checkpoint is written, run() gives Stop::Interrupted.
  std::function<bool()> interrupted;
};

enum class Stop : uint8_t { Finished, Early, Interrupted };

class Trainer {
public:
  Trainer(TrainingProgram &program, const BatchSource &train, const BatchSource *held_out,
          RunDirectory &directory, TrainerOptions options, TrainerEvents events);

  /// From where the run's checkpoint is, or from the program's present states. At the end the program has the
  /// parameters with the least held-out loss, where there is a held-out part; else the last. A loss, gradient
  /// or held-out loss that is not finite ends it with an error that names the step, the op where it began,
  /// and the last good checkpoint.
  Result<Stop> run();
  const RunState &state() const { return now; }

private:
  Result<bool> step();
  bool evaluationDue() const;
  bool checkpointDue() const {
    return now.step > 0 && options.checkpoint_every && now.step % options.checkpoint_every == 0;
  }
  Result<bool> evaluate();
  Error notFinite(Quantity quantity, double value, const std::vector<Replay> &batches);
  /// Dropout's, of a micro-batch of the current step.
  uint32_t seedOf(int64_t micro) const {
    return static_cast<uint32_t>(now.step * options.accumulate + micro);
  }
  bool interrupted() const { return events.interrupted && events.interrupted(); }
  Result<void> save();
  std::string lastGood() const; ///< where the last checkpoint is, for an error

  TrainingProgram &program;
  const BatchSource &train, *held_out;
  RunDirectory &directory;
  TrainerOptions options;
  TrainerEvents events;
  RunState now;
  int64_t saved = -1; ///< the step of the checkpoint on disk
  bool stale = false; ///< that checkpoint is older than the evaluation at its step
};

struct MeanLoss {
  double loss = 0;
  std::optional<double> accuracy; ///< share of the counted labels with the largest score, if there are scores
  std::optional<Replay> not_finite; ///< the first batch whose loss is not finite; `loss` is its loss then
};
/// Mean loss over all batches of a source; scores to `visit` where it is set.
using ScoreVisitor = std::function<void(const Batch &, std::span<const float> scores)>;
Result<MeanLoss> meanLoss(TrainingProgram &program, const BatchSource &source, const ScoreVisitor &visit = {},
                          const std::function<bool()> &interrupted = {});

} // namespace linnet::training
