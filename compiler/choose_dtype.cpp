#include "compiler/choose_dtype.h"

#include "compiler/compile.h"
#include "linnet/session.h"
#include "passes/Target.h"
#include "runtime/philox.h"
#include "support/error.h"
#include "support/file.h"
#include "support/scratch_directory.h"
#include "support/text.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace linnet {
namespace {

/// English text for the calibration. It has more tokens than are used.
constexpr const char *kText =
    "The lighthouse stood at the end of a narrow road, and for most of the year nobody walked there. In "
    "winter "
    "the waves reached the first step of its stairs; in summer children from the village looked for crabs "
    "between the stones. The keeper wrote down the weather every evening, in a book that was older than he "
    "was. \"Wind from the north-west,\" he wrote, \"7 degrees, two ships, both bound for the harbour.\" When "
    "he "
    "had finished he put the pen away, made a pot of tea and listened to the radio. Most of what it said was "
    "of no use to him: prices, elections, the score of a match. He liked the forecast best, since he could "
    "compare it with what he saw from his window, and he was right more often than they were.";

/// Logarithms of the probabilities, in double.
std::vector<double> logSoftmax(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits) sum += std::exp(x - largest);
  std::vector<double> out;
  for (float x : logits) out.push_back(x - largest - std::log(sum));
  return out;
}

/// The mean over rows of sum_i p_i (log p_i - log q_i), and the number of rows with the same likeliest token.
DtypeTrial compare(const std::string &dtype, const Matrix &exact, const Matrix &found) {
  DtypeTrial trial{dtype, 0, 0, exact.rows, ""};
  const auto width = static_cast<size_t>(exact.columns);
  for (int64_t row = 0; row < exact.rows; ++row) {
    const size_t at = static_cast<size_t>(row) * width;
    const std::vector<double> p = logSoftmax(std::span(exact.values).subspan(at, width)),
                              q = logSoftmax(std::span(found.values).subspan(at, width));
    for (size_t i = 0; i < width; ++i) trial.divergence += std::exp(p[i]) * (p[i] - q[i]);
    trial.same +=
        std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
  }
  trial.divergence /= static_cast<double>(exact.rows);
  return trial;
}

class Choice {
public:
  Choice(ModelInput &input, const CompileOptions &options, const std::string &folder)
      : input(input), options(options), folder(folder) {}

  Result<std::string> make(CompileReport &report) {
    LINNET_TRY(compile("f32"));
    LINNET_ASSIGN(const Matrix exact, logits("f32"));
    for (const std::string &dtype : findTarget(target())->fastest_dtypes) {
      if (auto made = compile(dtype); !made) { // a weight may be beyond f16
        report.trials.push_back({dtype, 0, 0, 0, made.error().message});
        continue;
      }
      const Result<Matrix> found = logits(dtype);
      if (!found) { // numbers may be beyond the type's range
        report.trials.push_back({dtype, 0, 0, 0, found.error().message});
        continue;
      }
      report.trials.push_back(compare(dtype, exact, *found));
      if (report.trials.back().divergence <= options.max_divergence) return dtype;
    }
    return std::string("f32");
  }

private:
  std::string artifact(const std::string &dtype) const { return folder + "/" + dtype + ".linnet"; }

  Result<CompileReport> compile(const std::string &dtype) {
    CompileOptions trial = options;
    trial.dtype = dtype;
    trial.output = artifact(dtype);
    trial.targets = {"cpu:native"};
    trial.max_batch = 1;
    trial.onednn = false; // the choice must not depend on an installed library
    trial.dump_dir.clear();
    trial.emit.clear();
    trial.verify_passes = false;
    const TargetDescription &served = *findTarget(target()); // rounds activations only as this target does
    if (!served.int8_rows) trial.disabled_passes.push_back("linnet-quantize-rows");
    if (!served.bf16_attention) trial.disabled_passes.push_back("linnet-round-attention");
    trial.progress = [&](const std::string &what, double fraction) {
      if (options.progress) options.progress("trying " + dtype + ": " + what, fraction);
    };
    return compileOpened(input, trial);
  }

  /// The logits of the artifact of compile(). Removes the artifact.
  Result<Matrix> logits(const std::string &dtype) {
    LINNET_ASSIGN(Model model, Model::load(artifact(dtype), {.device = "cpu"}));
    if (ids.empty()) {
      LINNET_ASSIGN(ids, tokens(model));
    }
    LINNET_ASSIGN(Session session, Session::open(model));
    LINNET_ASSIGN(Matrix found, session.logits(ids, /*all=*/true));
    std::error_code ignored;
    std::filesystem::remove(artifact(dtype), ignored);
    return found;
  }
  /// The target of the default device.
  const std::string &target() const {
    auto cpu = std::find_if(options.targets.begin(), options.targets.end(),
                            [](const std::string &target) { return findTarget(target)->name == "cpu"; });
    return cpu == options.targets.end() ? options.targets.front() : *cpu;
  }

  Result<std::vector<TokenId>> tokens(const Model &model) const {
    std::vector<TokenId> found;
    const ModelConfig &config = model.config();
    if (model.tokenizer()) {
      std::string text = kText;
      if (!options.calibration.empty()) {
        LINNET_ASSIGN(MappedFile file, MappedFile::open(options.calibration));
        LINNET_ASSIGN(text, withoutByteOrderMark(file.text(), options.calibration));
      }
      LINNET_ASSIGN(Encoding encoding, model.tokenizer()->encode(text));
      found = std::move(encoding.ids);
    } else if (!options.calibration.empty()) {
      return errorf("{}: --calibration needs a model with a tokenizer", options.input);
    } else {
      for (uint32_t i = 0; i < kChoiceTokens; ++i)
        found.push_back(static_cast<TokenId>(philox4x32({i, 0, 0, 0}, {0, 0})[0] % config.vocab_size));
    }
    const int64_t most = std::min(kChoiceTokens, config.context);
    if (static_cast<int64_t>(found.size()) > most) found.resize(static_cast<size_t>(most));
    if (found.size() < 2)
      return errorf("--dtype auto: expected a text of at least 2 tokens, found {}", found.size());
    return found;
  }

  ModelInput &input;
  const CompileOptions &options;
  std::string folder;
  std::vector<TokenId> ids;
};

} // namespace

Result<std::string> chooseDtype(ModelInput &input, const CompileOptions &options, CompileReport &report) {
  if (!input.generates())
    return errorf(
        "{}: --dtype auto compares what a model predicts next, which this one does not: expected f32, "
        "bf16, f16, int8, int4 or int4a",
        options.input);
  if (!(options.max_divergence >= 0))
    return errorf("--max-divergence is {}, expected 0 or more", options.max_divergence);
  LINNET_ASSIGN(ScratchDirectory scratch, ScratchDirectory::create("linnet-choose-dtype"));
  auto chosen = Choice(input, options, scratch.path()).make(report);
  if (!chosen) return errorf("--dtype auto: {}", chosen.error().message);
  return chosen;
}

} // namespace linnet
