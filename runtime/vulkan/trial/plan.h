// Sizes for a trial, and what to compare with. Knows no Vulkan calls.
#pragma once
#include "runtime/vulkan/execute/plan.h"

#include <functional>
#include <optional>
#include <set>

namespace linnet::vulkan {

/// Calls visit(entry, command, choice) with the numbers of each choice of a program of dispatches, in order.
LINNET_API void forEachChoice(const fb::Program &program,
                              const std::function<void(uint32_t, uint32_t, uint32_t)> &visit);
LINNET_API const fb::Dispatch &dispatchOf(const fb::Program &program, uint32_t entry, uint32_t command);
/// A choice's shaders.
LINNET_API std::vector<PipelineKey> keysOf(const fb::Choice &choice);
/// The dispatch's operands that a step writes.
LINNET_API std::set<uint32_t> writtenBy(const PlannedStep &step);

/// Small sizes for choice `number` of the dispatch, which its amount permits, the best one first.
LINNET_API std::vector<std::vector<int64_t>> trialSizes(const fb::Entry &entry, const fb::Dispatch &dispatch,
                                                        uint32_t number);

/// How much of a problem is done: of its `all` units (see fb::Split) the first `part`. None: all of it, in a
/// step that is not split.
struct Units {
  uint64_t all = 0, part = 0;
  bool operator==(const Units &) const = default;
};
struct PartialDispatch {
  PlannedDispatch planned;
  std::optional<Units> units;
};
/// Choice `number` at this size; nothing where it is not possible. Of a large matrix only what a device does
/// at once that counts to few workgroups: a vocabulary's matmul would take most of the time. With `least`, at
/// least those units.
LINNET_API std::optional<PartialDispatch> planPart(const PlanContext &context, const fb::Dispatch &dispatch,
                                                   std::span<const int64_t> symbols, uint32_t number,
                                                   std::optional<Units> least = {});
/// The same, all of it.
LINNET_API std::optional<PlannedDispatch> planExactly(const PlanContext &context,
                                                      const fb::Dispatch &dispatch,
                                                      std::span<const int64_t> symbols, uint32_t number);

struct TrialPlan {
  std::vector<int64_t> symbols;
  PlannedDispatch candidate, reference;
};

/// A small problem for which the device takes choice `number` of the dispatch, and the poorest choice that it
/// can do the same in, which may be that choice itself. Nothing where it takes another choice at all sizes
/// looked at.
std::optional<TrialPlan> planTrial(const PlanContext &context, const fb::Entry &entry,
                                   const fb::Dispatch &dispatch, uint32_t number);

} // namespace linnet::vulkan
