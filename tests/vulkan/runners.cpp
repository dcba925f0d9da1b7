// The conformance cases (tests/ops) on Vulkan: with the choices that the
// device takes first, with those that any device can run, and as on a device that counts to few workgroups,
// so that large operands are bound in parts and kernels walk; there with kernels that are for GPUs alone. The
// validation layers watch; what they say is a failure.
#include "backends/vulkan/lower.h"
#include "lab/loaded_program.h"
#include "runtime/vulkan/device/context.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "support/file.h"
#include "support/scratch_directory.h"
#include "tests/ops/agreement.h"
#include "tests/reference/provided_weights.h"
#include "tests/targets.h"
#include "tests/vulkan/halves.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <stdexcept>

namespace linnet::testing {
namespace {

enum class Take { first, last, few_workgroups, matrices, halves };

/// The messages of the validation layers since the last call.
class Messages {
public:
  Messages() {
    vulkan::setMessageHandler([this](const std::string &message) { all += message + "\n"; });
  }
  Result<void> none() {
    if (all.empty()) return {};
    return Error{std::exchange(all, "")};
  }

private:
  std::string all;
};

Messages &messages() {
  static Messages messages;
  return messages;
}

/// Where w is larger than what such a device would bind, matmuls add products with some of its rows.
/// (Of several ops in one command, the last choice has several steps, too.)
void keepLastOfLarge(fb::ProgramT &program) {
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) {
      auto &choices = command->body.AsDispatch()->choices;
      const bool group = choices.back()->name.find(" + ") != std::string::npos;
      if (choices.back()->steps.size() > 1 && !group) choices.erase(choices.begin(), choices.end() - 1);
    }
}

/// Until it ends, devices that are opened have few workgroups.
class FewWorkgroups {
public:
  FewWorkgroups() {
    static const ScratchDirectory scratch = *ScratchDirectory::create("linnet-few-workgroups");
    const std::string file = scratch.path() + "/few.json";
    const auto written =
        writeTextFile(file, R"({"name": "few workgroups", "limits": {"maxComputeWorkGroupCount": [64, 64, 64],
      "minStorageBufferOffsetAlignment": 256}})");
    if (!written) throw std::runtime_error(written.error().message);
    vulkan::emulateLimits(file);
  }
  ~FewWorkgroups() { vulkan::emulateLimits(""); }
};

void keepLastChoices(fb::ProgramT &program) {
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) {
      auto &choices = command->body.AsDispatch()->choices;
      choices.erase(choices.begin(), choices.end() - 1);
    }
}

/// The device's products of f16 with sums in f32, with the size of its subgroups.
std::vector<std::array<uint32_t, 4>> matrices() {
  std::vector<std::array<uint32_t, 4>> found;
  auto devices = vulkan::listDevices();
  if (!devices) return found;
  for (const vulkan::ListedDevice &device : *devices)
    for (const std::string &feature : device.inventory.features) {
      unsigned m = 0, n = 0, k = 0;
      if (device.chosen && feature.ends_with("/f16/f32") &&
          std::sscanf(feature.c_str(), "cooperative_matrix/%ux%ux%u/", &m, &n, &k) == 3 && 32 % m == 0 &&
          32 % n == 0 && 32 % k == 0)
        found.push_back({m, n, k, device.inventory.limits.subgroup});
    }
  return found;
}

void dropKernelsForCpus(fb::ProgramT &program) {
  auto forCpus = [&](const std::unique_ptr<fb::ChoiceT> &choice) {
    return std::ranges::any_of(choice->steps, [&](const std::unique_ptr<fb::StepT> &step) {
      return std::ranges::count(program.shaders[step->shader]->features, "cpu") > 0;
    });
  };
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) std::erase_if(command->body.AsDispatch()->choices, forCpus);
}

/// As if the device were no CPU: of what it then chooses among, the products in 16-bit arithmetic and the
/// last.
void keepHalves(fb::ProgramT &program) {
  for (auto &shader : program.shaders) std::erase(shader->features, "gpu");
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) {
      auto &choices = command->body.AsDispatch()->choices;
      const fb::ChoiceT *last = choices.back().get();
      std::erase_if(choices, [&](const std::unique_ptr<fb::ChoiceT> &choice) {
        return choice.get() != last && !choice->name.starts_with("matmul_half");
      });
    }
}

/// Kernels for GPUs take the place of those for CPUs at their sizes; but for those in 16-bit arithmetic,
/// which differ more.
void takeKernelsForGpus(fb::ProgramT &program) {
  auto has = [&](const fb::ChoiceT &choice, const char *feature) {
    return std::ranges::any_of(choice.steps, [&](const std::unique_ptr<fb::StepT> &step) {
      return std::ranges::count(program.shaders[step->shader]->features, feature) > 0;
    });
  };
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) {
      auto &choices = command->body.AsDispatch()->choices;
      std::vector<std::pair<int64_t, int64_t>> sizes;
      for (const auto &choice : choices)
        if (has(*choice, "gpu") && !has(*choice, "shader_float16"))
          sizes.emplace_back(choice->least, choice->most);
      std::erase_if(choices, [&](const std::unique_ptr<fb::ChoiceT> &choice) {
        return has(*choice, "cpu") && std::ranges::any_of(sizes, [&](const auto &size) {
                 return size.first <= choice->most && choice->least <= size.second;
               });
      });
    }
  for (auto &shader : program.shaders)
    if (!std::ranges::count(shader->features, "shader_float16")) std::erase(shader->features, "gpu");
}

Result<Runner::Run> load(Take take, mlir::ModuleOp module, const reference::WeightProvider &weights,
                         const PipelineSpec &pipeline) {
  linnet::testing::registerPassesAndTargets();
  messages();
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  linnet::testing::ProvidedWeights source(*planned, weights);
  auto lower = [&](BlobSink &blobs) -> Result<fb::ProgramT> {
    VulkanOptions options;
    if (take == Take::few_workgroups) options.binding = 16384;
    if (take == Take::few_workgroups) options.lanes = {4, 64};
    if (take == Take::matrices) options.matrices = matrices();
    LINNET_ASSIGN(fb::ProgramT program, lowerToVulkan(*planned, source, blobs, options));
    if (take == Take::last) keepLastChoices(program);
    if (take == Take::matrices) dropKernelsForCpus(program);
    if (take == Take::few_workgroups) keepLastOfLarge(program), takeKernelsForGpus(program);
    if (take == Take::halves) keepHalves(program);
    return program;
  };
  std::optional<FewWorkgroups> few;
  if (take == Take::few_workgroups) few.emplace();
  LINNET_ASSIGN(lab::LoadedProgram made, lab::LoadedProgram::make(lower));
  auto loaded = std::make_shared<lab::LoadedProgram>(std::move(made));
  return Runner::Run(
      [loaded](std::string_view entry, const reference::Named &inputs) -> Result<reference::Named> {
        LINNET_ASSIGN(reference::Named outputs, loaded->run(entry, inputs));
        LINNET_TRY(messages().none());
        return outputs;
      });
}

} // namespace

std::optional<Runner> halvesRunner() {
  auto devices = vulkan::listDevices();
  for (size_t i = 0; devices && i < devices->size(); ++i)
    if ((*devices)[i].chosen && (*devices)[i].inventory.features.count("shader_float16"))
      return Runner{
          "halves", "vulkan",
          [](mlir::ModuleOp module, const reference::WeightProvider &weights, const PipelineSpec &pipeline) {
            return load(Take::halves, module, weights, pipeline);
          }};
  return {};
}

std::vector<Runner> runnersUnderTest() {
  using namespace std::placeholders;
  std::vector<Runner> runners = {
      {"first choices", "vulkan", std::bind(load, Take::first, _1, _2, _3)},
      {"last choices", "vulkan", std::bind(load, Take::last, _1, _2, _3)},
      {"few workgroups", "vulkan", std::bind(load, Take::few_workgroups, _1, _2, _3)}};
  if (!matrices().empty())
    runners.push_back({"matrices", "vulkan", std::bind(load, Take::matrices, _1, _2, _3), 2e-3});
  return runners;
}

} // namespace linnet::testing
