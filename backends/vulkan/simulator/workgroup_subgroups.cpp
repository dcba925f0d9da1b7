// Operations of subgroups. Lane l is in subgroup l / size. The last subgroup may have fewer lanes.
#include "backends/vulkan/simulator/instruction_table.h"
#include "backends/vulkan/simulator/workgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace linnet::vulkan {
// In divergent control flow, a device decides which lanes take part. A Watch reports this.
template <class F> void Workgroup::forSubgroups(const char *what, F body) {
  const uint32_t size = subgroupSize();
  for (uint32_t number = 0; number < subgroups(); ++number) {
    const uint32_t first = number * size, end = std::min(lanes, first + size);
    const auto here = std::count(mask.begin() + first, mask.begin() + end, 1);
    if (!here) continue;
    if (call.watch && !call.watch->found() && here < end - first)
      call.watch->report(fmt::format("{} by {} of a subgroup's {} invocations", what, here, end - first));
    body(number, first, end);
  }
}

template <class F> void Workgroup::reduce(const CodeInstruction &i, F combine) {
  const uint32_t *a = reg(i.in[0]);
  uint32_t *r = reg(i.result);
  forSubgroups("a reduction", [&](uint32_t, uint32_t first, uint32_t end) {
    for (uint32_t k = 0; k < i.width; ++k) {
      std::optional<uint32_t> all;
      bool lost = false;
      for (uint32_t l = first; l < end; ++l) {
        if (!mask[l]) continue;
        all = all ? combine(*all, a[k * lanes + l]) : a[k * lanes + l];
        lost |= tainted[l];
      }
      for (uint32_t l = first; l < end; ++l) {
        if (mask[l]) r[k * lanes + l] = *all;
        if (mask[l] && lost) taint(l);
      }
    }
  });
}

bool Workgroup::together(const CodeInstruction &i) {
  using U = uint32_t;
  switch (i.op) {
    using enum Opcode;
  case group_i_add:
    reduce(i, [](U a, U b) { return a + b; });
    break;
  case group_f_add:
    reduce(i, [](U a, U b) { return bitsOfFloat(asFloat(a) + asFloat(b)); });
    break;
  case group_s_min:
    reduce(i, [](U a, U b) { return asSigned(b) < asSigned(a) ? b : a; });
    break;
  case group_s_max:
    reduce(i, [](U a, U b) { return asSigned(a) < asSigned(b) ? b : a; });
    break;
  case group_u_min:
    reduce(i, [](U a, U b) { return std::min(a, b); });
    break;
  case group_u_max:
    reduce(i, [](U a, U b) { return std::max(a, b); });
    break;
  case group_f_min:
    reduce(i, [](U a, U b) { return asFloat(b) < asFloat(a) || asFloat(a) != asFloat(a) ? b : a; });
    break;
  case group_f_max:
    reduce(i, [](U a, U b) { return asFloat(a) < asFloat(b) || asFloat(a) != asFloat(a) ? b : a; });
    break;
  default:
    return exchange(i);
  }
  if (i.half) roundHalves(i);
  return true;
}

bool Workgroup::exchange(const CodeInstruction &i) {
  using enum Opcode;
  if (!subgroupForm(i.op).is_one) return false;
  const uint32_t *with = i.n > 1 ? reg(i.in[1]) : nullptr;
  forSubgroups("an exchange", [&](uint32_t, uint32_t first, uint32_t end) {
    const auto lowest = uint32_t(std::find(mask.begin() + first, mask.begin() + end, 1) - mask.begin());
    for (uint32_t l = first; l < end; ++l) {
      if (!mask[l]) continue;
      const uint32_t lane = i.op == group_broadcast_first ? lowest - first
                            : i.op == group_shuffle_xor   ? (l - first) ^ with[l]
                                                          : with[l];
      takeFrom(i, l, lane < end - first ? first + lane : lanes);
    }
  });
  return true;
}

// The value of a lane that does not exist, or is not active, is undefined.
void Workgroup::takeFrom(const CodeInstruction &i, uint32_t lane, uint32_t from) {
  const bool there = from < lanes && mask[from];
  for (uint32_t k = 0; k < i.width; ++k)
    reg(i.result)[k * lanes + lane] = there ? reg(i.in[0])[k * lanes + from] : kPoison;
  if (there && !tainted[from]) return;
  taint(lane);
  if (!there && call.watch) call.watch->report("an exchange with an invocation that is not there");
}

} // namespace linnet::vulkan
