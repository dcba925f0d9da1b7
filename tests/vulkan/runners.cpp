// The conformance cases (tests/cpu/ops_test.cpp) on Vulkan: with the choices that the device takes first, and
// with those that any device can run. The validation layers watch; what they say is a failure.
#include "backends/vulkan/lower.h"
#include "runtime/vulkan/context.h"
#include "support/error.h"
#include "tests/cpu/path.h"
#include "tests/reference/provided_weights.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

namespace linnet::cpu::testing {
namespace {

enum class Take { first, last };

/// What the validation layers have said since it was asked last.
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

void keepLastChoices(fb::ProgramT &program) {
  for (auto &entry : program.entries)
    for (auto &command : entry->commands) {
      auto &choices = command->body.AsDispatch()->choices;
      choices.erase(choices.begin(), choices.end() - 1);
    }
}

Result<Runner::Run> load(Take take, mlir::ModuleOp module, const reference::WeightProvider &weights,
                         const PipelineSpec &pipeline) {
  registerPasses();
  messages();
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  linnet::testing::ProvidedWeights source(weights);
  auto lower = [&](BlobSink &blobs) -> Result<fb::ProgramT> {
    LINNET_ASSIGN(fb::ProgramT program, lowerToVulkan(*planned, source, blobs));
    if (take == Take::last) keepLastChoices(program);
    return program;
  };
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

std::vector<Runner> runnersUnderTest() {
  using namespace std::placeholders;
  return {{"first choices", "vulkan", std::bind(load, Take::first, _1, _2, _3)},
          {"last choices", "vulkan", std::bind(load, Take::last, _1, _2, _3)}};
}

} // namespace linnet::cpu::testing
