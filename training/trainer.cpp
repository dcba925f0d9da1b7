#include "training/trainer.h"
#include "support/error.h"
#include "support/json.h"

#include <chrono>
#include <cmath>

namespace linnet::training {
namespace {
double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
} // namespace

Result<double> meanLoss(TrainingProgram &program, const BatchSource &source, const ScoreVisitor &visit,
                        const std::function<bool()> &interrupted) {
  double sum = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < source.count(); ++i) {
    if (interrupted && interrupted()) return Error{"interrupted"};
    Batch batch = source.at(0, i);
    LINNET_ASSIGN(Evaluation found, program.evaluate(batch));
    sum += found.loss_sum;
    counted += batch.counted;
    if (visit) visit(batch, found.scores);
  }
  if (!counted) return Error{"no label of the held-out part counts"};
  return sum / static_cast<double>(counted);
}

Trainer::Trainer(TrainingProgram &program, const BatchSource &train, const BatchSource *held_out,
                 RunDirectory &directory, TrainerOptions options, TrainerEvents events)
    : program(program), train(train), held_out(held_out), directory(directory), options(std::move(options)),
      events(std::move(events)) {}

Result<void> Trainer::save() {
  if (saved == now.step && !now.finished) return {};
  LINNET_TRY(directory.writeCheckpoint(program, now));
  saved = now.step;
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

/// One update; false where an interrupt came before it.
Result<bool> Trainer::step() {
  double begin = seconds(), sum = 0;
  int64_t counted = 0;
  Position position = now.position;
  Batch batch;
  uint32_t seed = 0;
  // A batch whose labels are all masked counts nothing; the update waits for one that does.
  for (int64_t micro = 0;
       micro < options.accumulate || (!counted && micro < options.accumulate + train.count()); ++micro) {
    if (micro && interrupted())
      return false; // the program ends with it: nobody meets half a step's gradients
    batch = train.take(position);
    seed = static_cast<uint32_t>(now.step * options.accumulate + micro);
    LINNET_ASSIGN(double loss, program.accumulate(batch, seed));
    if (!std::isfinite(loss)) return notFinite("loss", loss, batch, seed);
    sum += loss;
    counted += batch.counted;
  }
  if (!counted) return Error{"no label counts in the whole file: there is nothing to learn"};
  StepReport report;
  report.lr = options.schedule.at(now.step);
  LINNET_ASSIGN(report.grad_norm,
                program.update({now.step + 1, report.lr, 1.0 / static_cast<double>(counted)}));
  if (!std::isfinite(report.grad_norm)) return notFinite("gradient", report.grad_norm, batch, seed);
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

/// Before the first step, as often as asked for, and after the last.
bool Trainer::evaluationDue() const {
  if (!held_out || options.evaluate_every <= 0 || now.evaluated == now.step) return false;
  return now.step == options.schedule.steps || now.step % options.evaluate_every == 0;
}

/// False where an interrupt came before its end.
Result<bool> Trainer::evaluate() {
  bool stopped = false;
  auto ask = [&] { return stopped = interrupted(); };
  auto mean = meanLoss(program, *held_out, {}, ask);
  if (stopped) return false;
  if (!mean) return mean.error();
  const double loss = *mean;
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
  LINNET_TRY(directory.log({{"step", now.step}, {"held_out_loss", loss}, {"best", best}}));
  if (events.evaluated) events.evaluated(now.step, loss, best);
  if (saved == now.step) saved = -1; // that checkpoint says that the evaluation is still to come
  return true;
}

Error Trainer::notFinite(const char *what, double value, const Batch &batch, uint32_t seed) {
  Result<std::string> found = program.firstNonFinite(batch, seed);
  if (!found) return found.error();
  if (auto drawn = directory.writeCurves(options.title); !drawn) return drawn.error();
  std::string kept = saved >= 0 ? fmt::format("the last good checkpoint, of step {}, is {}", saved,
                                              directory.file("checkpoint.safetensors"))
                                : "there is no checkpoint yet";
  return errorf("step {}: the {} is {}{}; {}", now.step + 1, what, value,
                found->empty() ? "" : ", first in " + *found, kept);
}

} // namespace linnet::training
