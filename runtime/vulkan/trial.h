// One known-answer test: a dispatch is done in a poorer way, known to be right, and in the way that is on
// trial, on the same pseudo-random operands, and the results compared.
//
// It happens while a program is loaded, when its activations, states and ports hold nothing yet: they are the
// operands' memory, so a trial needs no more of the device. Weights are the real ones; nothing writes to
// them.
#pragma once
#include "runtime/vulkan/recording.h"
#include "runtime/vulkan/trial_plan.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace linnet::vulkan {

/// A loaded program that has not run.
struct Workbench {
  std::shared_ptr<Context> context;
  const fb::Program &program;
  Buffers &buffers;
  Pipelines &pipelines;
  std::function<Range(int entry, const fb::Ref &)> place;
  /// What the device is doing: with VK_TIMEOUT as the context's outcome it stays here, where it lives as long
  /// as the program.
  std::unique_ptr<Recording> &running;
};

struct Trial {
  int entry = 0;
  const fb::Command *command = nullptr;
  TrialPlan plan;
  std::vector<PipelineKey> suspects; ///< of the candidate's shaders those that nothing is known of
};

/// The first bytes of each of a dispatch's results.
using Answer = std::vector<std::vector<std::byte>>;
/// Does it one way or the other; the operands hold the same before either. After an error the context's
/// outcome tells what became of the submission. `patience`: see Context.
Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        uint32_t patience);

/// How `found` differs from `expected` by more than the candidate's tolerance allows, in a line; empty: it
/// does not. Numbers of 16 bits may also be rounded to the other side. i32 are the same; behind products of a
/// larger tolerance than usual they are tokens, each as good as the best but for it. Where the expected
/// number is not finite any will do.
std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found);

} // namespace linnet::vulkan
