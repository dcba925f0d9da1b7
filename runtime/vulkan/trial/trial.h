// One known-answer test: a device does a dispatch by the choice that is on trial, on pseudo-random operands.
// The results are compared with the answer that the artifact holds (known.h), or with a poorer choice's.
//
// It happens while a program is loaded. The program's own memory holds the operands, so a trial needs no more
// of the device. Weights are the real ones; no kernel writes to them.
#pragma once
#include "runtime/vulkan/execute/workbench.h"
#include "runtime/vulkan/trial/answer.h"
#include "runtime/vulkan/trial/operands.h"
#include "runtime/vulkan/trial/plan.h"

#include <vector>

namespace linnet::vulkan {

struct Trial {
  int entry = 0;
  const fb::Dispatch *dispatch = nullptr;
  TrialPlan plan; ///< with a known answer the reference has steps without parts: it does not run
  std::vector<PipelineKey> suspects;      ///< shaders of the candidate that nothing is known of
  const fb::KnownAnswer *known = nullptr; ///< null: the reference's answer on the device counts

  Problem problem(const fb::Program &program) const {
    return {program, *program.entries()->Get(static_cast<uint32_t>(entry)), *dispatch, plan.symbols,
            known && known->positive()};
  }
};

/// Of each step.
std::vector<PipelineKey> keysOf(const PlannedDispatch &planned);

/// Runs `planned` on the device; the operands hold the same before every run. After an error the context's
/// outcome tells what became of the submission. `args`: operands to read; `patience`: see Context.
Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        std::span<const uint32_t> args, uint32_t patience);

} // namespace linnet::vulkan
