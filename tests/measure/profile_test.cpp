// Profiles of compiled models: every command is there, in order, with its work; and nothing is left over.
#include "linnet/linnet.h"
#include "measure/profile_summary.h"
#include "runtime/artifact/artifact.h"
#include "tests/compiler/scratch.h"
#include "tests/folders.h"

#include <map>
#include <set>

using namespace linnet;
using namespace linnet::testing;

namespace {

/// The golden model `tiny` for both targets, and its prompt.
struct Compiled {
  Compiled() : path(scratch.file("tiny.linnet")) {
    CompileOptions options;
    options.input = golden("tiny");
    options.output = path;
    options.targets = {"cpu:native", "reference"};
    auto report = api().compile(options);
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    api().registerDevices();
  }
  Session open(const std::string &device, int threads = 2) {
    model.emplace(*Model::load(path, {.device = device, .threads = threads}));
    return std::move(*Session::open(*model));
  }
  /// Commands of entry @generate as the artifact lists them: op and location.
  std::vector<std::pair<std::string, std::string>> commands() const {
    Artifact artifact = std::move(*Artifact::open(path));
    std::vector<std::pair<std::string, std::string>> list;
    for (const fb::Entry *entry : *artifact.program("cpu")->entries())
      if (entry->name()->str() == "generate")
        for (const fb::Command *command : *entry->commands())
          list.emplace_back(command->op()->str(), command->location()->str());
    return list;
  }
  Scratch scratch;
  std::string path;
  std::optional<Model> model;
};

std::vector<TokenId> generate(Session &session, std::vector<TokenId> prompt, int64_t tokens) {
  GenerateOptions options;
  options.max_new_tokens = tokens;
  options.ignore_eos = true;
  auto results = session.generateBatch(std::span(&prompt, 1), options);
  REQUIRE(results.ok());
  return results->front().ids;
}

const std::vector<TokenId> kPrompt = {1, 2, 3, 4, 5, 6, 7, 8};

/// Every event of every call in its place and its time.
void checkOrder(const Profile &profile, size_t commands) {
  size_t next = 0;
  for (size_t c = 0; c < profile.calls.size(); ++c) {
    const ProfileCall &call = profile.calls[c];
    CHECK(call.events == commands);
    CHECK(call.first_event == next);
    next += call.events;
    if (c) CHECK(call.begin >= profile.calls[c - 1].end);
    int64_t last = call.begin;
    for (size_t i = 0; i < call.events; ++i) {
      const ProfileEvent &event = profile.events[call.first_event + i];
      CAPTURE(c, i);
      CHECK(event.call == c);
      CHECK(profile.commands[event.command].number == static_cast<int>(i));
      CHECK(event.begin >= last);
      CHECK(event.end >= event.begin);
      last = event.end;
    }
    CHECK(call.end >= last);
  }
  CHECK(profile.events.size() == next);
}

} // namespace

TEST_CASE("each command of each call is there, in order, with its work") {
  Compiled compiled;
  auto commands = compiled.commands();
  for (int threads : {1, 2, 5}) {
    Session session = compiled.open("cpu", threads);
    std::vector<TokenId> plain = generate(session, kPrompt, 5);
    auto profiler = std::make_shared<Profiler>();
    session.setProfiler(profiler);
    CHECK(generate(session, kPrompt, 5) == plain);
    const Profile &profile = profiler->profile();
    CHECK(profile.device == compiled.model->device());
    CHECK(profile.device_kind == DeviceKind::Processor);
    REQUIRE(profile.calls.size() == 5); // the prompt gives the first token
    CHECK(profile.calls[0].dim("seq") == 8);
    CHECK(profile.calls[1].dim("seq") == 1);
    checkOrder(profile, commands.size());
    for (const ProfileEvent &event : profile.events) {
      const ProfileCommand &command = profile.commands[event.command];
      CAPTURE(command.op, command.location, command.kernel);
      CHECK(command.entry == "generate");
      CHECK(command.op == commands[static_cast<size_t>(command.number)].first);
      CHECK(command.location == commands[static_cast<size_t>(command.number)].second);
      CHECK(!command.location.empty());
      CHECK(!command.kernel.empty());
      // After a prompt the host chooses the token, so the result of argmax is not needed.
      const bool wanted = command.op != "argmax" || event.call > 0;
      CHECK((event.bytes > 0) == wanted);
      CHECK(event.flops >= 0);
      if (command.op == "matmul" || command.op == "attention" || command.op == "layer_norm")
        CHECK(event.flops > 0);
    }
    session.setProfiler(nullptr);
    CHECK(generate(session, kPrompt, 5) == plain);
    CHECK(profiler->profile().calls.size() == 5);
  }
}

TEST_CASE("the work of attention grows with what the cache holds, a matmul's with the rows") {
  Compiled compiled;
  Session session = compiled.open("cpu");
  auto profiler = std::make_shared<Profiler>();
  session.setProfiler(profiler);
  generate(session, kPrompt, 4);
  const Profile &profile = profiler->profile();
  const ModelConfig &config = compiled.model->config();
  int64_t attentions = 0;
  for (const ProfileEvent &event : profile.events) {
    if (profile.commands[event.command].op != "attention") continue;
    int64_t seq = event.call == 0 ? 8 : 1, cached = 8 + event.call;
    CHECK(event.flops == 4 * seq * cached * config.n_embd);
    ++attentions;
  }
  CHECK(attentions == 4 * config.n_layer);
  std::map<int, int64_t> first, second;
  for (const ProfileEvent &event : profile.events) {
    const ProfileCommand &command = profile.commands[event.command];
    if (command.op == "matmul") (event.call == 0 ? first : second)[command.number] = event.flops;
  }
  REQUIRE(first.size() == second.size());
  REQUIRE(first.size() == static_cast<size_t>(4 * config.n_layer + 1));
  // After the last block's attention only the last position is read (linnet-hoist-pool): the
  // projection, the two of the MLP and the vocabulary's have one row.
  int place = 0;
  for (auto &[number, flops] : first) {
    CAPTURE(number);
    CHECK(flops == second[number] * (place++ < 4 * config.n_layer - 3 ? 8 : 1));
  }
  CHECK(first.rbegin()->second == 2 * config.n_embd * config.vocab_size);
}

TEST_CASE("sums over commands are part of the calls' time") {
  Compiled compiled;
  Session session = compiled.open("cpu");
  auto profiler = std::make_shared<Profiler>();
  session.setProfiler(profiler);
  generate(session, kPrompt, 6);
  auto phases = measure::summarize(profiler->profile());
  REQUIRE(phases.size() == 2);
  CHECK(phases[0].name == "prefill");
  CHECK(phases[1].name == "decode");
  CHECK(phases[1].tokens == 5);
  for (const auto &phase : phases) {
    CHECK(phase.commands > 0);
    CHECK(phase.between >= 0);
    CHECK(phase.host >= 0);
    double by_command = 0, by_op = 0;
    for (const auto &command : phase.by_command) by_command += command.work.seconds;
    for (const auto &op : phase.by_op) by_op += op.work.seconds;
    CHECK(by_command == Approx(phase.commands));
    CHECK(by_op == Approx(phase.commands));
  }
}

TEST_CASE("the interpreter tells its ops and their places") {
  Compiled compiled;
  Session session = compiled.open("reference");
  auto profiler = std::make_shared<Profiler>();
  session.setProfiler(profiler);
  generate(session, kPrompt, 3);
  const Profile &profile = profiler->profile();
  REQUIRE(profile.calls.size() == 3);
  REQUIRE(profile.calls[0].events > 10);
  checkOrder(profile, profile.calls[0].events);
  std::set<std::string> ops;
  for (const ProfileCommand &command : profile.commands) {
    CHECK(command.kernel == "interpreter");
    CHECK(!command.location.empty());
    ops.insert(command.op);
  }
  CHECK(ops.count("matmul") == 1);
  CHECK(ops.count("attention") == 1);
  CHECK(ops.count("param") == 0);
}
