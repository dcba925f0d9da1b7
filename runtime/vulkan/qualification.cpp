#include "runtime/vulkan/qualification.h"
#include "runtime/format.h"
#include "runtime/vulkan/fault.h"
#include "support/error.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <limits>

namespace linnet::vulkan {
namespace {

// Of running, in one load. Compiling is not counted: a variant that is used must be compiled anyway. A CPU
// takes ten times as long, and lavapipe compiles when a shader first runs; there the last choice, which is
// used until a better one has been tried, may be a hundred times as slow, so it pays to wait for all.
constexpr double kBudgetGpu = 0.2, kBudgetCpu = 20;
// What is compiled side by side, and lost when the process dies of one.
constexpr size_t kGroup = 8;
// How long another process may take. One that is stopped in the middle must not stop this one.
constexpr std::chrono::milliseconds kLockPatience(5000);
// Seconds. A GPU's driver ends what takes this long by itself, if it can. A CPU may have much else to do.
constexpr uint32_t kPatienceGpu = 10, kPatienceCpu = 120;
// Variants of one program that hang, lose the device or crash: each costs so long, or two processes.
constexpr ptrdiff_t kMostLosses = 2;

uint64_t hashOf(std::string_view name, std::span<const std::byte> words,
                std::span<const uint32_t> constants) {
  std::vector<uint64_t> parts = {format::hashBytes(words), format::hashBytes(std::as_bytes(std::span(name)))};
  parts.insert(parts.end(), constants.begin(), constants.end());
  return format::hashBytes(std::as_bytes(std::span(parts)));
}

std::vector<PipelineKey> keysOf(const PlannedDispatch &planned) {
  std::vector<PipelineKey> keys;
  for (const PlannedStep &step : planned.steps) keys.push_back(keyOf(*step.step));
  return keys;
}

template <class Visit> void forEachChoice(const fb::Program &program, const Visit &visit) {
  for (uint32_t e = 0; e < program.entries()->size(); ++e)
    for (const fb::Command *command : *program.entries()->Get(e)->commands())
      for (uint32_t c = 0; c < command->body_as_Dispatch()->choices()->size(); ++c)
        visit(static_cast<int>(e), *command, c);
}

} // namespace

Qualification::Qualification(const Inventory &inventory, const Artifact &artifact, const fb::Program &program)
    : inventory(inventory), program(program),
      patience(inventory.kind == Kind::cpu ? kPatienceCpu : kPatienceGpu),
      budget(inventory.kind == Kind::cpu ? kBudgetCpu : kBudgetGpu) {
  readVariable();
  if (off) return;
  forEachChoice(program, [&](int, const fb::Command &command, uint32_t c) {
    const auto &choices = *command.body_as_Dispatch()->choices();
    for (const fb::Step *step : *choices.Get(c)->steps()) {
      if (c + 1 == choices.size()) trusted.insert(step->shader());
      auto [found, fresh] = variants.try_emplace(keyOf(*step));
      if (!fresh) continue;
      const fb::Shader &shader = *program.shaders()->Get(step->shader());
      found->second = {
          hashOf(shader.name()->string_view(), artifact.blob(*shader.words()), found->first.constants),
          shader.name()->str()};
    }
  });
  verdicts = Verdicts::read(inventory);
}

void Qualification::readVariable() {
  const char *variable = std::getenv("LINNET_VULKAN_TRIALS");
  const std::string_view text = variable ? variable : "";
  off = text == "off";
  if (text == "all") budget = std::numeric_limits<double>::infinity();
  if (text.empty() || off || text == "all") return;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), budget);
  if (error != std::errc() || end != text.data() + text.size() || !(budget >= 0))
    complaint =
        fmt::format("LINNET_VULKAN_TRIALS: expected 'off', 'all' or a number of seconds, found '{}'", text);
}

PutAside Qualification::failed() const {
  PutAside names;
  for (const auto &[key, variant] : variants)
    for (const Verdicts *from : {&verdicts, &passing})
      if (const Tried *found = from->find(variant.hash); found && found->verdict != Verdict::ok)
        names.insert(variant.shader);
  return names;
}

PutAside Qualification::aside() const {
  PutAside names = failed();
  for (const auto &[key, variant] : variants)
    if (!off && !trusted.count(key.shader) && !isKnown(key)) names.insert(variant.shader);
  return names;
}

bool Qualification::isKnown(const PipelineKey &key) const {
  const uint64_t hash = variants.at(key).hash;
  return verdicts.find(hash) || passing.find(hash) || skipped.count(hash);
}

//===- which trials there are --------------------------------------------------------------------------===//

std::optional<Trial> Qualification::trialOf(Workbench &bench, int number, const fb::Command &command,
                                            uint32_t choice, const PutAside &aside) const {
  const fb::Dispatch &dispatch = *command.body_as_Dispatch();
  Trial trial{number, &command, {}, {}};
  for (const fb::Step *step : *dispatch.choices()->Get(choice)->steps())
    if (!trusted.count(step->shader()) && !isKnown(keyOf(*step))) trial.suspects.push_back(keyOf(*step));
  if (trial.suspects.empty()) return {};
  const fb::Entry &entry = *program.entries()->Get(static_cast<uint32_t>(number));
  Place place = [&](const fb::Ref &ref) { return bench.place(number, ref); };
  auto plan = planTrial(inventory, program, entry, dispatch, choice, place, aside);
  if (!plan) return {};
  trial.plan = std::move(*plan);
  return trial;
}

// One for each variant, though most are in many dispatches: an entry's layers are alike.
std::vector<Trial> Qualification::unknown(Workbench &bench) const {
  std::vector<Trial> trials;
  std::set<PipelineKey> seen;
  std::set<std::pair<int, std::vector<PipelineKey>>> looked; // in each entry
  const PutAside names = failed();
  forEachChoice(program, [&](int entry, const fb::Command &command, uint32_t c) {
    const auto &choices = *command.body_as_Dispatch()->choices();
    if (c + 1 == choices.size()) return;
    std::vector<PipelineKey> keys;
    for (const fb::Step *step : *choices.Get(c)->steps()) keys.push_back(keyOf(*step));
    bool all_seen =
        std::all_of(keys.begin(), keys.end(), [&](const PipelineKey &key) { return seen.count(key); });
    if (all_seen || !looked.emplace(entry, std::move(keys)).second) return;
    auto trial = trialOf(bench, entry, command, c, names);
    if (!trial) return;
    seen.insert(trial->suspects.begin(), trial->suspects.end());
    trials.push_back(std::move(*trial));
  });
  return trials;
}

bool Qualification::isSuspect(const Trial &trial) const {
  return std::any_of(trial.suspects.begin(), trial.suspects.end(),
                     [&](const PipelineKey &key) { return suspects.count(variants.at(key).hash); });
}

//===- trying ------------------------------------------------------------------------------------------===//

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
  if (off || unknown(bench).empty()) return true;
  auto lock = TrialLock::take(inventory, kLockPatience);
  if (!lock) return tryAll(bench, nullptr); // nothing can be remembered
  if (!*lock) return true;                  // busy: this start does without
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

void Qualification::giveUp(Workbench &bench) {
  for (std::vector<Trial> rest = unknown(bench); !rest.empty(); rest = unknown(bench))
    for (const Trial &trial : rest)
      conclude(trial.suspects, Verdict::untried, "others hung, lost the device or crashed");
  (void)verdicts.save(inventory);
}

Result<bool> Qualification::tryAll(Workbench &bench, TrialLock *lock) {
  if (losses() >= kMostLosses) giveUp(bench);
  while (seconds < budget) {
    std::vector<Trial> trials = unknown(bench);
    if (trials.empty()) break;
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
                                    uint32_t seconds_at_most) {
  const auto begin = std::chrono::steady_clock::now();
  auto answer = runTrial(bench, trial, planned, seconds_at_most);
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return answer;
}

// What is right. Trials without it, and those that there is no time for, are taken off the list. Not noted in
// the mark: a driver that crashes on these serves nobody.
Result<std::vector<Answer>> Qualification::answersOf(Workbench &bench, std::vector<Trial> &trials) {
  std::vector<PipelineKey> keys;
  for (const Trial &trial : trials)
    for (PipelineKey &key : keysOf(trial.plan.reference)) keys.push_back(std::move(key));
  LINNET_ASSIGN(PipelineFailures failures, bench.pipelines.attempt(keys));
  std::vector<Answer> answers;
  std::vector<Trial> kept;
  for (Trial &trial : trials) {
    if (seconds >= budget) break;
    const std::vector<PipelineKey> own = keysOf(trial.plan.reference);
    if (std::any_of(own.begin(), own.end(), [&](const PipelineKey &key) { return failures.count(key); })) {
      skip(trial);
      continue;
    }
    auto answer = timed(bench, trial, trial.plan.reference, patience);
    if (!answer)
      return errorf("shader '{}' does not run: {}", variants.at(own.front()).shader, answer.error().message);
    answers.push_back(std::move(*answer));
    kept.push_back(std::move(trial));
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
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  const double tolerance = dispatch.choices()->Get(trial.plan.candidate.choice)->tolerance();
  auto found = timed(bench, trial, trial.plan.candidate, seconds_at_most);
  if (lose || (!found && bench.context->outcome == VK_ERROR_DEVICE_LOST)) {
    conclude(trial.suspects, Verdict::loses);
    return false;
  }
  if (!found && bench.context->outcome == VK_TIMEOUT) {
    conclude(trial.suspects, Verdict::hangs, fmt::format("no answer in {} seconds", seconds_at_most));
    return false;
  }
  if (!found) return found.error();
  const std::string why = difference(dispatch, tolerance, expected, *found);
  conclude(trial.suspects, why.empty() ? Verdict::ok : Verdict::wrong, why);
  return true;
}

void Qualification::conclude(std::span<const PipelineKey> keys, Verdict verdict, const std::string &detail) {
  for (const PipelineKey &key : keys) verdicts.add({variants.at(key), verdict, detail});
}

void Qualification::skip(const Trial &trial) {
  for (const PipelineKey &key : trial.suspects) skipped.insert(variants.at(key).hash);
}

} // namespace linnet::vulkan
