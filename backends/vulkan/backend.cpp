#include "backends/vulkan/backend.h"

#include "backends/vulkan/description.h"
#include "backends/vulkan/disassemble.h"
#include "backends/vulkan/lower.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"

namespace linnet::vulkan {
namespace {

class VulkanBackend : public Backend {
public:
  const TargetDescription &description() const override { return vulkan::description(); }
  Result<void> checkArgument(const std::string &argument) const override {
    if (argument.empty() || argument == "native") return {};
    return errorf("target 'vulkan' takes 'native' after a colon, found '{}'", argument);
  }
  bool emits(std::string_view stage, const std::string &) const override { return stage == "spirv"; }
  Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                             const LowerOptions &options) const override {
    VulkanOptions vulkan;
    if (!options.argument.empty()) {
      // filters for the device that the runtime would open by default
      LINNET_ASSIGN(vulkan.runs, shaderFilter(""));
    }
    if (options.listener)
      vulkan.dump = [&](const std::string &name, std::span<const uint32_t> words) {
        options.listener({"spirv", name, "spvasm", disassemble(words)});
      };
    return lowerToVulkan(planned, weights, blobs, vulkan);
  }
};

} // namespace

std::unique_ptr<Backend> makeBackend() { return std::make_unique<VulkanBackend>(); }

} // namespace linnet::vulkan
