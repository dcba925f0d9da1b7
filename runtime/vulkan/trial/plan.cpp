#include "runtime/vulkan/trial/plan.h"
#include "runtime/expr.h"

#include <algorithm>
#include <limits>

namespace linnet::vulkan {
namespace {

using Symbols = std::vector<int64_t>;

// All ones, but for the first symbol that can bring `amount` to `target`; nothing where none can. Amounts
// never shrink as a symbol grows.
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

// Several of everything, where that is a size for the choice: tiles that are full and one that is not, more
// than one sequence. Else one more than the least that it is for, else the least; else what is just too much
// for a choice before it; else the most that it is for.
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

// Of a problem whose last step, which gives the result, may be done in parts.
struct Units {
  int64_t all = 0;   // that there are
  uint32_t part = 0; // in the first part
  bool operator==(const Units &) const = default;
};
std::optional<Units> unitsOf(const PlannedDispatch &planned, const Symbols &symbols) {
  const PlannedStep &step = planned.steps.back();
  if (step.step->splits()->size() != 1 || step.parts.empty()) return {};
  const fb::Split &split = *step.step->splits()->Get(0);
  return Units{evaluate(split.units(), symbols), step.parts.front().push[split.count()]};
}

// Of a large matrix only so much as a device would do at once that counts to few workgroups, where that is
// the same part of the work for both: else a vocabulary's matmul would take most of the time.
void shorten(TrialPlan &plan, Inventory inventory, const fb::Program &program, const fb::Dispatch &dispatch,
             const Place &place, const PutAside &aside) {
  constexpr uint32_t kWorkgroups = 32;
  for (uint32_t &groups : inventory.limits.groups) groups = std::min(groups, kWorkgroups);
  std::vector<PlannedDispatch> parts;
  for (const PlannedDispatch *whole : {&plan.candidate, &plan.reference}) {
    auto part = planDispatch(inventory, program, dispatch, plan.symbols, place, aside, whole->choice);
    if (!part || part->choice != whole->choice || !unitsOf(*part, plan.symbols)) return;
    parts.push_back(std::move(*part));
  }
  if (unitsOf(parts[0], plan.symbols) != unitsOf(parts[1], plan.symbols)) return;
  for (PlannedDispatch &part : parts) part.steps.back().parts.resize(1);
  plan.candidate = std::move(parts[0]), plan.reference = std::move(parts[1]);
}

} // namespace

std::optional<TrialPlan> planTrial(const Inventory &inventory, const fb::Program &program,
                                   const fb::Entry &entry, const fb::Dispatch &dispatch, uint32_t number,
                                   const Place &place, const PutAside &aside, uint32_t poorest) {
  const uint32_t choices = std::min(dispatch.choices()->size(), poorest < ~0u ? poorest + 1 : poorest);
  for (const Symbols &symbols : smallSizes(entry, dispatch, number)) {
    auto candidate = planDispatch(inventory, program, dispatch, symbols, place, aside);
    if (!candidate || candidate->choice != number) continue;
    for (uint32_t other = choices; other-- > number;) {
      auto reference = planDispatch(inventory, program, dispatch, symbols, place, aside, other);
      if (!reference || reference->choice != other) continue;
      TrialPlan plan{symbols, std::move(*candidate), std::move(*reference)};
      shorten(plan, inventory, program, dispatch, place, aside);
      return plan;
    }
  }
  return {};
}

} // namespace linnet::vulkan
