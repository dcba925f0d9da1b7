// A profile with known numbers: one call that processes 8 tokens, two that generate.
#pragma once
#include "linnet/profile.h"
#include "measure/limits.h"
#include "tests/catch.h"

namespace linnet::testing {

constexpr int64_t kStart = 5'000'000'000;

/// Adds a call with a matmul at +100 and then an add, `matmul` and `add` nanoseconds long. 50 ns are outside
/// both.
inline void addCall(Profiler &profiler, int64_t begin, int64_t seq, int64_t matmul, int64_t add,
                    const char *kernel) {
  CommandTiming commands[] = {
      {"matmul", "h.0.attn", kernel, begin + 20, begin + 20 + matmul, 1000 * seq, 400},
      {"add", "h.0", "add_f32", begin + 20 + matmul, begin + 20 + matmul + add, 10 * seq, 120 * seq}};
  profiler.add({"generate",
                {{"batch", 1}, {"seq", seq}, {"context", 64}},
                begin,
                begin + matmul + add + 50,
                commands});
}

/// The time of Profiler::add is set to 7 ns, which these numbers exclude.
inline Profile madeProfile() {
  Profiler profiler;
  profiler.setDevice("an abacus", DeviceKind::Processor);
  addCall(profiler, kStart, 8, 4000, 1000, "many_rows");
  addCall(profiler, kStart + 6000, 1, 300, 500, "one_row");
  addCall(profiler, kStart + 7000, 1, 500, 100, "one_row");
  Profile profile = profiler.profile();
  for (ProfileCall &call : profile.calls) call.overhead = 7;
  return profile;
}

} // namespace linnet::testing
