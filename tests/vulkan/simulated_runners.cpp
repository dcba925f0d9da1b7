// The conformance cases (tests/ops) on GPUs that there are not: subgroups of 1 to 128 lanes, matrices of
// several shapes, little shared memory and much. Needs no driver.
#include "backends/vulkan/lower.h"
#include "lab/loaded_program.h"
#include "runtime/vulkan/execute/plan.h"
#include "support/error.h"
#include "tests/ops/agreement.h"
#include "tests/reference/provided_weights.h"
#include "tests/targets.h"
#include "tests/vulkan/halves.h"
#include "tests/vulkan/simulated.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

#include <algorithm>

namespace linnet::testing {
namespace {

using vulkan::Kind;

/// A device, and for what it is compiled.
struct Profile {
  SimulatedGpu gpu;
  VulkanOptions options;
  bool all = false; ///< programs, also such as use nothing of what it has beyond Vulkan 1.1
};

/// A device with the features that every device has, and no others.
Profile baseline() {
  Profile profile;
  profile.gpu.inventory.name = "a GPU with Vulkan 1.1's limits";
  profile.gpu.inventory.features = {"gpu"};
  profile.all = true;
  return profile;
}

Profile gpuOf(const std::string &name, std::array<uint32_t, 3> subgroup, uint32_t shared_bytes) {
  Profile profile = baseline();
  profile.all = false;
  vulkan::Inventory &inventory = profile.gpu.inventory;
  inventory.name = name;
  inventory.features = {"gpu", "subgroup_basic", "subgroup_arithmetic", "subgroup_ballot",
                        "subgroup_shuffle"};
  vulkan::Limits &limits = inventory.limits;
  limits.push_bytes = 256, limits.bindings = 64, limits.invocations = 1024, limits.local = {1024, 1024, 64};
  limits.shared_bytes = shared_bytes;
  limits.subgroup = subgroup[0], limits.subgroup_min = subgroup[1], limits.subgroup_max = subgroup[2];
  return profile;
}

/// With products of f16 in these shapes, each for one size of subgroups.
Profile withMatrices(Profile profile, const std::vector<std::array<uint32_t, 4>> &shapes) {
  auto &features = profile.gpu.inventory.features;
  features.insert({"shader_float16", "vulkan_memory_model"});
  for (const auto &[m, n, k, subgroup] : shapes)
    features.insert(fmt::format("cooperative_matrix/{}x{}x{}/f16/f32", m, n, k));
  profile.options.matrices = shapes;
  return profile;
}

/// As lavapipe is.
Profile cpu() {
  Profile profile = gpuOf("a CPU", {8, 8, 8}, 32768);
  profile.all = true;
  profile.gpu.inventory.features.erase("gpu");
  profile.gpu.inventory.features.insert("cpu");
  profile.gpu.inventory.limits.texels = uint64_t(1) << 27;
  return profile;
}

/// Workgroups walk, and large matrices are done in parts.
Profile withFewWorkgroups(Profile profile, uint32_t down) {
  profile.gpu.inventory.limits.groups = {2, down, 64};
  profile.gpu.inventory.limits.storage_alignment = 4;
  profile.options.binding = 16384;
  profile.all = profile.gpu.inventory.limits.subgroup == 16;
  return profile;
}

Profile withLanes(Profile profile, uint32_t least, uint32_t most) {
  profile.options.lanes = {least, most};
  return profile;
}

Profile scattered(Profile profile) {
  profile.gpu.scattered = true;
  return profile;
}

const std::vector<Profile> &profiles() {
  static const std::vector<Profile> all = {
      scattered(baseline()),
      withLanes(withMatrices(gpuOf("8 lanes", {8, 8, 8}, 32768), {{8, 16, 16, 8}, {16, 8, 8, 8}}), 8, 64),
      withFewWorkgroups(gpuOf("16 lanes, few workgroups", {16, 16, 16}, 16384), 2),
      withMatrices(gpuOf("32 lanes", {32, 32, 32}, 49152), {{16, 16, 16, 32}, {16, 8, 16, 32}}),
      scattered(withFewWorkgroups(
          withMatrices(gpuOf("32 or 64 lanes", {64, 32, 64}, 32768), {{16, 16, 16, 64}, {16, 16, 16, 32}}),
          1)),
      withLanes(withMatrices(gpuOf("128 lanes", {128, 128, 128}, 32768), {}), 16, 128),
      cpu()};
  return all;
}

/// Whether a program has kernels for what few devices have, and this one does.
bool isSpecial(const vulkan::Inventory &inventory, const fb::Program &program) {
  return std::ranges::any_of(*program.shaders(), [&](const fb::Shader *shader) {
    const auto beyond = [](const auto *feature) {
      return feature->str() != "gpu" && feature->str() != "cpu";
    };
    return std::ranges::any_of(*shader->features(), beyond) && vulkan::refusal(inventory, *shader).empty();
  });
}

Result<Runner::Run> load(const Profile &profile, const ShaderChange &change, mlir::ModuleOp module,
                         const reference::WeightProvider &weights, const PipelineSpec &pipeline) {
  linnet::testing::registerPassesAndTargets();
  registerDevice("vulkan", [&](std::string_view) -> Result<std::unique_ptr<Device>> {
    return simulate(profile.gpu, change);
  });
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  ProvidedWeights source(*planned, weights);
  LINNET_ASSIGN(lab::LoadedProgram made, lab::LoadedProgram::make([&](BlobSink &blobs) {
                  return lowerToVulkan(*planned, source, blobs, profile.options);
                }));
  if (!profile.all && !isSpecial(profile.gpu.inventory, made.program())) return Runner::Run();
  auto loaded = std::make_shared<lab::LoadedProgram>(std::move(made));
  return Runner::Run([loaded](std::string_view entry, const reference::Named &inputs) {
    return loaded->run(entry, inputs);
  });
}

Runner runnerOn(const Profile &profile, const ShaderChange &change) {
  return {profile.gpu.inventory.name, "vulkan",
          [&profile, change](mlir::ModuleOp module, const reference::WeightProvider &weights,
                             const PipelineSpec &pipeline) {
            return load(profile, change, module, weights, pipeline);
          },
          0, true};
}

/// Of what it chooses among, products in 16-bit arithmetic stay.
Profile withHalves() {
  Profile profile = withMatrices(gpuOf("16-bit arithmetic", {32, 32, 32}, 32768), {});
  profile.gpu.keeps_first = true;
  return profile;
}

} // namespace

std::vector<Runner> runnersUnderTest() {
  std::vector<Runner> runners;
  for (const Profile &profile : profiles()) runners.push_back(runnerOn(profile, {}));
  return runners;
}

std::optional<Runner> halvesRunner() {
  static const Profile profile = withHalves();
  return runnerOn(profile, {});
}

Runner simulatedRunner(const std::string &device, const ShaderChange &change) {
  for (const Profile &profile : profiles())
    if (profile.gpu.inventory.name == device) return runnerOn(profile, change);
  return {device, "vulkan",
          [device](auto...) -> Result<Runner::Run> { return errorf("no device {}", device); }};
}

} // namespace linnet::testing
