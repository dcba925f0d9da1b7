// Trying what qualification.cpp has found that nothing is known of, and what follows from it.
#include "runtime/vulkan/device/fault.h"
#include "runtime/vulkan/host/host_answer.h"
#include "runtime/vulkan/trial/qualification.h"
#include "support/error.h"

#include <algorithm>
#include <chrono>

namespace linnet::vulkan {
namespace {

// What is compiled side by side, and lost when the process dies of one.
constexpr size_t kGroup = 8;
// How long another process may take. One that is stopped in the middle must not stop this one.
constexpr std::chrono::milliseconds kLockPatience(5000);
// Variants of one program that hang, lose the device or crash: each costs so long, or two processes.
constexpr ptrdiff_t kMostLosses = 2;

// Adds the seconds of its life.
class Spent {
public:
  explicit Spent(double &seconds) : seconds(seconds) {}
  ~Spent() { seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); }

private:
  double &seconds;
  const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

// Steps that leave the same operands behind in both ways: the first ones of chains of as many.
size_t sharedSteps(const TrialPlan &plan) {
  const auto &a = plan.candidate.steps, &b = plan.reference.steps;
  if (a.size() != b.size()) return 0;
  auto same = [](const PlannedStep &x, const PlannedStep &y) { return writtenBy(x) == writtenBy(y); };
  return static_cast<size_t>(std::ranges::mismatch(a, b, same).in1 - a.begin());
}

} // namespace

void Qualification::takeOver(const TrialMark &left) {
  for (const Variant &variant : left.variants)
    if (!left.alone)
      suspects.insert(variant.hash);
    else
      verdicts.add({variant, Verdict::crashes, "a process ended while it was tried"});
  if (left.alone && !left.variants.empty()) (void)verdicts.save(inventory);
}

Result<bool> Qualification::run(Workbench &bench) {
  if (!complaint.empty()) return Error{complaint};
  if (off || next(bench).empty()) return true;
  auto lock = TrialLock::take(inventory, kLockPatience);
  if (!lock) return tryAll(bench, nullptr); // nothing can be remembered
  if (!*lock) {                             // busy: this start does without
    budget = 0;
    return tryAll(bench, nullptr);
  }
  verdicts.merge(Verdicts::read(inventory));
  takeOver((*lock)->left);
  return tryAll(bench, &**lock);
}

ptrdiff_t Qualification::losses() const {
  return std::count_if(variants.begin(), variants.end(), [&](const auto &variant) {
    const Tried *found = verdicts.find(variant.second.hash);
    return found && (found->verdict == Verdict::hangs || found->verdict == Verdict::loses ||
                     found->verdict == Verdict::crashes);
  });
}

// Last choices are still tried: there is nothing else.
void Qualification::giveUp(Workbench &bench) {
  for (bool more = true; more;) {
    more = false;
    for (const Trial &trial : unknown(bench, Which::better))
      for (const PipelineKey &key : trial.suspects) {
        if (last.count(key.shader)) continue;
        more = true;
        conclude(std::span(&key, 1), Verdict::untried, "others hung, lost the device or crashed");
      }
  }
  (void)verdicts.save(inventory);
}

Result<bool> Qualification::tryAll(Workbench &bench, TrialLock *lock) {
  if (losses() >= kMostLosses) giveUp(bench);
  for (std::vector<Trial> trials = next(bench); !trials.empty(); trials = next(bench)) {
    if (losses() > kMostLosses)
      return errorf("the device {} is of no use: {} kernel variants hang, lose it or crash (linnet devices)",
                    inventory.name, losses());
    auto suspect = std::find_if(trials.begin(), trials.end(), [&](const Trial &t) { return isSuspect(t); });
    const bool alone = suspect == trials.begin();
    auto count = std::min<size_t>(kGroup, static_cast<size_t>(suspect - trials.begin()));
    trials.erase(trials.begin() + static_cast<ptrdiff_t>(alone ? 1 : count), trials.end());
    LINNET_ASSIGN(bool sound, tryGroup(bench, std::move(trials), alone, lock));
    if (!sound) return false;
  }
  return true;
}

Result<Answer> Qualification::timed(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                                    std::span<const uint32_t> args, uint32_t seconds_at_most) {
  const Spent spent(seconds);
  return runTrial(bench, trial, planned, args, seconds_at_most);
}

// Side by side; nothing for those that the host cannot work out.
std::vector<std::optional<Answer>> Qualification::hostAnswers(Workbench &bench, std::vector<Trial> &trials) {
  const Spent spent(seconds);
  const PutAside names = failed();
  std::vector<std::optional<Answer>> answers(trials.size());
#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < trials.size(); ++i) answers[i] = hostAnswerOf(bench, trials[i], names);
  return answers;
}

// By the poorest choice, or a better one where that is too much work to know something of every result: a
// tile of many rows for the one that there is, say, of which the best of a vocabulary is to be chosen.
std::optional<Answer> Qualification::hostAnswerOf(Workbench &bench, Trial &trial,
                                                  const PutAside &aside) const {
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  const fb::Entry &entry = *program.entries()->Get(static_cast<uint32_t>(trial.entry));
  const Place place = [&](const fb::Ref &ref) { return bench.place(trial.entry, ref); };
  Trial best = trial, look = trial;
  std::optional<Answer> answer;
  for (size_t most = 0; most < dispatch.results()->size();) {
    for (bool positive : {false, true}) {
      look.positive = positive;
      auto found = hostAnswer(bench, look, look.plan.reference);
      const size_t known = found ? knownResults(dispatch, *found) : 0;
      if (known > most) most = known, answer = std::move(*found), best = look;
      if (known > 0 || !found) break;
    }
    const uint32_t reference = look.plan.reference.choice, candidate = look.plan.candidate.choice;
    if (reference == candidate) break;
    auto plan = planTrial(inventory, program, entry, dispatch, candidate, place, aside, reference - 1);
    if (!plan || plan->symbols != look.plan.symbols) break;
    look.plan = std::move(*plan);
  }
  if (answer) trial = std::move(best);
  return answer;
}

// The poorest choice's. Not noted in the mark: a driver that crashes on these serves nobody.
Result<std::optional<Answer>> Qualification::deviceAnswer(Workbench &bench, const Trial &trial) {
  std::optional<Answer> none;
  if (trial.plan.reference.choice == trial.plan.candidate.choice) return none;
  const std::vector<PipelineKey> keys = keysOf(trial.plan.reference);
  LINNET_ASSIGN(PipelineFailures failures, bench.pipelines.attempt(keys));
  if (!failures.empty()) return none;
  const auto &results = *trial.command->body_as_Dispatch()->results();
  const std::vector<uint32_t> args(results.begin(), results.end());
  auto answer = timed(bench, trial, trial.plan.reference, args, patience);
  if (answer) return std::optional<Answer>(std::move(*answer));
  return errorf("shader '{}' does not run: {}", variants.at(keys.front()).shader, answer.error().message);
}

// What is right. Trials of which that is not known are taken off the list.
Result<std::vector<Answer>> Qualification::answersOf(Workbench &bench, std::vector<Trial> &trials) {
  std::vector<std::optional<Answer>> found = hostAnswers(bench, trials);
  std::vector<Answer> answers;
  std::vector<Trial> kept;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (!found[i]) {
      LINNET_ASSIGN(found[i], deviceAnswer(bench, trials[i]));
    }
    if (!found[i]) {
      skip(trials[i]);
      continue;
    }
    answers.push_back(std::move(*found[i]));
    kept.push_back(std::move(trials[i]));
  }
  trials = std::move(kept);
  return answers;
}

Result<bool> Qualification::tryGroup(Workbench &bench, std::vector<Trial> trials, bool alone,
                                     TrialLock *lock) {
  LINNET_ASSIGN(std::vector<Answer> answers, answersOf(bench, trials));
  TrialMark mark{alone, {}};
  std::vector<PipelineKey> keys;
  for (const Trial &trial : trials) {
    for (const PipelineKey &key : trial.suspects) mark.variants.push_back(variants.at(key));
    for (PipelineKey &key : keysOf(trial.plan.candidate)) keys.push_back(std::move(key));
  }
  if (keys.empty()) return true;
  if (lock) (void)lock->mark(mark); // a full disk is no reason not to try
  LINNET_ASSIGN(PipelineFailures failures, bench.pipelines.attempt(keys));
  bool sound = true;
  for (size_t i = 0; i < trials.size() && sound; ++i) {
    if (!compiles(trials[i], failures)) continue;
    LINNET_ASSIGN(sound, tryCandidate(bench, trials[i], answers[i]));
  }
  if (lock) {
    (void)verdicts.save(inventory); // if not, it is done again
    lock->clear();
  }
  return sound;
}

bool Qualification::compiles(const Trial &trial, const PipelineFailures &failures) {
  bool all = true, blamed = false;
  for (const PipelineKey &key : keysOf(trial.plan.candidate)) {
    auto found = failures.find(key);
    if (found == failures.end()) continue;
    all = false;
    if (std::find(trial.suspects.begin(), trial.suspects.end(), key) == trial.suspects.end()) continue;
    blamed = true;
    ++tried;
    const PipelineFailure &failure = found->second;
    if (failure.code == VK_ERROR_OUT_OF_HOST_MEMORY || failure.code == VK_ERROR_OUT_OF_DEVICE_MEMORY)
      passing.add({variants.at(key), Verdict::refused, failure.message});
    else
      conclude(std::span(&key, 1), Verdict::refused, failure.message);
  }
  if (!all && !blamed) skip(trial);
  return all;
}

Result<bool> Qualification::tryCandidate(Workbench &bench, const Trial &trial, const Answer &expected) {
  ++tried;
  uint32_t seconds_at_most = patience;
  bool lose = false;
  for (const PipelineKey &key : trial.suspects) {
    const Fault fault = faultOf(variants.at(key).shader);
    if (fault == Fault::hangs) seconds_at_most = 0;
    lose |= fault == Fault::loses;
  }
  std::vector<uint32_t> args;
  for (const Output &output : expected) args.push_back(output.arg);
  auto found = timed(bench, trial, trial.plan.candidate, args, seconds_at_most);
  if (lose || (!found && bench.context->outcome == VK_ERROR_DEVICE_LOST)) {
    conclude(trial.suspects, Verdict::loses);
    return false;
  }
  if (!found && bench.context->outcome == VK_TIMEOUT) {
    conclude(trial.suspects, Verdict::hangs, fmt::format("no answer in {} seconds", seconds_at_most));
    return false;
  }
  if (!found) return found.error();
  judge(trial, expected, *found);
  return true;
}

// Of an answer that was worked out in the same steps the first one that goes wrong is blamed; else all that
// nothing is known of, but for what the answer itself comes from.
void Qualification::judge(const Trial &trial, const Answer &expected, const Answer &found) {
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  const double tolerance = dispatch.choices()->Get(trial.plan.candidate.choice)->tolerance();
  const bool by_host = !expected.empty() && !expected.front().marks.empty();
  std::vector<PipelineKey> left = trial.suspects;
  for (size_t s = 0; by_host && s < sharedSteps(trial.plan); ++s) {
    const PipelineKey key = keyOf(*trial.plan.candidate.steps[s].step);
    const std::string why =
        difference(dispatch, tolerance, expected, found, static_cast<Mark>(kFirstStep + s));
    conclude(std::span(&key, 1), why.empty() ? Verdict::ok : Verdict::wrong, why);
    if (!why.empty()) return;
    std::erase(left, key);
  }
  const std::string why =
      difference(dispatch, tolerance, resultsOf(dispatch, expected), resultsOf(dispatch, found));
  if (!why.empty() && !by_host)
    for (const PipelineKey &key : keysOf(trial.plan.reference)) std::erase(left, key);
  conclude(left, why.empty() ? Verdict::ok : Verdict::wrong, why);
  if (left.empty() && !why.empty()) skip(trial);
}

void Qualification::conclude(std::span<const PipelineKey> keys, Verdict verdict, const std::string &detail) {
  for (const PipelineKey &key : keys) verdicts.add({variants.at(key), verdict, detail});
}

void Qualification::skip(const Trial &trial) {
  for (const PipelineKey &key : trial.suspects) skipped.insert(variants.at(key).hash);
}

} // namespace linnet::vulkan
