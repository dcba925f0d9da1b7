// Runs the trials of one group of variants and records the verdicts.
#include "runtime/vulkan/device/fault.h"
#include "runtime/vulkan/trial/qualification.h"
#include "support/error.h"

#include <algorithm>
#include <chrono>

namespace linnet::vulkan {
namespace {

// Number of variants that are compiled in parallel. If one crashes the process, all of them are tried again.
constexpr size_t kGroup = 8;

// Adds its lifetime in seconds.
class Spent {
public:
  explicit Spent(double &seconds) : seconds(seconds) {}
  ~Spent() { seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); }

private:
  double &seconds;
  const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

// The number of first steps after which both ways have the same operands, if they have the same number of
// steps.
size_t sharedSteps(const TrialPlan &plan) {
  const auto &a = plan.candidate.steps, &b = plan.reference.steps;
  if (a.size() != b.size()) return 0;
  auto same = [](const PlannedStep &x, const PlannedStep &y) { return writtenBy(x) == writtenBy(y); };
  return static_cast<size_t>(std::ranges::mismatch(a, b, same).in1 - a.begin());
}

} // namespace

// A variant that may have crashed a process is tried alone.
Result<Qualification::State> Qualification::tryGroup(std::vector<Trial> trials) {
  const auto suspect =
      std::ranges::find_if(trials, [&](const Trial &trial) { return variants.isSuspect(trial); });
  const bool alone = suspect == trials.begin();
  const auto count = std::min<size_t>(kGroup, static_cast<size_t>(suspect - trials.begin()));
  trials.erase(trials.begin() + static_cast<ptrdiff_t>(alone ? 1 : count), trials.end());

  LINNET_ASSIGN(const std::vector<Answer> expected, answersOf(trials));
  TrialMark mark{alone, {}};
  std::vector<uint32_t> shaders;
  for (const Trial &trial : trials) {
    for (uint32_t shader : trial.suspects) mark.variants.push_back(variants[shader]);
    for (uint32_t shader : shadersOf(trial.plan.candidate)) shaders.push_back(shader);
  }
  if (shaders.empty()) return State::better;
  if (lock) (void)lock->mark(mark); // a full disk does not prevent the trial
  LINNET_ASSIGN(const PipelineFailures failures, bench->pipelines.attempt(shaders));
  State state = State::better;
  for (size_t i = 0; i < trials.size() && state != State::reopen; ++i) {
    if (!compiles(trials[i], failures)) continue;
    LINNET_ASSIGN(state, tryCandidate(trials[i], expected[i]));
  }
  if (lock) {
    (void)variants.save(); // if it fails, the trial is repeated at the next start
    lock->clear();
  }
  return state;
}

Result<Answer> Qualification::timed(const Trial &trial, const PlannedDispatch &planned,
                                    std::span<const uint32_t> args, uint32_t seconds_at_most) {
  const Spent spent(seconds);
  return runTrial(*bench, trial, planned, args, seconds_at_most);
}

// The answer of the last choice, if that agrees with its known answer. It is not marked, because a driver
// that crashes on last choices cannot be used.
Result<std::optional<Answer>> Qualification::deviceAnswer(const Trial &trial) {
  std::optional<Answer> none;
  if (trial.plan.reference.choice == trial.plan.candidate.choice) return none;
  const std::vector<uint32_t> shaders = shadersOf(trial.plan.reference);
  LINNET_ASSIGN(PipelineFailures failures, bench->pipelines.attempt(shaders));
  if (!failures.empty()) return none;
  LINNET_ASSIGN(const bool right, isRight(shaders));
  if (!right) return none;
  const auto &results = *trial.dispatch->results();
  const std::vector<uint32_t> args(results.begin(), results.end());
  auto answer = timed(trial, trial.plan.reference, args, patience);
  if (answer) return std::optional<Answer>(std::move(*answer));
  return errorf("shader '{}' does not run: {}", variants[shaders.front()].shader, answer.error().message);
}

// Whether the shaders of a reference give their known answer, if there is one. A hang is an error, see
// deviceAnswer.
Result<bool> Qualification::isRight(const std::vector<uint32_t> &shaders) {
  std::optional<Trial> trial = answers.trial(*bench, shaders, {});
  if (trial) trial->suspects = variants.unknown(shaders);
  if (trial && !trial->suspects.empty()) {
    ++tried;
    const Answer expected = knownAnswer(program, *trial);
    std::vector<uint32_t> args;
    for (const Output &output : expected) args.push_back(output.arg);
    auto found = timed(*trial, trial->plan.candidate, args, patience);
    if (!found)
      return errorf("shader '{}' does not run: {}", variants[shaders.front()].shader, found.error().message);
    judge(*trial, expected, *found);
  }
  return std::ranges::none_of(shaders, [&](uint32_t shader) { return variants.hasFailed(shader); });
}

// The expected answers. Removes trials that have none.
Result<std::vector<Answer>> Qualification::answersOf(std::vector<Trial> &trials) {
  std::vector<Answer> expected;
  std::vector<Trial> kept;
  for (Trial &trial : trials) {
    std::optional<Answer> found;
    if (trial.known) {
      found = knownAnswer(program, trial);
    } else {
      LINNET_ASSIGN(found, deviceAnswer(trial));
    }
    if (!found) {
      variants.skip(trial);
      continue;
    }
    expected.push_back(std::move(*found));
    kept.push_back(std::move(trial));
  }
  trials = std::move(kept);
  return expected;
}

bool Qualification::compiles(const Trial &trial, const PipelineFailures &failures) {
  bool all = true, blamed = false;
  for (uint32_t shader : shadersOf(trial.plan.candidate)) {
    auto found = failures.find(shader);
    if (found == failures.end()) continue;
    all = false;
    if (std::ranges::find(trial.suspects, shader) == trial.suspects.end()) continue;
    blamed = true;
    ++tried;
    const PipelineFailure &failure = found->second;
    if (failure.code == VK_ERROR_OUT_OF_HOST_MEMORY || failure.code == VK_ERROR_OUT_OF_DEVICE_MEMORY)
      variants.refuseForNow(shader, failure.message);
    else
      variants.conclude(std::span(&shader, 1), Verdict::refused, failure.message);
  }
  if (!all && !blamed) variants.skip(trial);
  return all;
}

Result<Qualification::State> Qualification::tryCandidate(const Trial &trial, const Answer &expected) {
  ++tried;
  uint32_t seconds_at_most = patience;
  bool lose = false;
  for (uint32_t shader : trial.suspects) {
    const Fault fault = faultOf(variants[shader].shader);
    if (fault == Fault::hangs) seconds_at_most = 0;
    lose |= fault == Fault::loses;
  }
  std::vector<uint32_t> args;
  for (const Output &output : expected) args.push_back(output.arg);
  auto found = timed(trial, trial.plan.candidate, args, seconds_at_most);
  if (lose || (!found && bench->context->outcome == VK_ERROR_DEVICE_LOST)) {
    variants.conclude(trial.suspects, Verdict::loses);
    return State::reopen;
  }
  if (!found && bench->context->outcome == VK_TIMEOUT) {
    variants.conclude(trial.suspects, Verdict::hangs,
                      fmt::format("no answer in {} seconds", seconds_at_most));
    return State::reopen;
  }
  if (!found) return found.error();
  judge(trial, expected, *found);
  return State::better;
}

// If a known answer was computed in the same steps, only the first wrong step is rejected. Otherwise all
// untried variants are, except those that computed the expected answer on the device.
void Qualification::judge(const Trial &trial, const Answer &expected, const Answer &found) {
  const fb::Dispatch &dispatch = *trial.dispatch;
  const double tolerance = dispatch.choices()->Get(trial.plan.candidate.choice)->tolerance();
  std::vector<uint32_t> left = trial.suspects;
  for (size_t s = 0; trial.known && s < sharedSteps(trial.plan); ++s) {
    const uint32_t shader = trial.plan.candidate.steps[s].step->shader();
    const std::string why =
        difference(dispatch, tolerance, expected, found, static_cast<Mark>(kFirstStep + s));
    variants.conclude(std::span(&shader, 1), why.empty() ? Verdict::ok : Verdict::wrong, why);
    if (!why.empty()) return;
    std::erase(left, shader);
  }
  const std::string why =
      difference(dispatch, tolerance, resultsOf(dispatch, expected), resultsOf(dispatch, found));
  if (!why.empty() && !trial.known)
    for (uint32_t shader : shadersOf(trial.plan.reference)) std::erase(left, shader);
  variants.conclude(left, why.empty() ? Verdict::ok : Verdict::wrong, why);
  if (left.empty() && !why.empty()) variants.skip(trial);
}

} // namespace linnet::vulkan
