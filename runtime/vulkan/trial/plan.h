// Sizes for a trial, and what to compare with. Knows no Vulkan calls.
#pragma once
#include "runtime/vulkan/execute/plan.h"

#include <optional>

namespace linnet::vulkan {

struct TrialPlan {
  std::vector<int64_t> symbols;
  PlannedDispatch candidate, reference;
};

/// A small problem for which the device takes choice `number` of the dispatch, and the poorest choice that it
/// can do the same in, which may be that choice itself. Nothing where it takes another choice at all sizes
/// looked at. `poorest`: what may be compared with at most.
std::optional<TrialPlan> planTrial(const Inventory &inventory, const fb::Program &program,
                                   const fb::Entry &entry, const fb::Dispatch &dispatch, uint32_t number,
                                   const Place &place, const PutAside &aside, uint32_t poorest = ~0u);

} // namespace linnet::vulkan
