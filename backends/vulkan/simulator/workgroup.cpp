// Control flow. SPIR-V of shaders is structured: a branch names the block where its sides merge, a loop the block after
// it.
#include "backends/vulkan/simulator/workgroup.h"
#include "support/error.h"

#include <algorithm>
#include <numeric>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kNowhere = ~uint32_t(0);
constexpr int kMostDepth = 64;
constexpr uint32_t kMostSubgroup = 128;
constexpr uint64_t kMostNumbers = 1 << 24; // for all subgroups together

// Assigns invocations to lanes. If `scattered`, adjacent lanes get distant invocations.
std::vector<uint32_t> invocations(uint32_t lanes, bool scattered) {
  std::vector<uint32_t> of(lanes);
  uint32_t stride = scattered ? 37 : 1;
  while (std::gcd(stride, lanes) != 1) ++stride;
  for (uint32_t l = 0; l < lanes; ++l) of[l] = l * stride % lanes;
  return of;
}

} // namespace

Workgroup::Workgroup(const SpirvCode &code, const SimulatedCall &call)
    : code(code), call(call), lanes(code.local_size[0] * code.local_size[1] * code.local_size[2]) {
  registers.resize(size_t(code.registers) * lanes);
  function.resize(size_t(code.function_words) * lanes);
  workgroup.resize(code.workgroup_words);
  invocation = invocations(lanes, call.scattered);
  if (call.watch) workgroup_log.resize(workgroup.size());
  if (refusal()) matrix_file.resize(size_t(code.matrix_numbers) * subgroups());
  for (const auto &[slot, value] : code.constants)
    std::fill_n(registers.begin() + static_cast<ptrdiff_t>(size_t(slot) * lanes), lanes, value);
  for (const auto &[id, value] : code.full_matrices)
    for (uint32_t s = 0; s < subgroups() && !matrix_file.empty(); ++s)
      std::fill_n(matrix(id, s), code.matrices.at(id).size(), value);
}

Result<void> Workgroup::refusal() const {
  if (!code.baseline && !call.subgroup)
    return Error{
        "the shader asks for more than every device has, and the simulator knows nothing of this one"};
  if (call.subgroup > kMostSubgroup) return errorf("no device has subgroups of {}", call.subgroup);
  if (uint64_t(code.matrix_numbers) * subgroups() > kMostNumbers)
    return Error{"the shader's matrices are too large for the simulator"};
  return {};
}

bool Workgroup::any() const { return std::ranges::find(mask, 1) != mask.end(); }

Result<bool> Workgroup::run(std::array<uint32_t, 3> number, uint64_t &work) {
  group = number, left = work, sure = true;
  mask.assign(lanes, 1);
  tainted.assign(lanes, 0);
  // Words that no lane has written count as known: kernels may read them but do not use them.
  workgroup_known.assign(workgroup.size(), 1);
  LINNET_TRY(refusal());
  if (call.watch) forget();
  auto ended = execute(0, kNowhere, kNowhere, 0);
  work = left;
  if (!ended) return ended.error();
  return sure;
}

void Workgroup::forget() {
  call.watch->beginGroup();
  std::ranges::fill(workgroup, kPoison);
  std::ranges::fill(function, kPoison);
}

// All lanes reach a barrier at once here. Checks that they would on a device.
void Workgroup::meet(const CodeInstruction &i) {
  if (!call.watch) return;
  const auto here = static_cast<uint32_t>(std::ranges::count(mask, 1));
  if (i.op == Opcode::memory_barrier) {
    call.watch->fence(i.in[0], here == lanes);
    return;
  }
  if (here < lanes)
    call.watch->report(fmt::format("{} of {} invocations reach a barrier of the workgroup", here, lanes));
  call.watch->barrier(i.in[0]);
}

// Executes from one instruction up to the label `stop`, or to the function's end.
Result<Workgroup::Ended> Workgroup::execute(uint32_t from, uint32_t stop, uint32_t loop_end, int depth) {
  if (depth > kMostDepth) return Error{"the simulator does not follow so deep"};
  for (uint32_t at = from; at != stop;) {
    if (at >= code.code.size()) return Error{"the shader's code does not end"};
    const CodeInstruction &i = code.code[at];
    const uint64_t cost = costOf(i);
    if (left < cost) return Error{"too much work for the simulator"};
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
        return Error{"a loop of a form that the simulator does not know"};
      LINNET_TRY(repeat(at - 1, code.code[at + 1].in[0], i.in[0], depth));
      at = i.in[0];
      break;
    }
    case Opcode::branch_conditional: { // leaves the loop, or continues
      if (i.in[2] != loop_end) return Error{"a branch of a form that the simulator does not know"};
      const uint32_t *condition = reg(i.in[0]);
      for (uint32_t l = 0; l < lanes; ++l) mask[l] &= static_cast<uint8_t>(condition[l] != 0);
      if (!any()) return Ended{true};
      at = i.in[1];
      break;
    }
    case Opcode::control_barrier:
    case Opcode::memory_barrier:
      meet(i);
      if (call.watch && call.watch->found()) return Error{call.watch->what()};
      ++at;
      break;
    default:
      if (!calculate(i) && !access(i) && !together(i) && !matrices(i))
        return errorf("the simulator cannot execute instruction {}", static_cast<uint16_t>(i.op));
      if (call.watch && call.watch->found()) return Error{call.watch->what()};
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
