// The device "vulkan" on whatever driver the loader finds, with the validation layers on, and the plans that
// need no device.
#include "backends/vulkan/spirv/builder.h"
#include "runtime/vulkan/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/runtime/gpu_artifact.h"

#include <cstdlib>
#include <cstring>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

using linnet::spirv::Builder;

// y[i] = 2 x[i] + w[i] for i < push 0.
linnet::spirv::Words affine() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 3, .n_push = 1});
  auto i = b.globalId(0);
  b.ifThen(b.lt(i, b.push(0)), [&] {
    b.store(2, i, b.add(b.mul(b.load(0, i, Builder::f32()), b.constant(2.0f)), b.load(1, i, Builder::f32())));
  });
  return b.finish();
}

// y[i] = w[i] for push 1 <= i < push 1 + push 2, of a w that is bound from push 1 on.
linnet::spirv::Words rows() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 3});
  auto i = b.globalId(0);
  b.ifThen(b.lt(i, b.push(2)), [&] { b.store(1, b.add(i, b.push(1)), b.load(0, i, Builder::f32())); });
  return b.finish();
}

// count[0] += 1; out[0] = count[0].
linnet::spirv::Words count() {
  Builder b({.name = "main", .local_size = {1, 1, 1}, .n_buffers = 2});
  auto next = b.add(b.load(0, b.constant(0u), Builder::f32()), b.constant(1.0f));
  b.store(0, b.constant(0u), next);
  b.store(1, b.constant(0u), next);
  return b.finish();
}

void addDispatch(fb::EntryT &entry, fb::DispatchT dispatch) {
  dispatch.types.assign(dispatch.args.size(), fb::DType::f32);
  dispatch.results = {static_cast<uint32_t>(dispatch.args.size() - 1)};
  auto command = std::make_unique<fb::CommandT>();
  command->op = "test.op";
  command->body.Set(std::move(dispatch));
  entry.commands.push_back(std::move(command));
}

// Entry next: x, t [batch, 8] -> y = 2 x + t.
std::unique_ptr<fb::EntryT> nextEntry() {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "next";
  entry->bounds = {64};
  entry->io_bytes = 6144;
  auto square = [&](const char *name, uint64_t offset) {
    return port(name, fb::DType::f32, shape(symbol(0), constant(8)), offset, 2048);
  };
  entry->inputs.push_back(square("x", 0));
  entry->inputs.push_back(square("t", 2048));
  entry->outputs.push_back(square("y", 4096));
  fb::DispatchT dispatch;
  for (uint32_t i = 0; i < 2; ++i) dispatch.args.push_back(ref(fb::Space::input, i, 0, 2048));
  dispatch.args.push_back(ref(fb::Space::output, 0, 0, 2048));
  using A = fb::Access;
  dispatch.choices.push_back(choice("plain", step(1, {A::read, A::read, A::write}, symbol(0, 8))));
  addDispatch(*entry, std::move(dispatch));
  return entry;
}

// Entry main: x [batch, 8] -> y = affine(affine(x)), all = the whole weight of 1000, count = runs so far.
void write(const std::string &path) {
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->symbols = {"batch"};
  program->arena_bytes = 2048;
  program->shaders.push_back(shader(writer, "affine", affine(), 3, 1));
  program->shaders.back()->features = {"no_such_feature"};
  program->shaders.push_back(shader(writer, "affine_plain", affine(), 3, 1));
  program->shaders.push_back(shader(writer, "rows", rows(), 2, 3));
  program->shaders.push_back(shader(writer, "count", count(), 2, 0, 1));
  std::vector<float> values(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 4;
  auto weight = std::make_unique<fb::WeightT>();
  weight->name = "w";
  weight->shape = {1000};
  weight->blob = std::make_unique<fb::BlobT>(*writer.add(std::as_bytes(std::span(values))));
  program->weights.push_back(std::move(weight));
  auto state = std::make_unique<fb::StateT>();
  state->name = "counter";
  state->shape = shape(constant(1));
  state->bytes = program->state_bytes = 4;
  program->states.push_back(std::move(state));
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {64};
  entry->arena_bytes = 2048;
  entry->io_bytes = 16384;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(8)), 0, 2048));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(8)), 2048, 2048));
  entry->outputs.push_back(port("all", fb::DType::f32, shape(constant(1000)), 4096, 4000));
  entry->outputs.push_back(port("count", fb::DType::f32, shape(constant(1)), 8128, 4));
  using A = fb::Access;
  for (int i = 0; i < 2; ++i) {
    fb::DispatchT dispatch;
    dispatch.args.push_back(i ? ref(fb::Space::arena, 0, 0, 2048) : ref(fb::Space::input, 0, 0, 2048));
    dispatch.args.push_back(ref(fb::Space::weight, 0, 0, 2048));
    dispatch.args.push_back(i ? ref(fb::Space::output, 0, 0, 2048) : ref(fb::Space::arena, 0, 0, 2048));
    for (uint32_t s = 0; s < 2; ++s)
      dispatch.choices.push_back(
          choice(s ? "plain" : "fast", step(s, {A::read, A::read, A::write}, symbol(0, 8))));
    addDispatch(*entry, std::move(dispatch));
  }
  fb::DispatchT copy;
  copy.args.push_back(ref(fb::Space::weight, 0, 0, 4000));
  copy.args.push_back(ref(fb::Space::output, 1, 0, 4000));
  copy.choices.push_back(choice("rows", step(2, {A::read, A::write}, constant(1000))));
  auto split = std::make_unique<fb::SplitT>();
  split->units = constant(1000);
  split->args = {0};
  split->unit_bytes = {4};
  split->first = 1, split->count = 2;
  copy.choices[0]->steps[0]->splits.push_back(std::move(split));
  addDispatch(*entry, std::move(copy));
  fb::DispatchT counter;
  counter.args.push_back(ref(fb::Space::state, 0, 0, 4));
  counter.args.push_back(ref(fb::Space::output, 2, 0, 4));
  auto counts = step(3, {A::read_write, A::write}, constant(1));
  counts->push.clear();
  counter.choices.push_back(choice("count", std::move(counts)));
  addDispatch(*entry, std::move(counter));
  program->entries.push_back(std::move(entry));
  program->entries.push_back(nextEntry());
  fb::MetadataT metadata;
  metadata.programs.push_back(std::move(program));
  auto written = writer.finish(metadata);
  INFO((written ? "" : written.error().message));
  REQUIRE(written.ok());
}

std::vector<float> floats(Executable &executable, int i) {
  auto bytes = executable.output(i);
  REQUIRE(bytes.ok());
  std::vector<float> values(bytes->size() / 4);
  std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
}

void runAll(Executable &executable, float runs) {
  for (int64_t batch : {1, 5, 64}) {
    std::vector<float> x(static_cast<size_t>(batch) * 8);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 13) - 6;
    std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
    auto ran = executable.run(0, std::vector<int64_t>{batch}, in, {});
    INFO((ran ? "" : ran.error().message));
    REQUIRE(ran.ok());
    for (size_t i = 0; i < x.size(); ++i) x[i] = 4 * x[i] + 3 * static_cast<float>(i) / 4;
    CHECK(floats(executable, 0) == x);
    std::vector<float> all = floats(executable, 1);
    bool same = all.size() == 1000;
    for (size_t i = 0; same && i < all.size(); ++i) same = all[i] == static_cast<float>(i) / 4;
    CHECK(same);
    CHECK(floats(executable, 2) == std::vector<float>{++runs});
  }
}

struct Messages {
  Messages() {
    setMessageHandler([this](const std::string &m) { list.push_back(m); });
  }
  ~Messages() { setMessageHandler(nullptr); }
  std::vector<std::string> list;
};

} // namespace

TEST_CASE("a program runs on the device, again without recording anew, and layers say nothing") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  write(directory / "a.linnet");
  Messages messages;
  auto artifact = Artifact::open(directory / "a.linnet");
  INFO((artifact ? "" : artifact.error().message));
  REQUIRE(artifact.ok());
  std::string profile = directory / "poor.json";
  for (bool poor : {false, true}) {
    const char *limits = R"({"name": "poor", "limits": {"maxStorageBufferRange": 2048}, "features": []})";
    REQUIRE(writeTextFile(profile, limits).ok());
    emulateLimits(poor ? profile : "");
    auto device = openDevice("vulkan");
    INFO((device ? "" : device.error().message));
    REQUIRE(device.ok());
    auto executable = (*device)->load(*artifact, *artifact->program("vulkan"), {});
    INFO((executable ? "" : executable.error().message));
    REQUIRE(executable.ok());
    auto &vulkan = static_cast<VulkanExecutable &>(**executable);
    if (poor) { // 4000 bytes written in one binding of at most 2048
      std::vector<float> x(8);
      std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
      auto ran = vulkan.run(0, std::vector<int64_t>{1}, in, {});
      REQUIRE(!ran.ok());
      CHECK(ran.error().message.find("an operand of 4000 bytes, the device binds at most 2048") !=
            std::string::npos);
      continue;
    }
    runAll(vulkan, 0);
    auto before = vulkan.counts().recordings;
    CHECK(before == 3);
    runAll(vulkan, 3);
    CHECK(vulkan.counts().recordings == before);
    CHECK(vulkan.counts().descriptor_sets == 12);
    CHECK(vulkan.lastRecording().dispatches == 4);
    CHECK(vulkan.lastRecording().barriers == 1); // the second affine behind the first
    vulkan.resetStates();
    runAll(vulkan, 0);
  }
  emulateLimits("");
  for (const std::string &message : messages.list) FAIL_CHECK(message);
}

TEST_CASE("a loop carries outputs to inputs on the device, again without recording anew") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  write(directory / "a.linnet");
  Messages messages;
  auto artifact = Artifact::open(directory / "a.linnet");
  REQUIRE(artifact.ok());
  auto device = openDevice("vulkan");
  REQUIRE(device.ok());
  auto executable = (*device)->load(*artifact, *artifact->program("vulkan"), {});
  REQUIRE(executable.ok());
  auto &vulkan = static_cast<VulkanExecutable &>(**executable);
  const uint64_t before = vulkan.memory().total();
  auto loop = vulkan.makeLoop({1, {{0, 0}}, {1}, {0}});
  INFO((loop ? "" : loop.error().message));
  REQUIRE(loop.ok());
  REQUIRE(*loop);
  CHECK(vulkan.memory().total() == before + 2 * 2048 * uint64_t((*loop)->mostSteps()));
  auto counts = [&] {
    const RecordingCounts &c = vulkan.counts();
    return std::array{c.recordings, c.descriptor_sets, c.copies};
  };
  auto once = [&](int64_t batch, int64_t steps) {
    size_t n = static_cast<size_t>(batch) * 8;
    std::vector<float> x(n), t(n * static_cast<size_t>(steps)), expected;
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 13) - 6;
    for (size_t i = 0; i < t.size(); ++i) t[i] = static_cast<float>(i % 31) / 4;
    std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x)),
                                                  std::as_bytes(std::span(t).first(n))};
    std::vector<std::span<const std::byte>> tables = {std::as_bytes(std::span(t).subspan(n))};
    auto ran = (*loop)->run(steps, std::vector<int64_t>{batch}, in, tables);
    INFO((ran ? "" : ran.error().message));
    REQUIRE(ran.ok());
    for (size_t i = 0; i < t.size(); ++i) expected.push_back(2 * (i < n ? x[i] : expected[i - n]) + t[i]);
    auto kept = (*loop)->history(0);
    REQUIRE(kept.ok());
    REQUIRE(kept->size() == expected.size() * 4);
    CHECK(std::memcmp(kept->data(), expected.data(), kept->size()) == 0);
    CHECK(floats(vulkan, 0) ==
          std::vector<float>(expected.end() - static_cast<ptrdiff_t>(n), expected.end()));
  };
  for (int64_t batch : {5, 64, 1}) once(batch, 6);
  const auto steady = counts();
  CHECK(steady == std::array<uint64_t, 3>{3, 3, uint64_t((*loop)->mostSteps())});
  for (int64_t batch : {64, 1, 5})
    for (int64_t steps : {int64_t(1), int64_t(2), (*loop)->mostSteps()}) once(batch, steps);
  CHECK(counts() == steady);
  for (const std::string &message : messages.list) FAIL_CHECK(message);
}

TEST_CASE("a loop that cannot be is refused in a line") {
  TemporaryDirectory directory;
  write(directory / "a.linnet");
  auto artifact = Artifact::open(directory / "a.linnet");
  auto device = openDevice("vulkan");
  auto executable = (*device)->load(*artifact, *artifact->program("vulkan"), {});
  REQUIRE(executable.ok());
  auto refused = [&](const LoopSpec &spec) {
    auto made = (*executable)->makeLoop(spec);
    REQUIRE(!made.ok());
    return made.error().message;
  };
  const std::string path = directory / "a.linnet";
  CHECK(refused({2, {}, {}, {}}) == path + ": a loop's entry: number 2 of 2");
  CHECK(refused({1, {{1, 0}}, {}, {}}) == path + ": a loop's output: number 1 of 1");
  CHECK(refused({1, {}, {2}, {}}) == path + ": a loop's input: number 2 of 2");
  CHECK(refused({1, {}, {}, {-1}}) == path + ": a loop's output: number -1 of 1");
  auto loop = std::move(*(*executable)->makeLoop({0, {{1, 0}}, {}, {0}}));
  std::vector<float> x(8);
  std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
  std::vector<int64_t> one = {1};
  CHECK(loop->history(0).error().message == "no history: the loop has not been run");
  CHECK(loop->run(0, one, in, {}).error().message == "entry 'main': expected from 1 to 64 steps, found 0");
  CHECK(loop->run(65, one, in, {}).error().message == "entry 'main': expected from 1 to 64 steps, found 65");
  CHECK(loop->run(2, one, in, {}).error().message ==
        "entry 'main': output 'all' cannot become input 'x': 4000 bytes of f32, 32 of f32");
  auto tables = std::move(*(*executable)->makeLoop({1, {}, {1}, {}}));
  in.push_back(in[0]);
  CHECK(tables->run(3, one, in, {}).error().message == "entry 'next': expected 1 tables, found 0");
  CHECK(tables->run(3, one, in, std::span(in).first(1)).error().message ==
        "entry 'next': input 't' of the steps behind the first: expected 64 bytes, found 32");
}

TEST_CASE("operands are dispatched in parts, with their places told, or refused") {
  TemporaryDirectory directory;
  write(directory / "a.linnet");
  auto artifact = Artifact::open(directory / "a.linnet");
  REQUIRE(artifact.ok());
  const fb::Program &program = *artifact->program("vulkan");
  const fb::Dispatch &copy = *program.entries()->Get(0)->commands()->Get(2)->body_as_Dispatch();
  Place place = [](const fb::Ref &r) {
    return Range{static_cast<uint32_t>(r.space()), r.offset(), r.size()};
  };
  Inventory inventory;
  inventory.limits.storage_range = 4096;
  std::vector<int64_t> symbols = {4};
  auto whole = planDispatch(inventory, program, copy, symbols, place);
  REQUIRE(whole.ok());
  REQUIRE(whole->steps[0].parts.size() == 1);
  CHECK(whole->steps[0].parts[0].push == std::vector<uint32_t>{1000, 0, 1000});
  CHECK(whole->steps[0].parts[0].groups == std::array<uint32_t, 3>{16, 1, 1});
  inventory.limits.storage_range = 2000;
  auto parts = planDispatch(inventory, program, copy, symbols, place);
  REQUIRE(!parts.ok()); // the output does not fit in one binding
  CHECK(parts.error().message.find("binds at most 2000") != std::string::npos);
  const fb::Dispatch &affine = *program.entries()->Get(0)->commands()->Get(0)->body_as_Dispatch();
  auto second = planDispatch(Inventory(), program, affine, symbols, place);
  REQUIRE(second.ok());
  CHECK(second->choice == 1); // no device has no_such_feature
  auto none = planDispatch(Inventory(), program, affine, symbols, place, {"affine_plain"});
  REQUIRE(!none.ok());
  CHECK(none.error().message.find("needs no_such_feature") != std::string::npos);
  CHECK(none.error().message.find("'affine_plain' was put aside") != std::string::npos);
}

TEST_CASE("a barrier is due where one writes what the other touches") {
  Hazards hazards;
  auto touch = [](uint64_t offset, bool write) { return std::vector<Touch>{{{0, offset, 256}, write}}; };
  CHECK_FALSE(hazards.before(touch(0, true)));
  CHECK_FALSE(hazards.before(touch(256, true)));
  CHECK(hazards.before(touch(128, false)));
  CHECK_FALSE(hazards.before(touch(0, false)));
  CHECK(hazards.before(touch(0, true)));
  CHECK_FALSE(hazards.before(std::vector<Touch>{{{1, 0, 256}, true}}));
}

TEST_CASE("devices are chosen by number and name, a CPU last") {
  std::vector<Inventory> devices(3);
  for (Inventory &d : devices) d.api = VK_MAKE_API_VERSION(0, 1, 1, 0), d.queue_family = 0;
  devices[0].name = "llvmpipe", devices[0].kind = Kind::cpu;
  devices[1].name = "Small GPU", devices[1].kind = Kind::integrated;
  devices[2].name = "Old GPU", devices[2].kind = Kind::discrete,
  devices[2].api = VK_MAKE_API_VERSION(0, 1, 0, 3);
  CHECK(*chooseDevice(devices, "") == 1);
  CHECK(*chooseDevice(devices, "LLVM") == 0);
  CHECK(*chooseDevice(devices, "0") == 0);
  CHECK(*chooseDevice(std::span(devices).first(1), "") == 0);
  CHECK(chooseDevice(devices, "2").error().message ==
        "Vulkan device 2 (Old GPU) cannot be used: it has Vulkan 1.0, 1.1 is needed");
  CHECK(chooseDevice(devices, "7").error().message.find("no Vulkan device 7, there are: 0 llvmpipe (CPU)") ==
        0);
  CHECK(chooseDevice(devices, "mali").error().message.find("no Vulkan device is called 'mali'") == 0);
}

TEST_CASE("a profile takes away and never adds") {
  Inventory inventory;
  inventory.limits.storage_range = 1000, inventory.features = {"cpu", "shader_float16"};
  CHECK(emulate(inventory, R"({"name": "n", "limits": {"maxStorageBufferRange": 4000,
    "maxTexelBufferElements": 1000, "maxComputeWorkGroupSize": [64, 256, 1]}, "features": ["cpu", "shader_int8"]})",
                "f")
            .ok());
  CHECK(inventory.limits.storage_range == 1000);
  CHECK(inventory.limits.texels == 1000);
  CHECK(inventory.limits.local == std::array<uint32_t, 3>{64, 128, 1});
  CHECK(inventory.features == std::set<std::string>{"cpu"});
  CHECK(emulate(inventory, R"({"limits": {"maxFoo": 3}})", "f").error().message ==
        "f: unknown limit 'maxFoo'");
  CHECK(emulate(inventory, "[]", "f").error().message == "f: no JSON object");
}

TEST_CASE("no loader is a clear error") {
  setenv("LINNET_VULKAN_LOADER", "libno-such-vulkan.so.9", 1);
  auto device = openDevice("vulkan");
  unsetenv("LINNET_VULKAN_LOADER");
  REQUIRE(!device.ok());
  CHECK(device.error().message.find("no Vulkan loader: libno-such-vulkan.so.9 cannot be opened") == 0);
}
