// Runs that do not end: one clear error, and nothing waits for the device, not even the process's end.
#include "runtime/vulkan/execute/abandoned.h"
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/vulkan/toy_artifact.h"

#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

std::shared_ptr<Context> openContext() {
  auto instance = Instance::create();
  REQUIRE(instance.ok());
  std::vector<Inventory> list;
  for (const Instance::Found &found : (*instance)->devices()) list.push_back(found.inventory);
  auto number = chooseDevice(list, "");
  REQUIRE(number.ok());
  auto context = Context::open(*instance, *number);
  INFO((context ? "" : context.error().message));
  REQUIRE(context.ok());
  return *context;
}

Result<void> runOnce(Executable &executable) {
  const std::vector<float> x(8);
  const std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
  return executable.run(0, std::vector<int64_t>{1}, in, {});
}

void fails(const Result<void> &result, std::string_view with) {
  REQUIRE(!result.ok());
  INFO(result.error().message);
  CHECK(result.error().message.find(with) != std::string::npos);
}

} // namespace

TEST_CASE("a run that does not end is an error, and so is every later one; nothing waits") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  Messages messages;
  const bool in_loop = GENERATE(false, true);
  writeOne(directory / "a.linnet", {slow(2)});
  std::optional<Artifact> artifact(opened(directory / "a.linnet"));
  std::shared_ptr<Context> context = openContext();
  auto made = VulkanExecutable::load(context, *artifact, *artifact->program("vulkan"));
  REQUIRE(made.ok());
  std::unique_ptr<Executable> executable = std::move(*made);
  auto loop = executable->makeLoop({.entries = {0}});
  REQUIRE(loop.ok());
  context->patience = 0;
  const char *not_finished = "has not finished in 0 seconds: its driver or a shader hangs";
  if (in_loop) {
    const std::vector<float> x(8);
    const std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
    const std::vector<int64_t> symbols = {1};
    const LoopInputs inputs[] = {{symbols, in}};
    fails((*loop)->run(1, inputs, {}), not_finished);
  } else {
    fails(runOnce(*executable), not_finished);
  }
  fails(runOnce(*executable), "has not finished an earlier run; the model has to be loaded anew");
  CHECK(!executable->output(0).ok());
  loop->reset(), executable.reset(), artifact.reset(), context.reset();
  CHECK(reclaimAbandoned(60) == 0); // it was only slow
  for (const std::string &message : messages.list) FAIL_CHECK(message);
}

// The next case starts this as a separate process. It would be killed if it waited.
TEST_CASE("hangs", "[.]") {
  TemporaryDirectory directory;
  writeOne(directory / "a.linnet", {.words = slow(2, UINT32_MAX), .invocations = 65535 * 64});
  const Artifact artifact = opened(directory / "a.linnet");
  const std::unique_ptr<Executable> executable = loaded(artifact);
  alarm(120);
  fails(runOnce(*executable), "has not finished in 1 seconds");
}

TEST_CASE("a process with a run that hangs comes to its end") {
  const pid_t child = fork();
  if (child == 0) {
    setenv("LINNET_VULKAN_PATIENCE", "1", 1);
    execl("/proc/self/exe", "hangs", "hangs", nullptr);
    _exit(99);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CAPTURE(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a patience that is no number is an error") {
  setenv("LINNET_VULKAN_PATIENCE", "5m", 1);
  auto instance = Instance::create();
  REQUIRE(instance.ok());
  auto context = Context::open(*instance, 0);
  unsetenv("LINNET_VULKAN_PATIENCE");
  REQUIRE(!context.ok());
  CHECK(context.error().message == "LINNET_VULKAN_PATIENCE: expected a number of seconds, found '5m'");
}
