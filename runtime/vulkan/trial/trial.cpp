#include "runtime/vulkan/trial/trial.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

// The most bytes that a small problem writes after the filled part of an operand.
constexpr uint64_t kMaxCleared = uint64_t(64) << 20;

// Fills operands. The rest of a partly filled operand is cleared, because an earlier run may have written
// there.
Result<void> fillOperands(Workbench &bench, const Trial &trial, const Problem &problem) {
  std::vector<std::byte> bytes;
  for (uint32_t i = 0; i < trial.dispatch->args()->size(); ++i) {
    if (!problem.fill(i, bytes)) continue;
    Range range = bench.place(trial.entry, *trial.dispatch->args()->Get(i));
    LINNET_TRY(bench.buffers.write(range, bytes));
    if (bytes.size() < kMostOfOperand || range.size <= kMostOfOperand) continue;
    range.offset += kMostOfOperand;
    range.size = std::min(range.size - kMostOfOperand, kMaxCleared);
    LINNET_TRY(bench.buffers.zero(std::span(&range, 1)));
  }
  return {};
}

} // namespace

std::vector<uint32_t> shadersOf(const PlannedDispatch &planned) {
  std::vector<uint32_t> shaders;
  for (const PlannedStep &step : planned.steps) shaders.push_back(step.step->shader());
  return shaders;
}

Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        std::span<const uint32_t> args, uint32_t patience) {
  const Problem problem = trial.problem(bench.program);
  bench.context->outcome = VK_SUCCESS;
  LINNET_TRY(fillOperands(bench, trial, problem));
  RecordingCounts counts;
  bench.running = std::make_unique<Recording>(bench.context);
  LINNET_TRY(bench.running->record(std::span(&planned, 1), bench.pipelines, bench.program, bench.buffers,
                                   false, counts));
  const uint32_t usual = std::exchange(bench.context->patience, patience);
  auto ran = bench.running->run();
  bench.context->patience = usual;
  if (!ran) return ran.error();
  bench.running.reset();
  Answer answer;
  for (uint32_t arg : args) {
    answer.push_back({arg, std::vector<std::byte>(problem.extentOf(arg)), {}});
    LINNET_TRY(
        bench.buffers.read(bench.place(trial.entry, *trial.dispatch->args()->Get(arg)), answer.back().bytes));
  }
  return answer;
}

} // namespace linnet::vulkan
