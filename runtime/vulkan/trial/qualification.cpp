#include "runtime/vulkan/trial/qualification.h"
#include "runtime/artifact/format.h"
#include "support/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace linnet::vulkan {
namespace {

// Of running, in one load. Compiling is not counted: a variant that is used must be compiled anyway. A CPU
// takes ten times as long, and lavapipe compiles when a shader first runs; there the last choice, which is
// used until a better one has been tried, may be a hundred times as slow, so it pays to wait for all.
constexpr double kBudgetGpu = 0.2, kBudgetCpu = 20;
// Seconds. A GPU's driver ends what takes this long by itself, if it can. A CPU may have much else to do.
constexpr uint32_t kPatienceGpu = 10, kPatienceCpu = 120;
uint64_t hashOf(std::string_view name, std::span<const std::byte> words,
                std::span<const uint32_t> constants) {
  std::vector<uint64_t> parts = {format::hashBytes(words), format::hashBytes(std::as_bytes(std::span(name)))};
  parts.insert(parts.end(), constants.begin(), constants.end());
  return format::hashBytes(std::as_bytes(std::span(parts)));
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
      if (c + 1 == choices.size()) last.insert(step->shader());
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
        names[variant.shader] =
            std::string(verdictText(found->verdict)) + (found->detail.empty() ? "" : ", " + found->detail);
  return names;
}

PutAside Qualification::aside() const {
  PutAside names = failed();
  for (const auto &[key, variant] : variants)
    if (!off && !last.count(key.shader) && !isKnown(key)) names.emplace(variant.shader, "not tried yet");
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
    if (!isKnown(keyOf(*step))) trial.suspects.push_back(keyOf(*step));
  if (trial.suspects.empty()) return {};
  const fb::Entry &entry = *program.entries()->Get(static_cast<uint32_t>(number));
  Place place = [&](const fb::Ref &ref) { return bench.place(number, ref); };
  auto plan = planTrial(inventory, program, entry, dispatch, choice, place, aside);
  if (!plan) return {};
  trial.plan = std::move(*plan);
  return trial;
}

// One for each variant, though most are in many dispatches: an entry's layers are alike.
std::vector<Trial> Qualification::unknown(Workbench &bench, Which which) const {
  std::vector<Trial> trials;
  std::set<PipelineKey> seen;
  std::set<std::pair<int, std::vector<PipelineKey>>> looked; // in each entry
  const PutAside names = which == Which::last ? aside() : failed();
  forEachChoice(program, [&](int entry, const fb::Command &command, uint32_t c) {
    const auto &choices = *command.body_as_Dispatch()->choices();
    if ((which == Which::last) != (c + 1 == choices.size())) return;
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

// Last choices when all is known that there was time for: most are then taken at no size.
std::vector<Trial> Qualification::next(Workbench &bench) const {
  std::vector<Trial> trials;
  if (seconds < budget) trials = unknown(bench, Which::better);
  return trials.empty() ? unknown(bench, Which::last) : trials;
}

bool Qualification::isSuspect(const Trial &trial) const {
  return std::any_of(trial.suspects.begin(), trial.suspects.end(),
                     [&](const PipelineKey &key) { return suspects.count(variants.at(key).hash); });
}

} // namespace linnet::vulkan
