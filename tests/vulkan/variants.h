// An artifact whose dispatches have several variants, and a process that dies of trying them.
#pragma once
#include "compiler/known_answers.h"
#include "runtime/vulkan/trial/lock.h"
#include "tests/vulkan/toy_artifact.h"

#include <sys/wait.h>
#include <unistd.h>

namespace fixtures {

using linnet::vulkan::Inventory, linnet::vulkan::TrialLock, linnet::vulkan::TrialMark;

// counter[0] += x[0]; y[0] = counter[0], to be sure that trials leave states as they were.
inline linnet::spirv::Words sum() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 3, .n_push = 1});
  auto zero = b.constant(0u);
  b.ifThen(b.eq(b.globalId(0), zero), [&] {
    auto next = b.add(b.load(1, zero, Builder::f32()), b.load(0, zero, Builder::f32()));
    b.store(1, zero, next);
    b.store(2, zero, next);
  });
  return b.finish();
}

inline void addDispatch(fb::EntryT &entry, fb::DispatchT dispatch, std::vector<fb::Access> access,
                        const std::vector<uint32_t> &shaders, std::vector<uint32_t> results) {
  for (uint32_t s : shaders) dispatch.choices.push_back(choice("c", step(s, access, symbol(0, 8))));
  addDispatch(entry, std::move(dispatch), std::move(results));
}

// Entry main: x [batch, 8] -> y = 2 x + w, total = the sum of x[0] over all runs.
// With `shared`, affine_middle is also all that another dispatch has.
// Without `answers` the artifact is as older compilers wrote it.
inline void writeVariants(const std::string &path, bool shared = false,
                          const linnet::spirv::Words &fast = affine(), bool answers = true) {
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->symbols = {"batch"};
  program->arena_bytes = 2048;
  program->shaders.push_back(shader(writer, "affine_fast", fast, 3, 1));
  program->shaders.push_back(shader(writer, "affine_middle", affine(), 3, 1));
  program->shaders.push_back(shader(writer, "affine_plain", affine(), 3, 1));
  program->shaders.push_back(shader(writer, "sum_fast", sum(), 3, 1));
  program->shaders.push_back(shader(writer, "sum_plain", sum(), 3, 1));
  addQuarters(writer, *program, 512);
  addCounter(*program);
  auto entry = mainEntry(4352);
  entry->outputs.push_back(port("total", fb::DType::f32, shape(constant(1)), 4096, 4));
  using A = fb::Access;
  fb::DispatchT affine, sum;
  affine.args.push_back(ref(fb::Space::input, 0, 0, 2048));
  affine.args.push_back(ref(fb::Space::weight, 0, 0, 2048));
  affine.args.push_back(ref(fb::Space::output, 0, 0, 2048));
  addDispatch(*entry, std::move(affine), {A::read, A::read, A::write}, {0, 1, 2}, {2});
  sum.args.push_back(ref(fb::Space::input, 0, 0, 2048));
  sum.args.push_back(ref(fb::Space::state, 0, 0, 4));
  sum.args.push_back(ref(fb::Space::output, 1, 0, 4));
  addDispatch(*entry, std::move(sum), {A::read, A::read_write, A::write}, {3, 4}, {1, 2});
  fb::DispatchT other;
  other.args.push_back(ref(fb::Space::input, 0, 0, 2048));
  other.args.push_back(ref(fb::Space::weight, 0, 0, 2048));
  other.args.push_back(ref(fb::Space::arena, 0, 0, 2048));
  if (shared) addDispatch(*entry, std::move(other), {A::read, A::read, A::write}, {1}, {2});
  program->entries.push_back(std::move(entry));
  if (answers) linnet::addKnownAnswers(*program, writer.blobs()->bytes());
  finish(writer, std::move(program));
}

/// A process that notes what it tries, and dies of it.
inline void dieTrying(const Inventory &inventory, const TrialMark &mark) {
  const pid_t child = fork();
  if (child == 0) {
    auto lock = TrialLock::take(inventory, std::chrono::milliseconds(0));
    _exit(lock && *lock && (*lock)->mark(mark).ok() ? 0 : 1);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

} // namespace fixtures
