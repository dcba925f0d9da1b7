// Traces: what Perfetto needs is there, what was written is read, and a file that is damaged is refused.
#include "measure/profile_summary.h"
#include "measure/trace.h"
#include "support/file.h"
#include "support/json.h"
#include "support/scratch_directory.h"
#include "tests/measure/made_profile.h"

#include <set>

using namespace linnet;
using namespace linnet::measure;
using namespace linnet::testing;

namespace {

struct Folder {
  ScratchDirectory directory = std::move(*ScratchDirectory::create("linnet-trace-test"));
  std::string file(const std::string &name) const { return directory.path() + "/" + name; }
};

Trace madeTrace() { return {"model \"x\"\n.linnet", {2, 20e9, 100e9, 0.25}, madeProfile(), 0.5}; }

std::string failure(const std::string &path) {
  auto trace = readTrace(path);
  return trace ? "" : trace.error().message;
}

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a trace has what Perfetto needs") {
  Folder folder;
  REQUIRE(writeTrace(folder.file("t.json"), madeTrace()).ok());
  auto root = readJsonFile(folder.file("t.json"));
  REQUIRE(root.ok());
  std::set<std::string> tracks;
  int calls = 0, commands = 0;
  for (const Json &event : (*root)["traceEvents"]) {
    REQUIRE(event["pid"].is_number_integer());
    REQUIRE(event["tid"].is_number_integer());
    REQUIRE(event["name"].is_string());
    REQUIRE(event["args"].is_object());
    if (event["ph"] == "M") {
      tracks.insert(event["args"]["name"]);
      continue;
    }
    REQUIRE(event["ph"] == "X");
    REQUIRE(event["ts"].is_number());
    REQUIRE(event["dur"].is_number());
    (event["cat"] == "call" ? calls : commands) += 1;
  }
  CHECK(calls == 3);
  CHECK(commands == 6);
  CHECK(tracks.count("calls") == 1);
  CHECK(tracks.count("commands on an abacus") == 1);
  const Json &matmul = (*root)["traceEvents"][4];
  CHECK(matmul["ts"] == 0.02); // microseconds
  CHECK(matmul["dur"] == 4.0);
  CHECK(matmul["args"]["location"] == "h.0.attn");
  CHECK(matmul["args"]["GFLOP/s"] == Approx(2.0));
  CHECK(matmul["args"]["share_of_peak"] == Approx(0.02));
  CHECK(matmul["args"]["share_of_bandwidth"] == Approx(0.005));
}

TEST_CASE("what was written is read") {
  Folder folder;
  Trace trace = madeTrace();
  trace.profile.dropped_calls = 3;
  REQUIRE(writeTrace(folder.file("t.json"), trace).ok());
  auto found = readTrace(folder.file("t.json"));
  INFO(failure(folder.file("t.json")));
  REQUIRE(found.ok());
  CHECK(found->model == trace.model);
  CHECK(found->limits.threads == 2);
  CHECK(found->limits.disturbed == 0.25);
  CHECK(found->disturbed == 0.5);
  CHECK(found->limits.f32_flops_per_second == 100e9);
  CHECK(found->profile.device == "an abacus");
  CHECK(found->profile.dropped_calls == 3);
  REQUIRE(found->profile.events.size() == trace.profile.events.size());
  for (size_t i = 0; i < trace.profile.events.size(); ++i) {
    const ProfileEvent &a = found->profile.events[i], &b = trace.profile.events[i];
    CHECK(a.begin == b.begin - kStart);
    CHECK(a.end == b.end - kStart);
    CHECK(a.command == b.command);
    CHECK(a.call == b.call);
    CHECK(a.flops == b.flops);
    CHECK(a.bytes == b.bytes);
  }
  auto before = summarize(trace.profile), after = summarize(found->profile);
  REQUIRE(after.size() == before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    CHECK(after[i].wall == Approx(before[i].wall));
    CHECK(after[i].host == Approx(before[i].host));
    CHECK(after[i].tokens == before[i].tokens);
  }
}

TEST_CASE("an empty profile is a trace, too") {
  Folder folder;
  REQUIRE(writeTrace(folder.file("t.json"), {}).ok());
  auto found = readTrace(folder.file("t.json"));
  REQUIRE(found.ok());
  CHECK(found->profile.calls.empty());
}

TEST_CASE("what is no trace of ours, or a damaged one, is refused with the place") {
  Folder folder;
  std::string path = folder.file("t.json");
  auto says = [&](const std::string &text, const std::string &part) {
    REQUIRE(writeTextFile(path, text).ok());
    std::string message = failure(path);
    CAPTURE(text.substr(0, 200), message);
    CHECK(message.starts_with(path));
    CHECK(contains(message, part));
  };
  CHECK(contains(failure(folder.file("none.json")), "none.json"));
  says("", "malformed JSON");
  says("{\"traceEvents\": [", "malformed JSON");
  says("[]", "not a trace");
  says("{}", "not a trace");
  says("{\"traceEvents\": [], \"otherData\": {}}", "not a trace");
  says("{\"traceEvents\": [], \"otherData\": {\"producer\": \"somebody\"}}", "not a trace");
  REQUIRE(writeTrace(path, madeTrace()).ok());
  std::string good = *readTextFile(path);
  auto damaged = [&](const std::string &from, const std::string &to, const std::string &part) {
    size_t at = good.find(from);
    REQUIRE(at != std::string::npos);
    says(std::string(good).replace(at, from.size(), to), part);
  };
  damaged("\"ts\":0.02", "\"ts\":\"soon\"", "event 4: 'ts'");
  damaged("\"ts\":0.02", "\"ts\":1e300", "event 4: 'ts'");
  damaged("\"ts\":0.02", "\"ts\":9e14", "event 4: is out of time");
  damaged("\"dur\":4.0", "\"dur\":-4.0", "event 4: 'dur'");
  damaged("\"bytes\":400", "\"bytes\":-400", "event 4: 'bytes'");
  damaged("\"bytes\":400", "\"bytes\":18446744073709551615", "event 4: 'bytes'");
  damaged("\"flops\":8000", "\"flops\":1.5", "event 4: 'flops'");
  damaged("\"command\":1", "\"command\":7", "expected command 1, found 7");
  damaged("\"cat\":\"call\"", "\"cat\":\"other\"", "a command outside of a call");
  damaged("\"seq\":8", "\"seq\":null", "event 3: 'seq'");
  damaged("\"threads\":2", "\"threads\":-2", "'threads'");
  damaged("\"disturbed\":0.5", "\"disturbed\":\"much\"", "'disturbed'");
  CHECK(writeTrace(folder.file("no/such/t.json"), {}).error().message.find("t.json") != std::string::npos);
}
