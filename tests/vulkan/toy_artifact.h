// A small program for the device "vulkan", and the messages of the validation layers about it.
#pragma once
#include "backends/vulkan/spirv/builder.h"
#include "runtime/vulkan/device/context.h"
#include "tests/catch.h"
#include "tests/runtime/gpu_artifact.h"

#include <cstring>

namespace fixtures {

using linnet::spirv::Builder;

// y[i] = 2 x[i] + w[i] for i < push 0.
inline linnet::spirv::Words affine() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 3, .n_push = 1});
  auto i = b.globalId(0);
  b.ifThen(b.lt(i, b.push(0)), [&] {
    b.store(2, i, b.add(b.mul(b.load(0, i, Builder::f32()), b.constant(2.0f)), b.load(1, i, Builder::f32())));
  });
  return b.finish();
}

// y[i] = w[i] for push 1 <= i < push 1 + push 2, of a w that is bound from push 1 on.
inline linnet::spirv::Words rows() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 3});
  auto i = b.globalId(0);
  b.ifThen(b.lt(i, b.push(2)), [&] { b.store(1, b.add(i, b.push(1)), b.load(0, i, Builder::f32())); });
  return b.finish();
}

// count[0] += 1; out[0] = count[0].
inline linnet::spirv::Words count() {
  Builder b({.name = "main", .local_size = {1, 1, 1}, .n_buffers = 2});
  auto next = b.add(b.load(0, b.constant(0u), Builder::f32()), b.constant(1.0f));
  b.store(0, b.constant(0u), next);
  b.store(1, b.constant(0u), next);
  return b.finish();
}

// The last of `buffers` is y: y[i] = the sum of x[(i + k) mod 8] over 64 k for each of `steps`. x is buffer
// 0. 48,000 steps take a driver about a second; llvmpipe ends a loop after 65,535.
inline linnet::spirv::Words slow(uint32_t buffers, uint32_t steps = 48'000) {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = buffers, .n_push = 1});
  auto i = b.globalId(0);
  auto total = b.variable(b.constant(0.0f));
  b.forRange(b.constant(0u), b.constant(steps), b.constant(1u), [&](auto k) {
    for (uint32_t part = 0; part < 64; ++part) {
      auto at = b.bitAnd(b.add(i, b.add(k, b.constant(part))), b.constant(7u));
      b.set(total, b.add(b.get(total), b.load(0, at, Builder::f32())));
    }
  });
  b.ifThen(b.lt(i, b.push(0)), [&] { b.store(buffers - 1, i, b.get(total)); });
  return b.finish();
}

// Without `results`, the last arg is the only result.
inline void addDispatch(fb::EntryT &entry, fb::DispatchT dispatch, std::vector<uint32_t> results = {}) {
  dispatch.types.assign(dispatch.args.size(), fb::DType::f32);
  if (results.empty()) results = {static_cast<uint32_t>(dispatch.args.size() - 1)};
  dispatch.results = std::move(results);
  auto command = std::make_unique<fb::CommandT>();
  command->op = "test.op";
  command->body.Set(std::move(dispatch));
  entry.commands.push_back(std::move(command));
}

// Entry main: x [batch, 8] -> y [batch, 8] by one shader that binds both. Its push words are how many numbers
// y has, and `more`. `invocations`: 0: as many as there are numbers.
struct OneShader {
  linnet::spirv::Words words;
  std::vector<int64_t> more = {};
  std::vector<fb::Loop> loops = {};
  int64_t invocations = 0;
};
inline void writeOne(const std::string &path, const OneShader &one) {
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->symbols = {"batch"};
  program->shaders.push_back(shader(writer, "one", one.words, 2, static_cast<uint32_t>(1 + one.more.size())));
  program->shaders[0]->loops = one.loops;
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {64};
  entry->io_bytes = 4096;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(8)), 0, 2048));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(8)), 2048, 2048));
  fb::DispatchT dispatch;
  dispatch.args.push_back(ref(fb::Space::input, 0, 0, 2048));
  dispatch.args.push_back(ref(fb::Space::output, 0, 0, 2048));
  auto does = step(0, {fb::Access::read, fb::Access::write}, symbol(0, 8));
  for (int64_t word : one.more) does->push.push_back(constant(word));
  if (one.invocations) does->groups[0] = groups(constant(one.invocations), 64);
  dispatch.choices.push_back(choice("one", std::move(does)));
  addDispatch(*entry, std::move(dispatch));
  program->entries.push_back(std::move(entry));
  finish(writer, std::move(program));
}

// A weight of `count` numbers: 0, 1/4, 1/2, ...
inline void addQuarters(ArtifactWriter &writer, fb::ProgramT &program, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i) / 4;
  program.weights.push_back(weightOf(writer, values));
}

// Entry main, so far: x [batch, 8] -> y [batch, 8], batch <= 64.
inline std::unique_ptr<fb::EntryT> mainEntry(uint64_t io_bytes) {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {64};
  entry->arena_bytes = 2048;
  entry->io_bytes = io_bytes;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(8)), 0, 2048));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(8)), 2048, 2048));
  return entry;
}

// Entry next: x, t [batch, 8] -> y = 2 x + t.
inline std::unique_ptr<fb::EntryT> nextEntry() {
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
inline void write(const std::string &path) {
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
  addQuarters(writer, *program, 1000);
  addCounter(*program);
  auto entry = mainEntry(16384);
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
  finish(writer, std::move(program));
}

inline std::vector<float> floats(Executable &executable, int i) {
  auto bytes = executable.output(i);
  REQUIRE(bytes.ok());
  std::vector<float> values(bytes->size() / 4);
  std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
}

inline Artifact opened(const std::string &path) {
  auto artifact = Artifact::open(path);
  INFO((artifact ? "" : artifact.error().message));
  REQUIRE(artifact.ok());
  return std::move(*artifact);
}

/// On the device, which must take it.
inline std::unique_ptr<Executable> loaded(const Artifact &artifact) {
  auto device = openDevice("vulkan");
  INFO((device ? "" : device.error().message));
  REQUIRE(device.ok());
  auto executable = (*device)->load(artifact, *artifact.program("vulkan"), {});
  INFO((executable ? "" : executable.error().message));
  REQUIRE(executable.ok());
  return std::move(*executable);
}

/// What the validation layers say from here on.
struct Messages {
  Messages() {
    linnet::vulkan::setMessageHandler([this](const std::string &m) { list.push_back(m); });
  }
  ~Messages() { linnet::vulkan::setMessageHandler(nullptr); }
  std::vector<std::string> list;
};

} // namespace fixtures
