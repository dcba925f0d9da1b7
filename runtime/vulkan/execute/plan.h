// Plans a program's dispatches for a device with a given inventory: choices, parts, bindings and barriers.
// Makes no Vulkan calls.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "runtime/vulkan/device/inventory.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace linnet::vulkan {

/// All operands of a shader are in one set.
inline constexpr uint32_t kDescriptorSets = 1;

/// Why a device with this inventory cannot run the shader; empty if it can.
std::string refusal(const Inventory &inventory, const fb::Shader &shader);

/// Bytes [offset, offset + size) of buffer `buffer` (an index).
struct Range {
  uint32_t buffer = 0;
  uint64_t offset = 0, size = 0;
  bool operator==(const Range &) const = default;
};

/// One vkCmdDispatch.
struct Part {
  const fb::Step *step = nullptr;
  std::vector<Range> bindings;
  std::vector<uint32_t> push;
  std::array<uint32_t, 3> groups = {1, 1, 1};
};

/// Memory that a step reads or writes.
struct Touch {
  Range range;
  bool write = false;
};

struct PlannedStep {
  const fb::Step *step = nullptr;
  std::vector<Part> parts; ///< independent of each other; empty if there is no work
  std::vector<Touch> touches;
};

struct PlannedDispatch {
  uint32_t choice = 0;
  std::vector<PlannedStep> steps;
};

/// Rejected shaders by name, with the reasons that refusal() cannot find.
using PutAside = std::map<std::string, std::string>;
/// The memory of an operand.
using Place = std::function<Range(const fb::Ref &)>;

/// The context for planning the dispatches of one entry.
struct PlanContext {
  const Inventory &inventory;
  const fb::Program &program;
  Place place;
  PutAside aside = {};
};

/// The first choice of `dispatch` from `first_choice` on that the device can use. If there is none, the error
/// has the reason for the last choice.
LINNET_API Result<PlannedDispatch> planDispatch(const PlanContext &context, const fb::Dispatch &dispatch,
                                                std::span<const int64_t> symbols, uint32_t first_choice = 0);

/// The subgroup size that a shader for `least` to `most` invocations must be compiled with. 0: the device has
/// only one, or the shader accepts any. Without a required size, a driver with several may run another one
/// than it reports.
uint32_t demandedSubgroup(const Limits &limits, uint32_t least, uint32_t most);

/// Detects when a step must wait for earlier ones.
class Hazards {
public:
  /// Whether a barrier is needed before a step with these accesses. Records the step as after that barrier.
  bool before(std::span<const Touch> touches);

private:
  std::vector<Touch> open; // since the last barrier
};

} // namespace linnet::vulkan
