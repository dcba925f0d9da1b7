// The training loop: batches, updates, evaluations, checkpoints.
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
  Schedule schedule;            ///< schedule.steps is the number of updates
  int64_t accumulate = 1;       ///< micro-batches per update
  int64_t evaluate_every = 0;   ///< steps; also before the first and after the last. 0: never
  int64_t patience = 0;         ///< evaluations without a lower loss before it stops; 0: no early stop
  int64_t checkpoint_every = 0; ///< steps; 0: only at the end and when it is interrupted
  std::string title;            ///< title of the curves
};

struct StepReport {
  int64_t step = 0;
  Position position;
  double loss = 0, lr = 0, grad_norm = 0, seconds = 0;
  int64_t counted = 0; ///< number of counted labels
};

struct EvaluationReport {
  int64_t step = 0;
  double loss = 0;
  std::optional<double> accuracy; ///< for a classifier: share of correct labels
  bool best = false;              ///< whether it is the lowest loss so far

  double perplexity() const; ///< for a language model
};

struct TrainerEvents {
  std::function<void(const StepReport &)> step;
  std::function<void(const EvaluationReport &)> evaluated;
  /// Called between micro-batches and between the batches of an evaluation. If it returns true, the current
  /// step or evaluation is dropped, a checkpoint is written, and run() returns Stop::Interrupted.
  std::function<bool()> interrupted;
};

enum class Stop : uint8_t { Finished, Early, Interrupted };

class Trainer {
public:
  Trainer(TrainingProgram &program, const BatchSource &train, const BatchSource *held_out,
          RunDirectory &directory, TrainerOptions options, TrainerEvents events);

  /// Runs from the run's checkpoint, or from the program's current states. At the end the program has the
  /// parameters with the lowest held-out loss, or the last ones without held-out data. A NaN or infinite
  /// loss, gradient or held-out loss ends it with an error that names the step, the first such op, and the
  /// last good checkpoint.
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
  /// Dropout's seed for a micro-batch of the current step.
  uint32_t seedOf(int64_t micro) const {
    return static_cast<uint32_t>(now.step * options.accumulate + micro);
  }
  bool interrupted() const { return events.interrupted && events.interrupted(); }
  Result<void> save();
  std::string lastGood() const; ///< text about the last checkpoint, for an error

  TrainingProgram &program;
  const BatchSource &train, *held_out;
  RunDirectory &directory;
  TrainerOptions options;
  TrainerEvents events;
  RunState now;
  int64_t saved = -1; ///< the step of the checkpoint on disk
  bool stale = false; ///< whether that checkpoint was written before the evaluation at its step
};

struct MeanLoss {
  double loss = 0;
  std::optional<double> accuracy;   ///< if there are scores: share of counted labels with the largest score
  std::optional<Replay> not_finite; ///< the first batch with a NaN or infinite loss, which is then `loss`
};
/// Mean loss over all batches of a source. Passes scores to `visit` if it is set.
using ScoreVisitor = std::function<void(const Batch &, std::span<const float> scores)>;
Result<MeanLoss> meanLoss(TrainingProgram &program, const BatchSource &source, const ScoreVisitor &visit = {},
                          const std::function<bool()> &interrupted = {});

} // namespace linnet::training
