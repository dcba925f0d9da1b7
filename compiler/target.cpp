#include "compiler/target.h"

#include "backends/cpu/lower.h"
#include "backends/vulkan/lower.h"
#include "compiler/reference_program.h"
#include "compiler/weights.h"
#include "passes/Target.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"

namespace linnet {

Result<TargetSpec> parseTarget(const std::string &spec) {
  size_t colon = spec.find(':');
  TargetSpec target{spec.substr(0, colon), colon == spec.npos ? "" : spec.substr(colon + 1)};
  if (!findTarget(target.name)) return errorf("unknown target '{}', expected {}", spec, targetNames());
  const bool native = target.name == "vulkan" && target.argument == "native";
  if (!target.argument.empty() && target.name != "cpu" && !native)
    return errorf("target '{}' takes {} behind a colon, found '{}'", target.name,
                  target.name == "vulkan" ? "'native'" : "nothing", target.argument);
  return target;
}

Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &given,
                             BlobSink &sink, const KernelListener &listener) {
  std::unique_ptr<WeightSource> weights = withComputed(planned, given);
  if (target.name == "reference") return makeReferenceProgram(planned, *weights, sink);
  if (target.name == "vulkan") {
    VulkanOptions vulkan;
    if (!target.argument.empty()) {
      LINNET_ASSIGN(vulkan.runs, vulkan::shaderFilter(""));
    }
    vulkan.dump = listener.vulkan;
    return lowerToVulkan(planned, *weights, sink, vulkan);
  }
  CpuOptions cpu;
  cpu.isas = target.argument;
  cpu.dump = listener.cpu;
  return lowerToCpu(planned, *weights, sink, cpu);
}

} // namespace linnet
