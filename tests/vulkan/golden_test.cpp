// Golden checkpoints on a Vulkan device: PyTorch's logits and tokens, the interpreter's where weights have
// fewer bits, on the device as it is and as poor as each profile of docs/devices. The validation layers say
// nothing.
#include "runtime/vulkan/context.h"
#include "tests/compiler/golden.h"

using namespace linnet;
using namespace linnet::testing;

namespace {

/// A compiled golden checkpoint, the layers on, and a cache of pipelines of its own.
struct Case {
  Case(const std::string &name, std::vector<std::string> targets) : expected(name) {
    api().registerDevices();
    setenv("LINNET_CACHE_DIR", scratch.file("cache").c_str(), 1);
    vulkan::setMessageHandler([this](const std::string &message) { messages.push_back(message); });
    options.input = std::string(LINNET_GOLDEN_DIR) + "/" + name;
    options.output = scratch.file("model.linnet");
    options.targets = std::move(targets);
  }
  ~Case() {
    vulkan::setMessageHandler(nullptr);
    vulkan::emulateLimits("");
  }
  void checkQuiet() const {
    for (const std::string &message : messages) FAIL_CHECK(message);
  }

  Scratch scratch;
  Expected expected;
  CompileOptions options;
  std::vector<std::string> messages;
};

/// "", the device as it is, and the profiles.
std::vector<std::string> profiles() {
  std::vector<std::string> paths = {""};
  for (const auto &entry :
       std::filesystem::directory_iterator(std::string(LINNET_SOURCE_DIR) + "/docs/devices"))
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

} // namespace

TEST_CASE("golden checkpoints give PyTorch's numbers on each kind of device") {
  const std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  Case one(name, {"vulkan"});
  const CompileReport report = compiled(one.options);
  for (const std::string &profile : profiles()) {
    CAPTURE(name, profile);
    vulkan::emulateLimits(profile);
    checkArtifact(one.options.output, "vulkan", one.expected);
  }
  vulkan::emulateLimits("");
  auto model = Model::load(one.options.output, {.device = "vulkan"});
  REQUIRE(model);
  const MemoryUse use = model->memory();
  CHECK(use.weights == report.programs[0].weight_bytes);
  CHECK(use.states == report.programs[0].state_bytes);
  CHECK(use.arena == report.programs[0].arena_bytes);
  CHECK(use.io == report.programs[0].io_bytes);
  one.checkQuiet();
}

TEST_CASE("weights in fewer bits give the interpreter's numbers on each kind of device") {
  const std::string dtype =
      GENERATE(std::string("bf16"), std::string("f16"), std::string("int8"), std::string("int4"));
  Case one("odd", {"vulkan", "reference"});
  one.options.dtype = dtype;
  one.options.kv_cache = "f32"; // in f16 the last bit of a sum decides to which side an entry is rounded
  compiled(one.options);
  std::vector<TokenId> ids = one.expected.ids("input_ids");
  ids.resize(size_t(one.expected.columns("input_ids")));
  const Answer reference = ask(one.options.output, "reference", ids);
  for (const std::string &profile : profiles()) {
    CAPTURE(dtype, profile);
    vulkan::emulateLimits(profile);
    const Answer found = ask(one.options.output, "vulkan", ids);
    double largest = 0, apart = 0;
    for (size_t i = 0; i < found.logits.size(); ++i) {
      largest = std::max(largest, std::fabs(double(reference.logits[i])));
      apart = std::max(apart, std::fabs(double(found.logits[i]) - reference.logits[i]));
    }
    CHECK(apart < kTolerance * largest);
    CHECK(found.continued == reference.continued);
  }
  one.checkQuiet();
}
