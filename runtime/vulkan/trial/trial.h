// One known-answer test: a device executes a dispatch with the tried choice on pseudo-random operands. The
// results are compared with the answer in the artifact (known.h), or with those of a later choice.
//
// Trials run while a program is loaded. The program's memory holds the operands, so a trial needs no other
// memory. Weights are the real ones; no kernel writes to them.
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
  TrialPlan plan; ///< with a known answer, the reference does not run: its steps have no parts
  std::vector<uint32_t> suspects;         ///< untried shaders of the candidate
  const fb::KnownAnswer *known = nullptr; ///< null: the device's answer of the reference is expected

  Problem problem(const fb::Program &program) const {
    return {program, *program.entries()->Get(static_cast<uint32_t>(entry)), *dispatch, plan.symbols,
            known && known->positive()};
  }
};

/// The shader of each step.
std::vector<uint32_t> shadersOf(const PlannedDispatch &planned);

/// Runs `planned` on the device and reads the operands `args`. The operands have the same contents before
/// every run. After an error, the context's outcome is that of the submission. `patience`: see Context.
Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        std::span<const uint32_t> args, uint32_t patience);

} // namespace linnet::vulkan
