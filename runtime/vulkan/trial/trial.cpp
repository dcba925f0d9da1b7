#include "runtime/vulkan/trial/trial.h"
#include "runtime/vulkan/trial/operands.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

// Behind what is filled a small problem writes no more than this.
constexpr uint64_t kMaxCleared = uint64_t(64) << 20;

// Of one that is filled in part, what else the run before may have written is made the same again: it may be
// read.
Result<void> fillOperands(Workbench &bench, const Trial &trial) {
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  std::vector<std::byte> bytes;
  for (uint32_t i = 0; i < dispatch.args()->size(); ++i) {
    if (!operandBytes(bench, trial, i, bytes)) continue;
    Range range = bench.place(trial.entry, *dispatch.args()->Get(i));
    LINNET_TRY(bench.buffers.write(range, bytes));
    if (bytes.size() < kMostOfOperand || range.size <= kMostOfOperand) continue;
    range.offset += kMostOfOperand;
    range.size = std::min(range.size - kMostOfOperand, kMaxCleared);
    LINNET_TRY(bench.buffers.zero(std::span(&range, 1)));
  }
  return {};
}

} // namespace

std::set<uint32_t> writtenBy(const PlannedStep &planned) {
  std::set<uint32_t> args;
  const fb::Step &step = *planned.step;
  for (uint32_t i = 0; i < step.args()->size(); ++i)
    if (static_cast<uint8_t>(step.access()->Get(i)) & 2) args.insert(step.args()->Get(i));
  return args;
}

std::set<uint32_t> writtenBy(const PlannedDispatch &planned) {
  std::set<uint32_t> args;
  for (const PlannedStep &step : planned.steps) args.merge(writtenBy(step));
  return args;
}

std::vector<PipelineKey> keysOf(const PlannedDispatch &planned) {
  std::vector<PipelineKey> keys;
  for (const PlannedStep &step : planned.steps) keys.push_back(keyOf(*step.step));
  return keys;
}

Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        std::span<const uint32_t> args, uint32_t patience) {
  bench.context->outcome = VK_SUCCESS;
  LINNET_TRY(fillOperands(bench, trial));
  RecordingCounts counts;
  bench.running = std::make_unique<Recording>(bench.context);
  LINNET_TRY(bench.running->record(std::span(&planned, 1), bench.pipelines, bench.program, bench.buffers,
                                   false, counts));
  const uint32_t usual = std::exchange(bench.context->patience, patience);
  auto ran = bench.running->run();
  bench.context->patience = usual;
  if (!ran) return ran.error();
  bench.running.reset();
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  Answer answer;
  for (uint32_t arg : args) {
    const fb::Ref &ref = *dispatch.args()->Get(arg);
    answer.push_back({arg, std::vector<std::byte>(extentOf(bench, trial, ref)), {}});
    LINNET_TRY(bench.buffers.read(bench.place(trial.entry, ref), answer.back().bytes));
  }
  return answer;
}

} // namespace linnet::vulkan
