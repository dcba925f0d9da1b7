// One known-answer test: a dispatch is done on the device in the way that is on trial, on pseudo-random
// operands, and the results compared with those that the host has worked out (host/host_answer.h), or with a
// poorer way's.
//
// It happens while a program is loaded, when its activations, states and ports hold nothing yet: they are the
// operands' memory, so a trial needs no more of the device. Weights are the real ones; nothing writes to
// them.
#pragma once
#include "runtime/vulkan/execute/recording.h"
#include "runtime/vulkan/trial/answer.h"
#include "runtime/vulkan/trial/plan.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace linnet::vulkan {

/// A loaded program that has not run.
struct Workbench {
  std::shared_ptr<Context> context;
  const Artifact &artifact;
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
  bool positive = false;             ///< operands are: of others there is a root, say, that is no number
};

/// The dispatch's operands that steps write.
std::set<uint32_t> writtenBy(const PlannedStep &step);
std::set<uint32_t> writtenBy(const PlannedDispatch &planned);
/// Of each step.
std::vector<PipelineKey> keysOf(const PlannedDispatch &planned);

/// Does it on the device one way or the other; the operands hold the same before either. After an error the
/// context's outcome tells what became of the submission. `args`: what is read; `patience`: see Context.
Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        std::span<const uint32_t> args, uint32_t patience);

} // namespace linnet::vulkan
