// The state machine: selects the trials and their order.
#include "runtime/vulkan/trial/qualification.h"
#include "support/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace linnet::vulkan {
namespace {

// Seconds of run time per load. Compilation does not count, because a variant that is used must be compiled
// anyway. A CPU takes ten times as long, and lavapipe compiles when a shader first runs. There an untried
// program uses the last choice, which may be a hundred times as slow, so waiting for all trials pays.
constexpr double kBudgetGpu = 0.2, kBudgetCpu = 20;
// Seconds for one run. A GPU's driver ends longer work, if it can. A CPU may be busy with other programs.
constexpr uint32_t kPatienceGpu = 10, kPatienceCpu = 120;
// Longest wait for another process. A process that is stopped must not block this one.
constexpr std::chrono::milliseconds kLockPatience(5000);
// Most variants of a program that may hang, lose the device or crash. Each costs its patience, or two
// processes.
constexpr ptrdiff_t kMostLosses = 2;

} // namespace

Qualification::Qualification(const Inventory &inventory, const Artifact &artifact, const fb::Program &program)
    : inventory(inventory), program(program), variants(inventory, artifact, program), answers(program),
      patience(inventory.kind == Kind::cpu ? kPatienceCpu : kPatienceGpu),
      budget(inventory.kind == Kind::cpu ? kBudgetCpu : kBudgetGpu) {
  readVariable();
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

Result<bool> Qualification::run(Workbench workbench) {
  if (!complaint.empty()) return Error{complaint};
  if (off) return true;
  bench.emplace(std::move(workbench));
  if ((!hasTime() || unknown(State::better).empty()) && unknown(State::last).empty()) return true;
  auto taken = TrialLock::take(inventory, kLockPatience);
  if (taken && *taken) lock.emplace(std::move(**taken));
  if (lock) variants.takeOver(lock->left);
  if (taken && !lock) budget = 0; // another process is trying: this start uses the known verdicts
  if (variants.losses() >= kMostLosses) giveUp();
  Result<State> state = State::better;
  while (state && (*state == State::better || *state == State::last)) state = advance(*state);
  lock.reset();
  bench.reset();
  if (!state) return state.error();
  return *state == State::done;
}

Result<Qualification::State> Qualification::advance(State state) {
  std::vector<Trial> trials;
  if (state == State::last || hasTime()) trials = unknown(state);
  if (trials.empty()) return state == State::better ? State::last : State::done;
  if (variants.losses() > kMostLosses)
    return errorf("the device {} is of no use: {} kernel variants hang, lose it or crash (linnet devices)",
                  inventory.name, variants.losses());
  return tryGroup(std::move(trials));
}

// One trial per variant, although most variants are in many dispatches, because the layers of an entry are
// equal. Last choices are tried after better ones: most of them are then not needed at any size.
std::vector<Trial> Qualification::unknown(State which) const {
  std::vector<Trial> trials;
  std::set<uint32_t> seen;
  std::set<std::pair<uint32_t, std::vector<uint32_t>>> looked; // per entry
  const PutAside names = which == State::last ? variants.notUsable() : variants.failed();
  forEachChoice(program, [&](uint32_t number, uint32_t command, uint32_t c) {
    const fb::Entry &entry = *program.entries()->Get(number);
    const fb::Dispatch &dispatch = dispatchOf(program, number, command);
    if ((which == State::last) != (c + 1 == dispatch.choices()->size())) return;
    const std::vector<uint32_t> shaders = shadersOf(*dispatch.choices()->Get(c));
    const bool all_seen =
        std::ranges::all_of(shaders, [&](uint32_t shader) { return seen.count(shader) > 0; });
    if (all_seen || !looked.emplace(number, shaders).second) return;
    std::vector<uint32_t> suspects = variants.unknown(shaders);
    if (suspects.empty()) return;
    const int index = static_cast<int>(number);
    auto plan = planTrial(bench->planContext(index, names), entry, dispatch, c);
    if (!plan) return; // the device takes other choices
    std::optional<Trial> trial = answers.trial(*bench, shaders, names);
    if (!trial) trial = Trial{index, &dispatch, std::move(*plan), {}, nullptr};
    trial->suspects = std::move(suspects);
    seen.insert(trial->suspects.begin(), trial->suspects.end());
    trials.push_back(std::move(*trial));
  });
  return trials;
}

// Ends all trials except those of last choices, which have no alternative.
void Qualification::giveUp() {
  for (bool more = true; more;) {
    more = false;
    for (const Trial &trial : unknown(State::better))
      for (uint32_t shader : trial.suspects) {
        if (variants.isLast(shader)) continue;
        more = true;
        variants.conclude(std::span(&shader, 1), Verdict::untried, "others hung, lost the device or crashed");
      }
  }
  (void)variants.save();
}

} // namespace linnet::vulkan
