// What a program's dispatches become on a device with a given inventory: which choice, in which parts, bound
// how, and where barriers are due. Knows no Vulkan calls.
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

/// Why a device with this inventory cannot run the shader; empty: it can.
std::string refusal(const Inventory &inventory, const fb::Shader &shader);

/// A shader with the values of its specialization constants.
struct PipelineKey {
  uint32_t shader = 0;
  std::vector<uint32_t> constants;
  auto operator<=>(const PipelineKey &) const = default;
};
LINNET_API PipelineKey keyOf(const fb::Step &step);

/// Bytes [offset, offset + size) of buffer number `buffer`.
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

/// Memory that a step touches.
struct Touch {
  Range range;
  bool write = false;
};

struct PlannedStep {
  const fb::Step *step = nullptr;
  std::vector<Part> parts; ///< independent of each other; none where there is no work
  std::vector<Touch> touches;
};

struct PlannedDispatch {
  uint32_t choice = 0;
  std::vector<PlannedStep> steps;
};

/// Shaders that are not to be used, by name, and why: what refusal() cannot know.
using PutAside = std::map<std::string, std::string>;
/// Where an operand lies.
using Place = std::function<Range(const fb::Ref &)>;

/// What the dispatches of one entry are planned for.
struct PlanContext {
  const Inventory &inventory;
  const fb::Program &program;
  Place place;
  PutAside aside = {};
};

/// The first possible choice of `dispatch` from `first_choice` on. An error says why the last choice is not
/// possible either.
LINNET_API Result<PlannedDispatch> planDispatch(const PlanContext &context, const fb::Dispatch &dispatch,
                                                std::span<const int64_t> symbols, uint32_t first_choice = 0);

/// The size of subgroups that a shader for `least` to `most` invocations is compiled for; 0: the device has
/// but one, or the shader takes any. Unless asked, a driver with several may run another than it says.
uint32_t demandedSubgroup(const Limits &limits, uint32_t least, uint32_t most);

/// Tells when a step must wait for those before it.
class Hazards {
public:
  /// True where a barrier is due before a step that touches this; the step counts as after it.
  bool before(std::span<const Touch> touches);

private:
  std::vector<Touch> open; // since the last barrier
};

} // namespace linnet::vulkan
