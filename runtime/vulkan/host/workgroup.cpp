// Control flow. SPIR-V for shaders is structured: a branch says where its sides meet again, a loop where it
// ends.
#include "runtime/vulkan/host/workgroup.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kNowhere = ~uint32_t(0);
constexpr int kMostDepth = 64;

} // namespace

Workgroup::Workgroup(const SpirvCode &code, const HostCall &call)
    : code(code), call(call), lanes(code.local_size[0] * code.local_size[1] * code.local_size[2]) {
  registers.resize(size_t(code.registers) * lanes);
  function.resize(size_t(code.function_words) * lanes);
  workgroup.resize(code.workgroup_words);
  for (const auto &[slot, value] : code.constants)
    std::fill_n(registers.begin() + static_cast<ptrdiff_t>(size_t(slot) * lanes), lanes, value);
}

bool Workgroup::any() const { return std::ranges::find(mask, 1) != mask.end(); }

Result<bool> Workgroup::run(std::array<uint32_t, 3> number, uint64_t &work) {
  group = number, left = work, sure = true;
  mask.assign(lanes, 1);
  tainted.assign(lanes, 0);
  // What no lane has written counts as known: kernels read it, but make nothing of it.
  workgroup_known.assign(workgroup.size(), 1);
  auto ended = execute(0, kNowhere, kNowhere, 0);
  work = left;
  if (!ended) return ended.error();
  return sure;
}

// From one instruction on to the label `stop`, or the function's end.
Result<Workgroup::Ended> Workgroup::execute(uint32_t from, uint32_t stop, uint32_t loop_end, int depth) {
  if (depth > kMostDepth) return Error{"the host does not follow so deep"};
  for (uint32_t at = from; at != stop;) {
    if (at >= code.code.size()) return Error{"the shader's code does not end"};
    const CodeInstruction &i = code.code[at];
    const uint64_t cost = uint64_t(std::max<uint32_t>(i.width, 1)) * lanes;
    if (left < cost) return Error{"too much work for the host"};
    left -= cost;
    switch (i.op) {
    case Opcode::label:
      ++at;
      break;
    case Opcode::return_:
      return Ended{};
    case Opcode::branch:
      at = i.in[0];
      break;
    case Opcode::selection_merge: {
      if (at + 1 >= code.code.size()) return Error{"the shader's code does not end"};
      const CodeInstruction &branch = code.code[at + 1];
      if (branch.op != Opcode::branch_conditional) return Error{"a choice without a condition"};
      LINNET_TRY(choose(branch, i.in[0], loop_end, depth));
      at = i.in[0];
      break;
    }
    case Opcode::loop_merge: {
      if (at + 1 >= code.code.size() || code.code[at + 1].op != Opcode::branch || at == 0)
        return Error{"a loop of a form that the host does not know"};
      LINNET_TRY(repeat(at - 1, code.code[at + 1].in[0], i.in[0], depth));
      at = i.in[0];
      break;
    }
    case Opcode::branch_conditional: { // out of the loop, or on
      if (i.in[2] != loop_end) return Error{"a branch of a form that the host does not know"};
      const uint32_t *condition = reg(i.in[0]);
      for (uint32_t l = 0; l < lanes; ++l) mask[l] &= static_cast<uint8_t>(condition[l] != 0);
      if (!any()) return Ended{true};
      at = i.in[1];
      break;
    }
    default:
      if (!calculate(i) && !access(i))
        return errorf("the host cannot execute instruction {}", static_cast<uint16_t>(i.op));
      ++at;
    }
  }
  return Ended{};
}

Result<Workgroup::Ended> Workgroup::choose(const CodeInstruction &branch, uint32_t merge, uint32_t loop_end,
                                           int depth) {
  const Lanes before = mask;
  const uint32_t *condition = reg(branch.in[0]);
  Lanes sides[2] = {Lanes(lanes), Lanes(lanes)};
  for (uint32_t l = 0; l < lanes; ++l) {
    const auto yes = static_cast<uint8_t>(condition[l] != 0);
    sides[0][l] = before[l] & yes, sides[1][l] = before[l] & static_cast<uint8_t>(!yes);
  }
  for (uint32_t side = 0; side < 2; ++side) {
    mask = sides[side];
    if (branch.in[1 + side] == merge || !any()) continue;
    LINNET_TRY(execute(branch.in[1 + side], merge, loop_end, depth + 1));
  }
  mask = before;
  return Ended{};
}

Result<Workgroup::Ended> Workgroup::repeat(uint32_t header, uint32_t first, uint32_t merge, int depth) {
  const Lanes before = mask;
  for (;;) {
    LINNET_ASSIGN(const Ended ended, execute(first, header, merge, depth + 1));
    if (ended.by_loop) break;
  }
  mask = before;
  return Ended{};
}

} // namespace linnet::vulkan
