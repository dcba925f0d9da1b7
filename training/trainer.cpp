#include "training/trainer.h"
#include "support/error.h"
#include "support/json.h"
#include "support/number_text.h"
#include "training/metrics.h"

#include <chrono>
#include <cmath>

namespace linnet::training {
namespace {

/// Number of rows whose label has the largest score. Labels of -1 do not count.
int64_t rightLabels(const Batch &batch, std::span<const float> scores) {
  const size_t width = scores.size() / batch.labels.size();
  int64_t right = 0;
  for (size_t row = 0; row < batch.labels.size(); ++row)
    right += batch.labels[row] >= 0 &&
             argmax(scores.subspan(row * width, width)) == static_cast<size_t>(batch.labels[row]);
  return right;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
} // namespace

Result<MeanLoss> meanLoss(TrainingProgram &program, const BatchSource &source, const ScoreVisitor &visit,
                          const std::function<bool()> &interrupted) {
  double sum = 0;
  int64_t counted = 0, right = 0;
  bool scored = false;
  for (int64_t i = 0; i < source.count(); ++i) {
    if (interrupted && interrupted()) return Error{"interrupted"};
    Batch batch = source.at(0, i);
    LINNET_ASSIGN(Evaluation found, program.evaluate(batch));
    if (!std::isfinite(found.loss_sum)) return MeanLoss{found.loss_sum, {}, Replay{std::move(batch)}};
    sum += found.loss_sum;
    counted += batch.counted;
    if (!found.scores.empty()) {
      scored = true;
      right += rightLabels(batch, found.scores);
    }
    if (visit) visit(batch, found.scores);
  }
  if (!counted) return Error{"no label of the held-out part counts"};
  const auto all = static_cast<double>(counted);
  MeanLoss mean{sum / all, {}, {}};
  if (scored) mean.accuracy = static_cast<double>(right) / all;
  return mean;
}

double EvaluationReport::perplexity() const { return std::exp(loss); }

Trainer::Trainer(TrainingProgram &program, const BatchSource &train, const BatchSource *held_out,
                 RunDirectory &directory, TrainerOptions options, TrainerEvents events)
    : program(program), train(train), held_out(held_out), directory(directory), options(std::move(options)),
      events(std::move(events)) {}

Result<void> Trainer::save() {
  if (saved == now.step && !stale && !now.finished) return {};
  if (auto written = directory.writeCheckpoint(program, now); !written)
    return errorf("step {}: {}; {}", now.step, written.error().message, lastGood());
  saved = now.step;
  stale = false;
  return directory.writeCurves(options.title);
}

Result<Stop> Trainer::run() {
  if (directory.hasCheckpoint()) {
    LINNET_ASSIGN(now, directory.readCheckpoint(program));
    saved = now.step;
  }
  bool early = false;
  while (!now.finished) {
    LINNET_ASSIGN(bool going, evaluationDue() ? evaluate() : Result<bool>(true));
    if (going) {
      if (checkpointDue()) LINNET_TRY(save());
      const bool last = now.step >= options.schedule.steps;
      early = !last && options.patience > 0 && now.worse >= options.patience;
      if (last || early) break;
      LINNET_ASSIGN(going, interrupted() ? Result<bool>(false) : step());
    }
    if (going) continue;
    LINNET_TRY(save());
    return Stop::Interrupted;
  }
  bool already = now.finished;
  now.finished = true;
  if (!already) LINNET_TRY(save());
  if (now.best_step >= 0) LINNET_TRY(directory.readBest(program));
  return early ? Stop::Early : Stop::Finished;
}

/// Makes one update. Returns false if it was interrupted before.
Result<bool> Trainer::step() {
  double begin = seconds(), sum = 0;
  int64_t counted = 0;
  Position position = now.position;
  // Recomputes the step's batches, to find the fault. They depend only on the position.
  auto replays = [&](int64_t count) {
    std::vector<Replay> list;
    Position again = now.position;
    for (int64_t i = 0; i < count; ++i) list.push_back({train.take(again), seedOf(i)});
    return list;
  };
  int64_t micro = 0;
  // If all labels are masked, the update waits for a batch with a counted label.
  for (; micro < options.accumulate || (!counted && micro < options.accumulate + train.count()); ++micro) {
    if (micro && interrupted()) return false; // the run ends, so the partial gradients are not used
    Batch batch = train.take(position);
    LINNET_ASSIGN(double loss, program.accumulate(batch, seedOf(micro)));
    if (!std::isfinite(loss))
      return notFinite(Quantity::Loss, loss, std::vector{Replay{std::move(batch), seedOf(micro)}});
    sum += loss;
    counted += batch.counted;
  }
  if (!counted) return Error{"no label counts in the whole file: there is nothing to learn"};
  StepReport report;
  report.lr = options.schedule.at(now.step);
  LINNET_ASSIGN(report.grad_norm,
                program.update({now.step + 1, report.lr, 1.0 / static_cast<double>(counted)}));
  if (!std::isfinite(report.grad_norm))
    return notFinite(Quantity::Gradient, report.grad_norm, replays(micro));
  ++now.step;
  now.position = position;
  report.step = now.step;
  report.position = position;
  report.loss = sum / static_cast<double>(counted);
  report.counted = counted;
  report.seconds = seconds() - begin;
  LINNET_TRY(directory.log({{"step", report.step},
                            {"epoch", position.epoch},
                            {"loss", report.loss},
                            {"lr", report.lr},
                            {"grad_norm", report.grad_norm},
                            {"labels", counted},
                            {"seconds", report.seconds}}));
  if (events.step) events.step(report);
  return true;
}

/// Whether to evaluate: before the first step, every evaluate_every steps, and after the last step.
bool Trainer::evaluationDue() const {
  if (!held_out || options.evaluate_every <= 0 || now.evaluated == now.step) return false;
  return now.step == options.schedule.steps || now.step % options.evaluate_every == 0;
}

/// Evaluates on the held-out data. Returns false if it was interrupted.
Result<bool> Trainer::evaluate() {
  bool stopped = false;
  auto ask = [&] { return stopped = interrupted(); };
  auto mean = meanLoss(program, *held_out, {}, ask);
  if (stopped) return false;
  if (!mean) return mean.error();
  const double loss = mean->loss;
  if (mean->not_finite) return notFinite(Quantity::HeldOutLoss, loss, std::vector{*mean->not_finite});
  now.evaluated = now.step;
  bool best = now.best_step < 0 || loss < now.best_loss;
  if (best) {
    now.best_loss = loss;
    now.best_step = now.step;
    now.worse = 0;
    LINNET_TRY(directory.writeBest(program));
  } else {
    ++now.worse;
  }
  const EvaluationReport report{now.step, loss, mean->accuracy, best};
  Json line = {{"step", now.step}, {"held_out_loss", loss}, {"best", best}};
  if (report.accuracy)
    line["held_out_accuracy"] = *report.accuracy;
  else
    line["held_out_perplexity"] = report.perplexity();
  LINNET_TRY(directory.log(line));
  if (events.evaluated) events.evaluated(report);
  stale = saved == now.step;
  return true;
}

Error Trainer::notFinite(Quantity quantity, double value, const std::vector<Replay> &batches) {
  Result<std::string> found = program.firstNonFinite(quantity, batches);
  if (!found) return found.error();
  if (auto drawn = directory.writeCurves(options.title); !drawn) return drawn.error();
  const bool held_out = quantity == Quantity::HeldOutLoss;
  const char *what = held_out ? "held-out loss" : quantity == Quantity::Loss ? "loss" : "gradient";
  return errorf("step {}: the {} is {}, first in {}; {}", now.step + (held_out ? 0 : 1), what,
                numberText(value), *found, lastGood());
}

std::string Trainer::lastGood() const {
  if (saved < 0) return "there is no checkpoint yet";
  return fmt::format("the last good checkpoint, of step {}, is {}", saved,
                     directory.file("checkpoint.safetensors"));
}

} // namespace linnet::training
