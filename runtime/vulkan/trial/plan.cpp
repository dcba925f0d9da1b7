#include "runtime/vulkan/trial/plan.h"
#include "runtime/expr.h"

#include <algorithm>
#include <limits>

namespace linnet::vulkan {
namespace {

using Symbols = std::vector<int64_t>;

// Symbols of 1, except the first one that can raise `amount` to `target`. Nothing if none can. Amounts grow
// with symbols.
std::optional<Symbols> reach(const fb::Expr *amount, int64_t target, const fb::Entry &entry) {
  for (uint32_t s = 0; s < entry.bounds()->size(); ++s) {
    Symbols symbols(entry.bounds()->size(), 1);
    int64_t below = 0, enough = entry.bounds()->Get(s);
    symbols[s] = enough;
    if (evaluate(amount, symbols) < target) continue;
    while (enough - below > 1) {
      symbols[s] = below + (enough - below) / 2;
      (evaluate(amount, symbols) < target ? below : enough) = symbols[s];
    }
    symbols[s] = enough;
    return symbols;
  }
  return {};
}

// Small sizes for the choice, in this order: several of everything (full tiles and a partial one, more than
// one sequence); one more than its least amount; its least amount; the first amount above an earlier choice's
// range; its largest amount.
std::vector<Symbols> smallSizes(const fb::Entry &entry, const fb::Dispatch &dispatch, uint32_t number) {
  const fb::Choice &choice = *dispatch.choices()->Get(number);
  Symbols few;
  for (int64_t bound : *entry.bounds()) few.push_back(std::min(bound, static_cast<int64_t>(few.size()) + 2));
  std::vector<Symbols> sizes = {few};
  auto add = [&](const fb::Expr *amount, int64_t target, int64_t more) {
    if (target > std::numeric_limits<int64_t>::max() - more) return;
    if (auto symbols = reach(amount, target + more, entry)) sizes.push_back(*symbols);
  };
  for (int64_t more : {1, 0}) add(choice.amount(), choice.least(), more);
  sizes.emplace_back(entry.bounds()->size(), 1);
  for (uint32_t i = 0; i < number; ++i) {
    const fb::Choice &before = *dispatch.choices()->Get(i);
    add(before.amount(), before.most(), 1);
  }
  add(choice.amount(), choice.most(), 0);
  return sizes;
}

// The units of the last step, which computes the result, if it has exactly one split.
std::optional<Units> unitsOf(const PlannedDispatch &planned, std::span<const int64_t> symbols) {
  const PlannedStep &step = planned.steps.back();
  if (step.step->splits()->size() != 1 || step.parts.empty()) return {};
  const fb::Split &split = *step.step->splits()->Get(0);
  return Units{static_cast<uint64_t>(evaluate(split.units(), symbols)),
               step.parts.front().push[split.count()]};
}

} // namespace

const fb::Dispatch &dispatchOf(const fb::Program &program, uint32_t entry, uint32_t command) {
  return *program.entries()->Get(entry)->commands()->Get(command)->body_as_Dispatch();
}

void forEachChoice(const fb::Program &program,
                   const std::function<void(uint32_t, uint32_t, uint32_t)> &visit) {
  for (uint32_t e = 0; e < program.entries()->size(); ++e)
    for (uint32_t c = 0; c < program.entries()->Get(e)->commands()->size(); ++c)
      for (uint32_t i = 0; i < dispatchOf(program, e, c).choices()->size(); ++i) visit(e, c, i);
}

std::vector<uint32_t> shadersOf(const fb::Choice &choice) {
  std::vector<uint32_t> shaders;
  for (const fb::Step *step : *choice.steps()) shaders.push_back(step->shader());
  return shaders;
}

std::set<uint32_t> writtenBy(const PlannedStep &planned) {
  std::set<uint32_t> args;
  const fb::Step &step = *planned.step;
  for (uint32_t i = 0; i < step.args()->size(); ++i)
    if (static_cast<uint8_t>(step.access()->Get(i)) & 2) args.insert(step.args()->Get(i));
  return args;
}

std::vector<Symbols> trialSizes(const fb::Entry &entry, const fb::Dispatch &dispatch, uint32_t number) {
  const fb::Choice &choice = *dispatch.choices()->Get(number);
  std::vector<Symbols> sizes = smallSizes(entry, dispatch, number);
  std::erase_if(sizes, [&](const Symbols &symbols) {
    const int64_t amount = evaluate(choice.amount(), symbols);
    return amount < choice.least() || amount > choice.most();
  });
  return sizes;
}

std::optional<PlannedDispatch> planExactly(const PlanContext &context, const fb::Dispatch &dispatch,
                                           std::span<const int64_t> symbols, uint32_t number) {
  auto planned = planDispatch(context, dispatch, symbols, number);
  if (!planned || planned->choice != number) return {};
  return std::move(*planned);
}

std::optional<PartialDispatch> planPart(const PlanContext &context, const fb::Dispatch &dispatch,
                                        std::span<const int64_t> symbols, uint32_t number,
                                        std::optional<Units> least) {
  constexpr uint32_t kWorkgroups = 32;
  auto whole = planExactly(context, dispatch, symbols, number);
  if (!whole) return {};
  const std::optional<Units> all = unitsOf(*whole, symbols);
  if (!all || (least && least->all != all->all)) return PartialDispatch{std::move(*whole), {}};
  for (uint64_t most = kWorkgroups;; most *= 2) {
    Inventory few = context.inventory;
    bool fewer = false;
    for (uint32_t &groups : few.limits.groups)
      if (most < groups) groups = static_cast<uint32_t>(most), fewer = true;
    if (!fewer) break;
    auto planned =
        planExactly({few, context.program, context.place, context.aside}, dispatch, symbols, number);
    const std::optional<Units> units = planned ? unitsOf(*planned, symbols) : std::nullopt;
    if (!units) break;
    if (least && units->part < least->part) continue;
    planned->steps.back().parts.resize(1);
    return PartialDispatch{std::move(*planned), units};
  }
  return PartialDispatch{std::move(*whole), {}};
}

std::optional<TrialPlan> planTrial(const PlanContext &context, const fb::Entry &entry,
                                   const fb::Dispatch &dispatch, uint32_t number) {
  for (const Symbols &symbols : trialSizes(entry, dispatch, number)) {
    auto candidate = planDispatch(context, dispatch, symbols);
    if (!candidate || candidate->choice != number) continue;
    for (uint32_t other = dispatch.choices()->size(); other-- > number;) {
      auto reference = planPart(context, dispatch, symbols, other);
      if (!reference) continue;
      auto part = planPart(context, dispatch, symbols, number, reference->units);
      if (reference->units && part->units == reference->units)
        return TrialPlan{symbols, std::move(part->planned), std::move(reference->planned)};
      return TrialPlan{symbols, std::move(*candidate), *planExactly(context, dispatch, symbols, other)};
    }
  }
  return {};
}

} // namespace linnet::vulkan
