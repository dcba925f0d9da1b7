// The loop over a program of a few lines: resuming, stopping early, interrupts, losses and gradients that are
// not finite, full disks.
#include "support/file.h"
#include "support/json.h"
#include "support/scratch_directory.h"
#include "tests/catch.h"
#include "training/dataset.h"
#include "training/trainer.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sys/resource.h>

using namespace linnet;
using namespace linnet::training;

namespace {

/// Logistic regression on features of width 2 by gradient descent with momentum: two states, as AdamW has
/// three.
class Regression : public TrainingProgram {
public:
  Result<double> accumulate(const Batch &batch, uint32_t) override {
    if (++calls == poison_at) return std::nan("");
    double loss = 0;
    for (size_t row = 0; row < batch.labels.size(); ++row) {
      const float *x = &batch.features[2 * row];
      double sign = batch.labels[row] ? 1 : -1, margin = sign * (w[0] * x[0] + w[1] * x[1] + w[2]);
      double slope = -sign / (1 + std::exp(margin));
      for (int i = 0; i < 3; ++i) gradient[i] += slope * (i < 2 ? x[i] : 1);
      loss += std::log1p(std::exp(-margin));
    }
    return loss;
  }
  Result<double> update(const UpdateInputs &inputs) override {
    if (++updates == infinite_at) return INFINITY; // and nothing has changed
    double norm = 0;
    for (int i = 0; i < 3; ++i) {
      double g = gradient[i] * inputs.grad_scale;
      norm += g * g;
      m[i] = 0.9f * m[i] + static_cast<float>(g);
      w[i] -= static_cast<float>(inputs.lr) * m[i];
      gradient[i] = 0;
    }
    return std::sqrt(norm);
  }
  Result<Evaluation> evaluate(const Batch &batch) override {
    std::array<double, 3> kept = gradient;
    int64_t count = calls;
    auto loss = accumulate(batch, 0);
    gradient = kept;
    calls = count;
    if (++evaluations == held_out_poison_at) return Evaluation{std::nan(""), {}};
    Evaluation found{*loss * (worsening ? evaluations : 1), {}};
    for (size_t row = 0; scores && row < batch.labels.size(); ++row) {
      const float *x = &batch.features[2 * row];
      float margin = w[0] * x[0] + w[1] * x[1] + w[2];
      found.scores.insert(found.scores.end(), {-margin, margin});
    }
    return found;
  }
  const std::vector<StateInfo> &states() const override {
    static const std::vector<StateInfo> list = {{"param.w", {3}}, {"m.w", {3}}};
    return list;
  }
  Result<std::vector<float>> read(std::string_view state) override {
    auto &values = state == "param.w" ? w : m;
    return std::vector<float>(values.begin(), values.end());
  }
  Result<void> write(std::string_view state, std::span<const float> values) override {
    std::copy(values.begin(), values.end(), (state == "param.w" ? w : m).begin());
    return {};
  }
  Result<std::string> firstNonFinite(Quantity quantity, std::span<const Replay> batches) override {
    traced = quantity;
    replays.assign(batches.begin(), batches.end());
    return std::string("linnet.exp at h.0");
  }

  std::array<float, 3> w = {}, m = {};
  int64_t calls = 0, poison_at = -1, updates = 0, infinite_at = -1;
  bool worsening = false, scores = false;
  int evaluations = 0, held_out_poison_at = -1;
  std::optional<Quantity> traced;
  std::vector<Replay> replays;

private:
  std::array<double, 3> gradient = {};
};

Features cloud(size_t count) {
  Features features{2, {}, {}};
  for (size_t i = 0; i < count; ++i) {
    float angle = 2.4f * static_cast<float>(i), radius = 0.2f + static_cast<float>(i % 13) / 13;
    features.values.push_back(radius * std::cos(angle) + (i % 2 ? 0.4f : -0.4f));
    features.values.push_back(radius * std::sin(angle));
    features.labels.push_back(static_cast<int32_t>(i % 2));
  }
  return features;
}

class Scratch {
public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "linnet-training-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path = name;
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string run(const std::string &name) const { return path + "/" + name; }
  std::string path;
};

struct Run {
  Regression program;
  std::unique_ptr<BatchSource> train = featureBatches(cloud(97), 4, 3, true);
  std::unique_ptr<BatchSource> held_out = featureBatches(cloud(31), 8, 3, false);
  TrainerOptions options{{Decay::Cosine, 0.1, 0, 60, 5}, 2, 10, 0, 7, "test"};
  TrainerEvents events;
  RunState state;

  Result<Stop> go(const std::string &directory, bool resume = false) {
    Json config = {{"lr", options.schedule.peak}, {"batch", 4}};
    auto made = resume ? RunDirectory::open(directory, config) : RunDirectory::create(directory, config);
    if (!made) return made.error();
    LINNET_TRY(made->begin());
    Trainer trainer(program, *train, held_out.get(), *made, options, events);
    auto stop = trainer.run();
    state = trainer.state();
    return stop;
  }
};

/// The log without what depends on the clock.
std::vector<Json> logOf(const std::string &directory) {
  std::vector<Json> lines;
  std::string text = *readTextFile(directory + "/log.jsonl");
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    lines.push_back(*parseJson(text.substr(begin, end - begin), "log"));
    lines.back().erase("seconds");
  }
  return lines;
}

} // namespace

TEST_CASE("a run learns, logs every step, and ends with the best parameters") {
  Scratch scratch;
  Run run;
  auto stop = run.go(scratch.run("a"));
  INFO((stop ? "" : stop.error().message));
  REQUIRE(stop.ok());
  CHECK(*stop == Stop::Finished);
  CHECK(run.state.step == 60);
  CHECK(meanLoss(run.program, *run.held_out)->loss == run.state.best_loss);
  auto lines = logOf(scratch.run("a"));
  CHECK(lines.size() == 60 + 7);
  CHECK(lines.front()["held_out_loss"] == Approx(std::log(2.0)));
  CHECK(lines.front()["held_out_perplexity"] == Approx(2));
  CHECK(lines.back()["held_out_perplexity"] == Approx(std::exp(run.state.best_loss)));
  CHECK(run.state.best_loss < 0.6);
  std::string picture = *readTextFile(scratch.run("a") + "/curves.svg");
  CHECK(picture.find("held-out loss") != std::string::npos);
}

TEST_CASE("a classifier's accuracy is measured at each evaluation") {
  Scratch scratch;
  Run run;
  run.program.scores = true;
  std::vector<double> reported;
  run.events.evaluated = [&](const EvaluationReport &report) { reported.push_back(report.accuracy.value()); };
  REQUIRE(run.go(scratch.run("a")).ok());
  std::vector<double> logged;
  for (const Json &line : logOf(scratch.run("a")))
    if (line.contains("held_out_loss")) logged.push_back(line["held_out_accuracy"]);
  CHECK(logged == reported);
  CHECK(logged.size() == 7);
  CHECK(logged.front() == Approx(16.0 / 31)); // equal scores: the first label, which 16 of 31 have
  CHECK(logged.back() > 0.7);
}

TEST_CASE("a run that was stopped anywhere and resumed is the run that never was") {
  Scratch scratch;
  Run whole;
  REQUIRE(whole.go(scratch.run("whole")).ok());
  for (int polls : {0, 1, 2, 15, 40, 57}) {
    std::string directory = scratch.run("stopped-" + std::to_string(polls));
    int stops = 0;
    bool resume = false;
    for (Stop stop = Stop::Interrupted; stop == Stop::Interrupted; resume = true) {
      REQUIRE(++stops < 100);
      Run run; // a new process: nothing but the directory is left
      int asked = 0;
      run.events.interrupted = [&] { return asked++ == polls + 3 * stops; };
      auto result = run.go(directory, resume);
      INFO((result ? "" : result.error().message));
      REQUIRE(result.ok());
      stop = *result;
      if (stop != Stop::Interrupted) {
        CHECK(run.program.w == whole.program.w);
        CHECK(run.state.best_step == whole.state.best_step);
      }
    }
    CHECK(stops > 1);
    CHECK(logOf(directory) == logOf(scratch.run("whole")));
    CHECK(*readTextFile(directory + "/checkpoint.safetensors") ==
          *readTextFile(scratch.run("whole") + "/checkpoint.safetensors"));
  }
}

TEST_CASE("a killed run goes on from its last checkpoint") {
  Scratch scratch;
  Run whole, killed, again;
  REQUIRE(whole.go(scratch.run("whole")).ok());
  killed.program.poison_at = 2 * 25 + 1; // step 26 of a run with checkpoints at 7, 14, 21
  REQUIRE(!killed.go(scratch.run("killed")).ok());
  std::ofstream(scratch.run("killed") + "/log.jsonl", std::ios::app) << "{\"step\": 26, \"lo"; // half a line
  REQUIRE(again.go(scratch.run("killed"), true).ok());
  CHECK(again.program.w == whole.program.w);
  CHECK(logOf(scratch.run("killed")) == logOf(scratch.run("whole")));
}

TEST_CASE("it stops when the held-out loss has not become less for long enough") {
  Scratch scratch;
  Run run;
  run.program.worsening = true;
  run.options.patience = 2;
  auto stop = run.go(scratch.run("a"));
  REQUIRE(stop.ok());
  CHECK(*stop == Stop::Early);
  CHECK(run.state.step == 20);
  CHECK(run.state.best_step == 0);
  CHECK(run.program.w == std::array<float, 3>{});
}

TEST_CASE("a loss that is no number stops the run, keeps the checkpoint and says where it began") {
  Scratch scratch;
  Run run;
  run.program.poison_at = 2 * 15 + 2;
  auto stop = run.go(scratch.run("a"));
  REQUIRE(!stop.ok());
  CHECK(stop.error().message ==
        "step 16: the loss is nan, first in linnet.exp at h.0; the last good checkpoint, of step "
        "14, is " +
            scratch.run("a") + "/checkpoint.safetensors");
  Regression fresh;
  auto directory = RunDirectory::open(scratch.run("a"), Json::object());
  CHECK(directory->readCheckpoint(fresh)->step == 14);
  CHECK(std::isfinite(fresh.w[0]));
}

TEST_CASE("a gradient that is not finite is traced through all batches of its step") {
  Scratch scratch;
  Run run;
  run.program.infinite_at = 16;
  auto stop = run.go(scratch.run("a"));
  REQUIRE(!stop.ok());
  CHECK(
      stop.error().message ==
      "step 16: the gradient is inf, first in linnet.exp at h.0; the last good checkpoint, of step 14, is " +
          scratch.run("a") + "/checkpoint.safetensors");
  CHECK(run.program.traced == Quantity::Gradient);
  REQUIRE(run.program.replays.size() == 2);
  Position position = run.state.position;
  for (uint32_t i = 0; i < 2; ++i) {
    CHECK(run.program.replays[i].seed == 2 * 15 + i);
    CHECK(run.program.replays[i].batch.features == run.train->take(position).features);
  }
}

TEST_CASE("a held-out loss that is not finite is an error of its step") {
  Scratch scratch;
  Run run;
  int64_t batches = run.held_out->count();
  run.program.held_out_poison_at = static_cast<int>(batches + 2); // the second evaluation, at step 10
  auto stop = run.go(scratch.run("a"));
  REQUIRE(!stop.ok());
  CHECK(stop.error().message == "step 10: the held-out loss is nan, first in linnet.exp at h.0; the last "
                                "good checkpoint, of step 7, is " +
                                    scratch.run("a") + "/checkpoint.safetensors");
  CHECK(run.program.traced == Quantity::HeldOutLoss);
  REQUIRE(run.program.replays.size() == 1);
  CHECK(run.program.replays[0].batch.features == run.held_out->at(0, 1).features);
}

TEST_CASE("parameters that are not finite are not written") {
  Scratch scratch;
  Run run;
  run.options.schedule.steps = 8;
  REQUIRE(run.go(scratch.run("a")).ok());
  auto directory = RunDirectory::open(scratch.run("a"), Json::object());
  REQUIRE(directory.ok());
  std::string before = *readTextFile(scratch.run("a") + "/checkpoint.safetensors");
  run.program.w[1] = INFINITY;
  auto written = directory->writeCheckpoint(run.program, run.state);
  REQUIRE(!written.ok());
  CHECK(written.error().message == "expected finite numbers to write, found param.w[1] = inf");
  CHECK(*readTextFile(scratch.run("a") + "/checkpoint.safetensors") == before);
}

TEST_CASE("another configuration, a second run and a damaged checkpoint are refused") {
  Scratch scratch;
  Run run, other;
  run.options.schedule.steps = 8;
  REQUIRE(run.go(scratch.run("a")).ok());
  CHECK_THAT(run.go(scratch.run("a")).error().message, Catch::Matchers::Contains("--resume goes on with it"));
  other.options.schedule.peak = 0.5;
  CHECK_THAT(other.go(scratch.run("a"), true).error().message,
             Catch::Matchers::Contains("the run to resume has lr = 0.1, this command 0.5"));
  CHECK_THAT(other.go(scratch.run("b"), true).error().message,
             Catch::Matchers::Contains("no run to resume here"));
  std::string path = scratch.run("a") + "/checkpoint.safetensors", bytes = *readTextFile(path);
  REQUIRE(writeTextFile(path, bytes.substr(0, bytes.size() - 3)).ok());
  Run damaged;
  damaged.options.schedule.steps = 8;
  CHECK_THAT(damaged.go(scratch.run("a"), true).error().message,
             Catch::Matchers::Contains("checkpoint.safetensors"));
}

TEST_CASE("on a full disk the last checkpoint stays whole") {
  Scratch scratch;
  Run run;
  run.options.schedule.steps = 8;
  REQUIRE(run.go(scratch.run("a")).ok());
  auto directory = RunDirectory::open(scratch.run("a"), Json::object());
  std::string before = *readTextFile(scratch.run("a") + "/checkpoint.safetensors");
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit, small{100, RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &limit);
  small.rlim_max = limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &small);
  auto written = directory->writeCheckpoint(run.program, run.state);
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  REQUIRE(!written.ok());
  CHECK_THAT(written.error().message, Catch::Matchers::Contains("File too large"));
  CHECK(*readTextFile(scratch.run("a") + "/checkpoint.safetensors") == before);
}
