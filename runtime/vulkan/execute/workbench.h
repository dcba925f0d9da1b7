// The parts of a loaded program that trials use. The program has not run, so its activations, states and
// ports are free.
#pragma once
#include "runtime/vulkan/execute/recording.h"

#include <functional>
#include <memory>

namespace linnet::vulkan {

struct Workbench {
  std::shared_ptr<Context> context;
  const fb::Program &program;
  Buffers &buffers;
  Pipelines &pipelines;
  std::function<Range(int entry, const fb::Ref &)> place;
  /// The running recording. If the context's outcome is VK_TIMEOUT, it stays here, because it must live as
  /// long as the program.
  std::unique_ptr<Recording> &running;

  PlanContext planContext(int entry, PutAside aside) const {
    return {context->inventory, program, [this, entry](const fb::Ref &ref) { return place(entry, ref); },
            std::move(aside)};
  }
};

} // namespace linnet::vulkan
