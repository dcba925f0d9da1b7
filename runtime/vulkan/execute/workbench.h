// What trials use of a loaded program that has not run: its activations, states and ports hold nothing yet.
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
  /// What the device is doing. If the context's outcome is VK_TIMEOUT, the recording stays here: it must live
  /// as long as the program.
  std::unique_ptr<Recording> &running;

  PlanContext planContext(int entry, PutAside aside) const {
    return {context->inventory, program, [this, entry](const fb::Ref &ref) { return place(entry, ref); },
            std::move(aside)};
  }
};

} // namespace linnet::vulkan
