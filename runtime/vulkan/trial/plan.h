// Chooses the sizes of a trial and its reference. Makes no Vulkan calls.
#pragma once
#include "runtime/vulkan/execute/plan.h"

#include <functional>
#include <optional>
#include <set>

namespace linnet::vulkan {

/// Calls visit(entry, command, choice) for each choice of a program of dispatches, in order.
LINNET_API void forEachChoice(const fb::Program &program,
                              const std::function<void(uint32_t, uint32_t, uint32_t)> &visit);
LINNET_API const fb::Dispatch &dispatchOf(const fb::Program &program, uint32_t entry, uint32_t command);
/// The shaders of a choice.
LINNET_API std::vector<uint32_t> shadersOf(const fb::Choice &choice);
/// The operands of the dispatch that a step writes.
LINNET_API std::set<uint32_t> writtenBy(const PlannedStep &step);

/// Small sizes in the amount range of choice `number` of the dispatch, the best one first.
LINNET_API std::vector<std::vector<int64_t>> trialSizes(const fb::Entry &entry, const fb::Dispatch &dispatch,
                                                        uint32_t number);

/// The computed part of a problem: the first `part` of `all` units (see fb::Split).
struct Units {
  uint64_t all = 0, part = 0;
  bool operator==(const Units &) const = default;
};
struct PartialDispatch {
  PlannedDispatch planned;
  std::optional<Units> units;
};
/// Choice `number` at this size; nothing if the device cannot use it. A large matrix is computed only in
/// part, as much as a device with few workgroups does at once: a whole vocabulary's matmul would take most of
/// the time. With `least`, at least those units are computed.
LINNET_API std::optional<PartialDispatch> planPart(const PlanContext &context, const fb::Dispatch &dispatch,
                                                   std::span<const int64_t> symbols, uint32_t number,
                                                   std::optional<Units> least = {});
/// The same without reduction to a part.
LINNET_API std::optional<PlannedDispatch> planExactly(const PlanContext &context,
                                                      const fb::Dispatch &dispatch,
                                                      std::span<const int64_t> symbols, uint32_t number);

struct TrialPlan {
  std::vector<int64_t> symbols;
  PlannedDispatch candidate, reference;
};

/// A small problem for which the device takes choice `number` of the dispatch. The reference is the last
/// choice that the device can use at that size, which may be the same one. Nothing if it takes another choice
/// at all tried sizes.
std::optional<TrialPlan> planTrial(const PlanContext &context, const fb::Entry &entry,
                                   const fb::Dispatch &dispatch, uint32_t number);

} // namespace linnet::vulkan
