// The device "vulkan" on whatever driver the loader finds, with the validation layers on, and the plans that
// need no device.
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/vulkan/toy_artifact.h"

#include <cstdlib>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

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

} // namespace

TEST_CASE("a program runs on the device, again without recording anew, and layers say nothing") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  write(directory / "a.linnet");
  Messages messages;
  const Artifact artifact = opened(directory / "a.linnet");
  std::string profile = directory / "poor.json";
  for (bool poor : {false, true}) {
    const char *limits = R"({"name": "poor", "limits": {"maxStorageBufferRange": 2048}, "features": []})";
    REQUIRE(writeTextFile(profile, limits).ok());
    emulateLimits(poor ? profile : "");
    const std::unique_ptr<Executable> executable = loaded(artifact);
    auto &vulkan = static_cast<VulkanExecutable &>(*executable);
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

TEST_CASE("operands are dispatched in parts, with their places told, or refused") {
  TemporaryDirectory directory;
  write(directory / "a.linnet");
  const Artifact artifact = opened(directory / "a.linnet");
  const fb::Program &program = *artifact.program("vulkan");
  const fb::Dispatch &copy = *program.entries()->Get(0)->commands()->Get(2)->body_as_Dispatch();
  Place place = [](const fb::Ref &r) {
    return Range{static_cast<uint32_t>(r.space()), r.offset(), r.size()};
  };
  Inventory inventory;
  inventory.limits.storage_range = 4096;
  std::vector<int64_t> symbols = {4};
  auto whole = planDispatch({inventory, program, place}, copy, symbols);
  REQUIRE(whole.ok());
  REQUIRE(whole->steps[0].parts.size() == 1);
  CHECK(whole->steps[0].parts[0].push == std::vector<uint32_t>{1000, 0, 1000});
  CHECK(whole->steps[0].parts[0].groups == std::array<uint32_t, 3>{16, 1, 1});
  inventory.limits.storage_range = 2000;
  auto parts = planDispatch({inventory, program, place}, copy, symbols);
  REQUIRE(!parts.ok()); // the output does not fit in one binding
  CHECK(parts.error().message.find("binds at most 2000") != std::string::npos);
  const fb::Dispatch &affine = *program.entries()->Get(0)->commands()->Get(0)->body_as_Dispatch();
  auto second = planDispatch({Inventory(), program, place}, affine, symbols);
  REQUIRE(second.ok());
  CHECK(second->choice == 1); // no device has no_such_feature
  Inventory named;
  named.name = "one";
  auto none = planDispatch({named, program, place, {{"affine_plain", "wrong answer"}}}, affine, symbols);
  REQUIRE(!none.ok());
  CHECK(none.error().message ==
        "the device one cannot do it: shader 'affine_plain' was put aside: wrong answer");
}

TEST_CASE("a size of subgroups is asked for where there are several") {
  const Limits one{.subgroup = 8, .subgroup_min = 8, .subgroup_max = 8};
  CHECK(demandedSubgroup(one, 8, 8) == 0);
  const Limits several{.subgroup = 32, .subgroup_min = 8, .subgroup_max = 64};
  CHECK(demandedSubgroup(several, 0, 0) == 0);
  CHECK(demandedSubgroup(several, 16, 64) == 32); // what it has anyway, now for sure
  CHECK(demandedSubgroup(several, 64, 64) == 64);
  CHECK(demandedSubgroup(several, 4, 16) == 8);
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
  CHECK(*chooseDevice(devices, "l") == 1); // of several that a text is part of, as where nothing is said
  CHECK(*chooseDevice(devices, "0") == 0);
  CHECK(*chooseDevice(std::span(devices).first(1), "") == 0);
  CHECK(chooseDevice(devices, "2").error().message ==
        "Vulkan device 2 (Old GPU) cannot be used: it has Vulkan 1.0, 1.1 is needed");
  CHECK(chooseDevice(devices, "7").error().message.find("no Vulkan device 7, there are: 0 llvmpipe (CPU)") ==
        0);
  CHECK(chooseDevice(devices, "mali").error().message.find("no Vulkan device is called 'mali'") == 0);
}

TEST_CASE("memory that the host reaches is used where it is all that the device has") {
  constexpr uint64_t kGiB = uint64_t(1) << 30;
  const Heap card{24 * kGiB, 20 * kGiB, true}, ram{64 * kGiB, 60 * kGiB, false},
      window{kGiB / 4, kGiB / 4, true};
  const MemoryType own{0, true, false, false, false}, uncached{1, false, true, true, false},
      cached{1, false, true, true, true};
  Inventory device;
  device.heaps = {card, ram, window};
  device.types = {own, uncached, cached, {2, true, true, true, false}};
  CHECK(device.memoryFor(15, false) == 0); // not the window, into which 500 MB of weights do not go
  CHECK(device.memoryFor(15, true) == 2);
  CHECK(device.memoryFor(3, true) == 1);
  CHECK(device.memoryFor(8, false) == 3); // where nothing else is allowed
  CHECK_FALSE(device.hostReaches(0, false));
  device.types[3].heap = 0; // the host sees all of it
  CHECK(device.memoryFor(15, false) == 3);
  CHECK(device.hostReaches(3, false));
  device.memory_apart = true;
  CHECK_FALSE(device.hostReaches(3, false));
  CHECK(device.hostReaches(2, true));
  Inventory unified;
  unified.heaps = {{2 * kGiB, kGiB, true}}, unified.types = {{0, true, true, true, true}};
  CHECK(unified.memoryFor(1, false) == 0);
  CHECK(unified.memoryFor(1, true) == 0);
  CHECK(unified.memoryFor(2, false) == -1);
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
  CHECK(emulate(inventory, R"({"kind": "gpu", "features": ["cpu", "gpu"]})", "f").ok());
  CHECK(inventory.features == std::set<std::string>{"gpu"});
  CHECK_FALSE(emulate(inventory, R"({"kind": "quantum"})", "f").ok());
  CHECK(emulate(inventory, R"({"limits": {"maxFoo": 3}})", "f").error().message ==
        "f: unknown limit 'maxFoo'");
  CHECK(emulate(inventory, R"({"features": ["shader_int8", "subgroup_suffle"]})", "f").error().message ==
        "f: unknown feature 'subgroup_suffle'; did you mean subgroup_shuffle?");
  CHECK(emulate(inventory, R"({"features": ["cooperative_matrix/16x16/f16/f32"]})", "f")
            .error()
            .message.starts_with(
                "f: unknown feature 'cooperative_matrix/16x16/f16/f32', expected some of: cpu, "));
  CHECK(emulate(inventory, R"({"features": ["cooperative_matrix/16x16x16/f16/f32", "gpu"]})", "f").ok());
  CHECK(emulate(inventory, "[]", "f").error().message == "f: no JSON object");
}

TEST_CASE("a device says whether it is the processor in a GPU's place") {
  TemporaryDirectory directory;
  const std::string profile = directory / "gpu.json";
  REQUIRE(writeTextFile(profile, R"({"name": "a GPU", "kind": "gpu", "features": ["gpu"]})").ok());
  auto found = findDevice("");
  auto device = openDevice("vulkan");
  REQUIRE((found && device));
  const auto kind = found->inventory.kind == Kind::cpu ? DeviceKind::Driver : DeviceKind::Gpu;
  CHECK((*device)->kind() == kind);
  emulateLimits(profile); // other kernels, the same device
  device = openDevice("vulkan");
  emulateLimits("");
  REQUIRE(device);
  CHECK((*device)->kind() == kind);
  device = openDevice("cpu");
  REQUIRE(device);
  CHECK((*device)->kind() == DeviceKind::Processor);
}

TEST_CASE("no loader is a clear error") {
  setenv("LINNET_VULKAN_LOADER", "libno-such-vulkan.so.9", 1);
  auto device = openDevice("vulkan");
  unsetenv("LINNET_VULKAN_LOADER");
  REQUIRE(!device.ok());
  CHECK(device.error().message.find("no Vulkan loader: libno-such-vulkan.so.9 cannot be opened") == 0);
}
