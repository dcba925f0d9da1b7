// Drivers that end an invocation's loops after so many steps (llvmpipe: 65,535 of all loops together) do so
// without a word: which ones do is known, and what would take more is refused.
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/vulkan/toy_artifact.h"

#include <cstdlib>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

constexpr float kOuter = 4, kInner = 25000;

// y[i] = how many steps the inner one of two loops has taken, of push 2 times push 1.
linnet::spirv::Words nested() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 3});
  auto i = b.globalId(0), zero = b.constant(0u), one = b.constant(1u);
  auto total = b.variable(b.load(0, zero, Builder::f32())); // of x, or a driver may know the sum
  b.forRange(zero, b.push(2), one, [&](auto) {
    b.forRange(zero, b.push(1), one, [&](auto) { b.set(total, b.add(b.get(total), b.constant(1.0f))); });
  });
  b.ifThen(b.lt(i, b.push(0)), [&] { b.store(1, i, b.get(total)); });
  return b.finish();
}

const std::vector<fb::Loop> kLoopsOfNested = {{-1, 1, 2, fb::LoopBy::push, 0},
                                              {0, 1, 1, fb::LoopBy::push, 0}};
const std::vector<int64_t> kSizes = {int64_t(kInner), int64_t(kOuter)};

/// The device's y[0], or the error of the run.
Result<float> counted(const std::string &path) {
  LINNET_ASSIGN(const Artifact artifact, Artifact::open(path));
  LINNET_ASSIGN(auto device, openDevice("vulkan"));
  LINNET_ASSIGN(auto executable, device->load(artifact, *artifact.program("vulkan"), {}));
  const std::vector<float> x(8);
  const std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
  LINNET_TRY(executable->run(0, std::vector<int64_t>{1}, in, {}));
  return floats(*executable, 0)[0];
}

uint64_t limitOfDevice() {
  auto list = listDevices();
  REQUIRE(list.ok());
  for (const ListedDevice &device : *list)
    if (device.chosen) return device.inventory.limits.loop_steps;
  FAIL("no device");
  return 0;
}

} // namespace

TEST_CASE("loops of more steps than the driver takes are refused, others run to their end") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  const uint64_t limit = limitOfDevice();
  constexpr float kAll = kOuter * kInner;
  writeOne(directory / "untold.linnet", {nested(), kSizes});
  auto untold = counted(directory / "untold.linnet");
  REQUIRE(untold.ok());
  // That is what the limit is for: a driver without one takes them all.
  CHECK((*untold == kAll) == (limit > 100'000));
  writeOne(directory / "told.linnet", {nested(), kSizes, kLoopsOfNested});
  auto told = counted(directory / "told.linnet");
  if (limit > 100'000) {
    REQUIRE(told.ok());
    CHECK(*told == kAll);
  } else {
    REQUIRE(!told.ok());
    const std::string &message = told.error().message;
    CHECK(message.find("entry 'main': command 0 (test.op): the device ") != std::string::npos);
    CHECK(
        message.find(" cannot do it: shader 'one' may take 100009 steps of loops, the driver ends them after "
                     "65534") != std::string::npos);
  }
}

TEST_CASE("steps of loops are counted: in others, by push constants, and again for workgroups that lack") {
  fb::ShaderT described;
  TemporaryDirectory directory;
  auto writer = std::move(*ArtifactWriter::create(directory / "a.linnet"));
  fb::ProgramT program;
  program.target = "vulkan";
  program.shaders.push_back(shader(writer, "loops", nested(), 2, 3));
  // Per workgroup of three: 7 steps of 2 in push 1 = 14, each with 10 more.
  program.shaders[0]->loops = {{-1, 1, 3, fb::LoopBy::x, 0}, {0, 2, 1, fb::LoopBy::push, 10}};
  fb::DispatchT dispatch;
  for (int i = 0; i < 2; ++i) dispatch.args.push_back(ref(fb::Space::arena, 0, 0, 2048));
  using A = fb::Access;
  auto loops = step(0, {A::read, A::write}, constant(640));
  loops->push.push_back(constant(14));
  dispatch.choices.push_back(choice("loops", std::move(loops)));
  dispatch.types.assign(2, fb::DType::f32), dispatch.results = {1};
  flatbuffers::FlatBufferBuilder of_program, of_dispatch;
  of_program.Finish(fb::Program::Pack(of_program, &program));
  of_dispatch.Finish(fb::Dispatch::Pack(of_dispatch, &dispatch));
  auto plan = [&](uint32_t groups, uint64_t limit) {
    Inventory inventory;
    inventory.limits.groups[0] = groups, inventory.limits.loop_steps = limit;
    Place place = [](const fb::Ref &r) { return Range{0, r.offset(), r.size()}; };
    auto planned =
        planDispatch({inventory, *flatbuffers::GetRoot<fb::Program>(of_program.GetBufferPointer()), place},
                     *flatbuffers::GetRoot<fb::Dispatch>(of_dispatch.GetBufferPointer()), {});
    return planned ? "" : planned.error().message;
  };
  // 1 + 3 steps over workgroups' items, in each 1 + 7 (1 + 10).
  CHECK(plan(10, 1 + 3 + 3 * (1 + 7 * 11)) == "");
  CHECK(plan(10, 3 + 3 * (1 + 7 * 11)).find("may take 238 steps of loops, the driver ends them after 237") !=
        std::string::npos);
  CHECK(plan(4, 1 + 9 + 9 * (1 + 7 * 11)) == ""); // ten workgroups, four at a time
  CHECK(plan(4, 9 + 9 * (1 + 7 * 11)) != "");
}
