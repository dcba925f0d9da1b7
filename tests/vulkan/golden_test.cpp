// Golden checkpoints on a Vulkan device: PyTorch's logits and tokens, the interpreter's where weights have
// fewer bits, on the device as it is and as poor as each profile of docs/devices. The validation layers say
// nothing.
#include "linnet/batch.h"
#include "runtime/vulkan/device/context.h"
#include "tests/compiler/families.h"
#include "tests/compiler/golden.h"
#include "tests/folders.h"

#include <map>

using namespace linnet;
using namespace linnet::testing;

namespace {

/// A compiled golden checkpoint, the layers on, and a separate cache of pipelines.
struct Case {
  Case(const std::string &name, std::vector<std::string> targets) : expected(name) {
    api().registerDevices();
    setenv("LINNET_CACHE_DIR", scratch.file("cache").c_str(), 1);
    vulkan::setMessageHandler([this](const std::string &message) { messages.push_back(message); });
    options.input = golden(name);
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

/// "", the device as it is, the profiles, as if it were a GPU, and with one workgroup along z.
std::vector<std::string> profiles() {
  std::vector<std::string> paths = {""};
  for (const auto &entry : std::filesystem::directory_iterator(sourceFolder() + "/docs/devices"))
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  for (const char *name : {"as-a-gpu", "one-workgroup-deep"})
    paths.push_back(sourceFolder() + "/tests/vulkan/devices/" + name + ".json");
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Turns of a session, one ended by its listener in the middle of a chunk, and a batch of rows with different
/// lengths, two of them copies. With `one_by_one` something watches every command, so that tokens are decoded
/// one at a time.
std::vector<std::vector<TokenId>> told(const std::string &path, const std::string &device, bool sampled,
                                       bool one_by_one) {
  auto model = Model::load(path, {.device = device});
  if (!model) FAIL(model.error().message);
  auto session = Session::open(*model);
  if (!session) FAIL(session.error().message);
  if (one_by_one) session->setProfiler(std::make_shared<Profiler>());
  std::vector<std::vector<TokenId>> all;
  GenerateOptions options{.ignore_eos = true};
  if (sampled)
    options.do_sample = true, options.temperature = 0.8f, options.top_k = 20, options.top_p = 0.95f;
  auto turn = [&](std::vector<TokenId> prompt, int64_t most, size_t stop) {
    size_t heard = 0;
    options.max_new_tokens = most;
    auto made = session->generate(prompt, options, [&](TokenId, std::string_view) { return ++heard < stop; });
    if (!made) FAIL(made.error().message);
    all.push_back(made->ids);
  };
  turn({1, 2, 3, 4, 5}, 30, 11);
  turn({7, 8}, 9, 100);
  turn({}, 100, 100); // to the end of the context
  options.max_new_tokens = 21, options.ignore_eos = false;
  const std::vector<std::vector<TokenId>> prompts = {{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10, 11}, {4}};
  auto batch = session->generateBatch(prompts, options);
  if (!batch) FAIL(batch.error().message);
  for (GenerateResult &result : *batch) all.push_back(std::move(result.ids));
  return all;
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

TEST_CASE(
    "checkpoints of all families give the numbers of transformers, on a CPU's driver and as if on a GPU") {
  const std::string name = GENERATE(from_range(kFamilyCheckpoints));
  Case one(name, {"vulkan"});
  compiled(one.options);
  for (const std::string &profile : {std::string(), sourceFolder() + "/tests/vulkan/devices/as-a-gpu.json"}) {
    CAPTURE(name, profile);
    vulkan::emulateLimits(profile);
    checkArtifact(one.options.output, "vulkan", one.expected);
  }
  one.checkQuiet();
}

TEST_CASE("golden checkpoints give the same tokens many at once, one by one, and on the cpu") {
  const std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  CAPTURE(name);
  Case one(name, {"vulkan", "cpu"});
  one.options.max_batch = 3;
  compiled(one.options);
  for (bool sampled : {false, true}) {
    CAPTURE(sampled);
    const auto cpu = told(one.options.output, "cpu", sampled, false);
    CHECK(told(one.options.output, "vulkan", sampled, true) == cpu);
    CHECK(told(one.options.output, "vulkan", sampled, false) == cpu);
    vulkan::emulateLimits(sourceFolder() + "/tests/vulkan/devices/as-a-gpu.json");
    CHECK(told(one.options.output, "vulkan", sampled, false) == cpu);
    vulkan::emulateLimits("");
  }
  one.checkQuiet();
}

TEST_CASE("sessions fork, and callbacks change logits, on each kind of device") {
  Case one("odd", {"vulkan"});
  one.options.max_batch = 2;
  compiled(one.options);
  for (const std::string &profile : {std::string(), sourceFolder() + "/tests/vulkan/devices/as-a-gpu.json"}) {
    CAPTURE(profile);
    vulkan::emulateLimits(profile);
    checkFork(one.options.output, "vulkan");
    checkOnLogits(one.options.output, "vulkan");
  }
  one.checkQuiet();
}

TEST_CASE("weights in fewer bits give the interpreter's numbers on each kind of device") {
  const std::string dtype = GENERATE(std::string("bf16"), std::string("f16"), std::string("int8"),
                                     std::string("int4"), std::string("int4a"));
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

TEST_CASE("texts in a batch give what they give alone, from any row of the cache") {
  const std::string profile = GENERATE(std::string(), sourceFolder() + "/tests/vulkan/devices/as-a-gpu.json");
  CAPTURE(profile);
  Case of("tiny", {"vulkan", "cpu"});
  of.options.max_batch = 4;
  compiled(of.options);
  vulkan::emulateLimits(profile);
  auto model = Model::load(of.options.output, {.device = "vulkan"});
  if (!model) FAIL(model.error().message);
  auto batch = Batch::open(*model, {.prompt_chunk = 4});
  if (!batch) FAIL(batch.error().message);
  std::map<int64_t, std::vector<TokenId>> told;
  std::vector<BatchRequest> requests;
  for (TokenId i = 0; i < 9; ++i) {
    BatchRequest request{.prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, TokenId(11 + i % 3)},
                         .options = {.max_new_tokens = 3 + i, .ignore_eos = true}};
    if (i % 2) request.prompt = {TokenId(20 + i)};
    requests.push_back(request);
  }
  for (size_t next = 0; next < requests.size() || !batch->idle();) {
    if (next < requests.size() && batch->free() > 0) REQUIRE(batch->add(requests[next++]).ok());
    auto events = batch->step();
    if (!events) FAIL(events.error().message);
    for (const BatchEvent &event : *events) told[event.number].push_back(event.id);
  }
  CHECK(batch->counts().shared_tokens > 0);
  for (const char *device : {"vulkan", "cpu"}) {
    auto other = Model::load(of.options.output, {.device = device});
    if (!other) FAIL(other.error().message);
    for (size_t i = 0; i < requests.size(); ++i) {
      CAPTURE(device, i);
      auto session = Session::open(*other);
      auto alone = session->generate(requests[i].prompt, requests[i].options);
      if (!alone) FAIL(alone.error().message);
      CHECK(told[int64_t(i)] == alone->ids);
    }
  }
  of.checkQuiet();
}
