// Checks the sums of a summary on known numbers, and the limits that they are compared with.
#include "measure/profile_summary.h"
#include "tests/measure/made_profile.h"

#include <omp.h>

using namespace linnet;
using namespace linnet::measure;
using namespace linnet::testing;

TEST_CASE("a command whose kernel changes is two commands, in the order they were met") {
  Profile profile = madeProfile();
  REQUIRE(profile.commands.size() == 3);
  CHECK(profile.commands[0].kernel == "many_rows");
  CHECK(profile.commands[1].op == "add");
  CHECK(profile.commands[1].number == 1);
  CHECK(profile.commands[2].kernel == "one_row");
  CHECK(profile.commands[2].number == 0);
  CHECK(profile.events.size() == 6);
  CHECK(profile.events[5].call == 2);
  CHECK(profile.calls[2].first_event == 4);
  CHECK(profile.calls[0].dim("seq") == 8);
  CHECK(profile.calls[0].dim("nothing") == -1);
}

TEST_CASE("time is what commands took, what lay between them, and the host's") {
  std::vector<PhaseSummary> phases = summarize(madeProfile());
  REQUIRE(phases.size() == 2);
  const PhaseSummary &prefill = phases[0], &decode = phases[1];
  CHECK(prefill.name == "prefill");
  CHECK(prefill.calls == 1);
  CHECK(prefill.tokens == 8);
  CHECK(prefill.commands == Approx(5000e-9));
  CHECK(prefill.between == Approx(50e-9));
  CHECK(prefill.host == Approx((6000 - 5050 - 7) * 1e-9)); // the profiler's 7 ns are nobody's
  CHECK(decode.name == "decode");
  CHECK(decode.calls == 2);
  CHECK(decode.tokens == 2);
  CHECK(decode.commands == Approx(1400e-9));
  CHECK(decode.between == Approx(100e-9));
  CHECK(decode.host == Approx((1000 - 850 - 7) * 1e-9)); // nothing is known of the time after the last call
  for (const PhaseSummary &phase : phases)
    CHECK(phase.wall == Approx(phase.commands + phase.between + phase.host));
}

TEST_CASE("slowest first, summed over calls") {
  std::vector<PhaseSummary> phases = summarize(madeProfile());
  const PhaseSummary &decode = phases[1];
  REQUIRE(decode.by_command.size() == 2);
  CHECK(decode.by_command[0].command == 2); // 300 + 500, before 500 + 100
  CHECK(decode.by_command[0].work.runs == 2);
  CHECK(decode.by_command[0].work.seconds == Approx(800e-9));
  CHECK(decode.by_command[0].work.least == Approx(300e-9));
  CHECK(decode.by_command[0].work.flops == 2000);
  CHECK(decode.by_command[1].work.bytes == 240);
  CHECK(decode.by_command[1].work.least == Approx(100e-9));
  CHECK(decode.work.runs == 4);
  CHECK(decode.work.flops == 2020);
  CHECK(decode.work.bytes == 800 + 240);
  REQUIRE(decode.by_op.size() == 2);
  CHECK(decode.by_op[0].op == "matmul");
  CHECK(decode.by_op[0].commands == 1);
  CHECK(decode.by_op[1].work.seconds == Approx(600e-9));
}

TEST_CASE("layers are one place, other ops and kernels are not") {
  CHECK(placeOf("h.11.mlp.c_fc") == "h.*.mlp.c_fc");
  CHECK(placeOf("0.h1.22") == "*.h1.*");
  CHECK(placeOf("lm_head") == "lm_head");
  CHECK(placeOf("") == "");
  CHECK(placeOf("a..b.") == "a..b.");
  Profiler profiler;
  CommandTiming commands[] = {{"matmul", "h.0.fc", "k", 0, 10, 1, 1},
                              {"matmul", "h.1.fc", "k", 10, 15, 1, 1},
                              {"matmul", "h.0.fc", "other", 15, 18, 1, 1},
                              {"add", "h.0.fc", "k", 18, 20, 1, 1}};
  profiler.add({"main", {}, 0, 20, commands});
  auto phases = summarize(profiler.profile());
  REQUIRE(phases.size() == 1);
  REQUIRE(phases[0].by_place.size() == 3);
  CHECK(phases[0].by_place[0].place == "h.*.fc");
  CHECK(phases[0].by_place[0].commands == 2);
  CHECK(phases[0].by_place[0].work.seconds == Approx(15e-9));
  CHECK(phases[0].by_place[0].work.least == Approx(5e-9));
  CHECK(phases[0].by_place[1].kernel == "other");
  CHECK(phases[0].by_op[0].commands == 3);
}

TEST_CASE("a new text after a pause is not the host's time, nor are other entries split") {
  Profiler profiler;
  addCall(profiler, kStart, 8, 100, 100, "k");
  addCall(profiler, kStart + 1'000'000'000, 8, 100, 100, "k");
  profiler.add({"score", {{"batch", 2}, {"seq", 1}}, kStart, kStart + 10, {}});
  std::vector<PhaseSummary> phases = summarize(profiler.profile());
  REQUIRE(phases.size() == 2);
  CHECK(phases[0].host == 0);
  CHECK(phases[1].name == "score");
  CHECK(phases[1].tokens == 2);
  CHECK(summarize({}).empty());
}

TEST_CASE("what was achieved is rates and their shares of the limits") {
  Limits limits{2, 20e9, 100e9};
  Achieved a = achieved(0.5, 25e9, 5e9, limits);
  CHECK(a.bytes_per_second == Approx(10e9));
  CHECK(a.bandwidth_share == Approx(0.5));
  CHECK(a.flops_per_second == Approx(50e9));
  CHECK(a.peak_share == Approx(0.5));
  CHECK(achieved(0.5, 1, 1, {}).peak_share == 0);
  CHECK(achieved(0, 1, 1, limits).bytes_per_second == 0);
}

TEST_CASE("a full profiler keeps whole calls and counts the others") {
  Profiler profiler(5);
  for (int64_t i = 0; i < 4; ++i) addCall(profiler, kStart + i * 1000, 1, 100, 100, "k");
  CHECK(profiler.profile().calls.size() == 2);
  CHECK(profiler.profile().events.size() == 4);
  CHECK(profiler.profile().dropped_calls == 2);
  profiler.clear();
  CHECK(profiler.profile().dropped_calls == 0);
  addCall(profiler, kStart, 1, 100, 100, "k");
  CHECK(profiler.profile().commands.size() == 2);
  CHECK(profiler.profile().calls[0].first_event == 0);
}

TEST_CASE("a capacity costs what is used of it") {
  Profiler profiler;
  CHECK(profiler.extent("context", 64) == 64);
  profiler.setExtent("context", 9);
  CHECK(profiler.extent("context", 64) == 9);
  CHECK(profiler.extent("context", 4) == 4);
  CHECK(profiler.extent("seq", 64) == 64);
}

TEST_CASE("the machine's limits are found") {
  Limits limits = probeLimits(1);
  CHECK(limits.threads == 1);
  CHECK(limits.read_bytes_per_second > 1e8);
  for (const Peak &peak : peaks()) CHECK(peakRate(peak, 1, 0.001) > 1e8);
  CHECK((peaks().empty() || limits.f32_flops_per_second > 1e8));
  // No ceiling is 0 on a processor whose f32 has one, with instructions for bf16 and bytes or without.
  std::vector<std::string> names;
  for (const Peak &peak : peaks()) names.emplace_back(peak.name);
  CHECK((names.empty() || names == std::vector<std::string>{"f32", "bf16", "int8", "int4"}));
  CHECK(probeLimits(0).threads == omp_get_max_threads());
}
