#include "runtime/vulkan/execute/plan.h"
#include "runtime/expr.h"
#include "support/error.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace linnet::vulkan {
namespace {

constexpr size_t kSlices = 2; ///< index of z, the axis along which shaders do not loop over workgroups

uint64_t wholeWords(uint64_t bytes) { return (bytes + 3) / 4 * 4; }

// Plans the parts of one step, the product of its splits.
class StepPlan {
public:
  StepPlan(const PlanContext &context, const fb::Dispatch &dispatch, const fb::Step &step,
           std::span<const int64_t> symbols)
      : limits(context.inventory.limits), shader(*context.program.shaders()->Get(step.shader())),
        dispatch(dispatch), step(step), symbols(symbols), place(context.place) {}

  Result<PlannedStep> plan() {
    planned.step = &step;
    for (uint32_t i = 0; i < step.args()->size(); ++i) {
      Range range = place(*dispatch.args()->Get(step.args()->Get(i)));
      range.size = wholeWords(range.size);
      whole.push_back(range);
      bool write = static_cast<uint8_t>(step.access()->Get(i)) & 2;
      planned.touches.push_back({range, write});
    }
    whole_part.step = &step;
    whole_part.push.assign(shader.push_words(), 0);
    for (uint32_t i = 0; i < step.push()->size(); ++i)
      whole_part.push[i] = static_cast<uint32_t>(evaluate(step.push()->Get(i), symbols));
    for (uint32_t i = 0; i < step.groups()->size(); ++i) {
      const fb::Groups &g = *step.groups()->Get(i);
      axis_groups[i] = ceilDivide(static_cast<uint64_t>(evaluate(g.amount(), symbols)), g.per());
    }
    sizes = whole;
    LINNET_TRY(split(0, whole_part, sizes, axis_groups));
    return std::move(planned);
  }

private:
  static uint64_t ceilDivide(uint64_t amount, uint32_t per) { return (amount + per - 1) / per; }

  // The largest binding of the device for this argument, in bytes.
  uint64_t rangeOf(uint32_t arg) const {
    uint32_t words = step.bind() || !shader.texels() ? 0 : shader.texels()->Get(arg);
    return words ? limits.texels * words * 4 : limits.storage_range;
  }

  // The largest number of units of a part.
  Result<uint64_t> unitsOfPart(const fb::Split &split, uint64_t units) const {
    uint64_t most = units, multiple = 1;
    for (uint32_t i = 0; i < split.args()->size(); ++i) {
      uint64_t bytes = split.unit_bytes()->Get(i);
      most = std::min(most, rangeOf(split.args()->Get(i)) / bytes);
      multiple = std::lcm(multiple, limits.storage_alignment / std::gcd(bytes, limits.storage_alignment));
    }
    if (split.axis() < 3) {
      uint64_t per = step.groups()->Get(split.axis())->per();
      most = std::min(most, limits.groups[split.axis()] * per);
      multiple = std::lcm(multiple, per);
    }
    if (most < units) most = most / multiple * multiple;
    if (most == 0 && units) return errorf("an operand's units do not fit in a binding");
    return most;
  }

  Result<void> split(uint32_t number, const Part &part, const std::vector<Range> &ranges,
                     const std::array<uint64_t, 3> &groups) {
    if (number == step.splits()->size()) return finish(part, ranges, groups);
    const fb::Split &s = *step.splits()->Get(number);
    auto units = static_cast<uint64_t>(evaluate(s.units(), symbols));
    LINNET_ASSIGN(uint64_t most, unitsOfPart(s, units));
    for (uint64_t first = 0; first < units; first += most) {
      uint64_t count = std::min(most, units - first);
      Part smaller = part;
      smaller.push[s.first()] = static_cast<uint32_t>(first);
      smaller.push[s.count()] = static_cast<uint32_t>(count);
      std::vector<Range> cut = ranges;
      for (uint32_t i = 0; i < s.args()->size(); ++i) {
        Range &range = cut[s.args()->Get(i)];
        uint64_t bytes = s.unit_bytes()->Get(i);
        range.offset += first * bytes;
        range.size = count * bytes;
      }
      auto along = groups;
      if (s.axis() < 3) along[s.axis()] = ceilDivide(count, step.groups()->Get(s.axis())->per());
      LINNET_TRY(split(number + 1, smaller, cut, along));
    }
    return {};
  }

  Result<void> finish(Part part, const std::vector<Range> &ranges, const std::array<uint64_t, 3> &groups) {
    // Along x and y a shader loops with a stride of the number of workgroups, so the device's limit is
    // enough. Along z each workgroup has one slice, so all are needed.
    for (size_t i = 0; i < 3; ++i) {
      if (groups[i] == 0) return {};
      if (i == kSlices && groups[i] > limits.groups[i])
        return errorf("shader '{}' needs {} workgroups along z, the device counts to {}",
                      shader.name()->string_view(), groups[i], limits.groups[i]);
      part.groups[i] = static_cast<uint32_t>(std::min<uint64_t>(groups[i], limits.groups[i]));
    }
    LINNET_TRY(checkLoops(part, groups));
    LINNET_TRY(bind(part, ranges));
    for (uint32_t i = 0; i < part.bindings.size(); ++i) {
      Range &range = part.bindings[i];
      // Rounded up to whole texels. Areas begin at multiples of 256 bytes, so there is memory after each.
      if (shader.texels() && shader.texels()->Get(i)) range.size = (range.size + 15) / 16 * 16;
      if (range.size > rangeOf(i))
        return errorf("an operand of {} bytes, the device binds at most {}", range.size, rangeOf(i));
    }
    planned.parts.push_back(std::move(part));
    return {};
  }

  // Checks the total iterations of all loops. In floating point, so that no artifact can cause an overflow.
  Result<void> checkLoops(const Part &part, const std::array<uint64_t, 3> &groups) const {
    if (!shader.loops()) return {};
    double all = 0;
    std::vector<double> rounds; // rounds of each loop
    for (const fb::Loop *loop : *shader.loops()) {
      const double begun = loop->in() < 0 ? 1 : rounds[static_cast<size_t>(loop->in())];
      double once = ceilDivide(loop->most(), loop->step());
      if (loop->by() == fb::LoopBy::push) once = ceilDivide(part.push[loop->most()], loop->step());
      if (loop->by() >= fb::LoopBy::x) {
        const auto axis = static_cast<size_t>(loop->by()) - static_cast<size_t>(fb::LoopBy::x);
        once = static_cast<double>(loop->most()) * ceilDivide(groups[axis], part.groups[axis]);
      }
      rounds.push_back(begun * once);
      all += begun + rounds.back() * (1 + static_cast<double>(loop->inner()));
    }
    if (all <= static_cast<double>(limits.loop_steps)) return {};
    return errorf("shader '{}' may take {} steps of loops, the driver ends them after {}",
                  shader.name()->string_view(), all, limits.loop_steps);
  }

  /// A driver, and the validation layers, may assume that a step uses everything that it binds. This includes the
  /// memory between two operands in one binding.
  void addSharedTouches(const Part &part) {
    std::vector<uint32_t> sharing(part.bindings.size(), 0);
    std::vector<bool> written(part.bindings.size(), false);
    for (uint32_t i = 0; i < step.bind()->size(); ++i) {
      const uint32_t b = step.bind()->Get(i);
      ++sharing[b];
      if (step.access()->Get(i) != fb::Access::read) written[b] = true;
    }
    for (size_t b = 0; b < part.bindings.size(); ++b)
      if (sharing[b] > 1) planned.touches.push_back({part.bindings[b], written[b]});
  }

  Result<void> bind(Part &part, const std::vector<Range> &ranges) {
    if (!step.bind()) {
      part.bindings = ranges;
      return {};
    }
    part.bindings.assign(shader.bindings(), {});
    for (uint32_t b = 0; b < shader.bindings(); ++b) {
      uint64_t begin = std::numeric_limits<uint64_t>::max(), end = 0;
      std::optional<uint32_t> buffer;
      for (uint32_t i = 0; i < ranges.size(); ++i) {
        if (step.bind()->Get(i) != b) continue;
        if (buffer && *buffer != ranges[i].buffer) return Error{"its operands lie in several buffers"};
        buffer = ranges[i].buffer;
        begin = std::min(begin, ranges[i].offset);
        end = std::max(end, ranges[i].offset + ranges[i].size);
      }
      part.bindings[b] = {*buffer, begin, end - begin};
    }
    addSharedTouches(part);
    for (uint32_t i = 0; i < ranges.size(); ++i) {
      uint64_t distance = ranges[i].offset - part.bindings[step.bind()->Get(i)].offset;
      part.push[step.offsets() + i] = static_cast<uint32_t>(distance / 4);
    }
    return {};
  }

  const Limits &limits;
  const fb::Shader &shader;
  const fb::Dispatch &dispatch;
  const fb::Step &step;
  std::span<const int64_t> symbols;
  const Place &place;
  std::vector<Range> whole, sizes;
  Part whole_part;
  std::array<uint64_t, 3> axis_groups = {1, 1, 1};
  PlannedStep planned;
};

Result<PlannedDispatch> planChoice(const PlanContext &context, const fb::Dispatch &dispatch,
                                   const fb::Choice &choice, std::span<const int64_t> symbols) {
  PlannedDispatch planned;
  for (const fb::Step *step : *choice.steps()) {
    const fb::Shader &shader = *context.program.shaders()->Get(step->shader());
    if (std::string why = refusal(context.inventory, shader); !why.empty()) return Error{why};
    if (auto found = context.aside.find(shader.name()->str()); found != context.aside.end())
      return errorf("shader '{}' was put aside: {}", found->first, found->second);
    LINNET_ASSIGN(PlannedStep made, StepPlan(context, dispatch, *step, symbols).plan());
    planned.steps.push_back(std::move(made));
  }
  return planned;
}

} // namespace

std::string refusal(const Inventory &inventory, const fb::Shader &shader) {
  const Limits &limits = inventory.limits;
  auto more = [&](std::string_view what, uint64_t needs, uint64_t has) {
    return fmt::format("shader '{}' needs {} {}, the device has {}", shader.name()->string_view(), needs,
                       what, has);
  };
  for (const auto *feature : *shader.features())
    if (!inventory.features.count(feature->str()))
      return fmt::format("shader '{}' needs {}", shader.name()->string_view(), feature->string_view());
  if (kDescriptorSets > limits.descriptor_sets)
    return more("descriptor sets", kDescriptorSets, limits.descriptor_sets);
  if (shader.bindings() > limits.bindings) return more("storage buffers", shader.bindings(), limits.bindings);
  if (shader.push_words() * 4 > limits.push_bytes)
    return more("bytes of push constants", shader.push_words() * 4, limits.push_bytes);
  uint32_t local[] = {shader.local_x(), shader.local_y(), shader.local_z()};
  for (size_t i = 0; i < 3; ++i)
    if (local[i] > limits.local[i]) return more("invocations along an axis", local[i], limits.local[i]);
  uint64_t invocations = uint64_t(local[0]) * local[1] * local[2];
  if (invocations > limits.invocations) return more("invocations", invocations, limits.invocations);
  if (shader.shared_bytes() > limits.shared_bytes)
    return more("bytes of shared memory", shader.shared_bytes(), limits.shared_bytes);
  bool as_it_is = limits.subgroup >= shader.subgroup_min() && limits.subgroup <= shader.subgroup_max();
  bool on_demand =
      limits.subgroup_max >= shader.subgroup_min() && limits.subgroup_min <= shader.subgroup_max();
  if (shader.subgroup_max() && !as_it_is && !on_demand)
    return fmt::format("shader '{}' needs subgroups of {} to {}, the device has {}",
                       shader.name()->string_view(), shader.subgroup_min(), shader.subgroup_max(),
                       limits.subgroup);
  return "";
}

Result<PlannedDispatch> planDispatch(const PlanContext &context, const fb::Dispatch &dispatch,
                                     std::span<const int64_t> symbols, uint32_t first_choice) {
  std::string reason = "no choice is for this size";
  for (uint32_t i = first_choice; i < dispatch.choices()->size(); ++i) {
    const fb::Choice &choice = *dispatch.choices()->Get(i);
    int64_t amount = evaluate(choice.amount(), symbols);
    if (amount < choice.least() || amount > choice.most()) continue;
    auto planned = planChoice(context, dispatch, choice, symbols);
    if (planned) {
      planned->choice = i;
      return planned;
    }
    reason = planned.error().message;
  }
  return errorf("the device {} cannot do it: {}", context.inventory.name, reason);
}

uint32_t demandedSubgroup(const Limits &limits, uint32_t least, uint32_t most) {
  if (most == 0 || limits.subgroup_min == limits.subgroup_max) return 0;
  const bool fits = limits.subgroup >= least && limits.subgroup <= most;
  return fits ? limits.subgroup : std::max(limits.subgroup_min, least);
}

bool Hazards::before(std::span<const Touch> touches) {
  bool due = std::any_of(touches.begin(), touches.end(), [&](const Touch &a) {
    return std::any_of(open.begin(), open.end(), [&](const Touch &b) {
      return (a.write || b.write) && a.range.buffer == b.range.buffer &&
             a.range.offset < b.range.offset + b.range.size && b.range.offset < a.range.offset + a.range.size;
    });
  });
  if (due) open.clear();
  open.insert(open.end(), touches.begin(), touches.end());
  return due;
}

} // namespace linnet::vulkan
