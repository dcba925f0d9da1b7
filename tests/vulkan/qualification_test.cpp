// Variants that answer wrongly, do not compile, hang, lose the device or crash the process, made so on
// purpose (runtime/vulkan/fault.h): each is put aside, the poorer choice gives the right numbers, and the
// next start tries nothing. The validation layers say nothing.
#include "runtime/vulkan/abandoned.h"
#include "runtime/vulkan/device_file.h"
#include "runtime/vulkan/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/vulkan/toy_artifact.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

// counter[0] += x[0]; y[0] = counter[0], to be sure that trials leave states as they were.
linnet::spirv::Words sum() {
  Builder b({.name = "main", .local_size = {64, 1, 1}, .n_buffers = 3, .n_push = 1});
  auto zero = b.constant(0u);
  b.ifThen(b.eq(b.globalId(0), zero), [&] {
    auto next = b.add(b.load(1, zero, Builder::f32()), b.load(0, zero, Builder::f32()));
    b.store(1, zero, next);
    b.store(2, zero, next);
  });
  return b.finish();
}

void addDispatch(fb::EntryT &entry, fb::DispatchT dispatch, std::vector<fb::Access> access,
                 const std::vector<uint32_t> &shaders, std::vector<uint32_t> results) {
  for (uint32_t s : shaders) dispatch.choices.push_back(choice("c", step(s, access, symbol(0, 8))));
  fixtures::addDispatch(entry, std::move(dispatch), std::move(results));
}

// Entry main: x [batch, 8] -> y = 2 x + w, total = the sum of x[0] over all runs.
// With `shared`, affine_middle is also all that another dispatch has.
void writeVariants(const std::string &path, bool shared = false,
                   const linnet::spirv::Words &fast = affine()) {
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
  std::vector<float> values(512);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 4;
  program->weights.push_back(weightOf(writer, values));
  addCounter(*program);
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {64};
  entry->arena_bytes = 2048;
  entry->io_bytes = 4352;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(8)), 0, 2048));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(8)), 2048, 2048));
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
  finish(writer, std::move(program));
}

/// The device with the layers on, an artifact, a cache folder of its own and a fault.
struct Lab {
  explicit Lab(bool shared = false, const linnet::spirv::Words &fast = affine()) {
    setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
    setenv("LINNET_VULKAN_TRIALS", "all", 1);
    writeVariants(directory / "a.linnet", shared, fast);
    artifact.emplace(opened(directory / "a.linnet"));
  }
  ~Lab() {
    fault("");
    CHECK(reclaimAbandoned(10) == 0);
    for (const std::string &message : messages.list) FAIL_CHECK(message);
  }
  void fault(const std::string &text) { setenv("LINNET_VULKAN_FAULT", text.c_str(), 1); }

  /// Loads, runs twice, checks the numbers; returns which choices were taken and how much was tried.
  struct Seen {
    std::vector<uint32_t> choices;
    uint32_t trials = 0;
    bool operator==(const Seen &) const = default;
  };
  Seen start() {
    std::unique_ptr<Executable> loaded = load();
    auto &executable = static_cast<VulkanExecutable &>(*loaded);
    for (float run : {1.0f, 2.0f}) {
      std::vector<float> x(40, run);
      std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
      REQUIRE(executable.run(0, std::vector<int64_t>{5}, in, {}).ok());
      for (size_t i = 0; i < x.size(); ++i) x[i] = 2 * run + static_cast<float>(i) / 4;
      CHECK(floats(executable, 0) == x);
      CHECK(floats(executable, 1) == std::vector<float>{run == 1 ? 1.0f : 3.0f});
    }
    return {executable.lastRecording().choices, executable.trials()};
  }
  std::unique_ptr<Executable> load() { return loaded(*artifact); }
  /// What `linnet devices` tells of the device.
  ListedDevice listed() const {
    auto list = listDevices();
    REQUIRE(list.ok());
    for (const ListedDevice &device : *list)
      if (device.chosen) return device;
    FAIL("no device");
    return {};
  }
  std::string file(const std::string &kind) const { return DeviceFile::path(listed().inventory, kind); }

  TemporaryDirectory directory;
  Messages messages;
  std::optional<Artifact> artifact;
};

using Seen = Lab::Seen;

bool isMapped(const std::string &path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(path) != std::string::npos) return true;
  return false;
}

/// A process that notes what it tries, and dies of it.
void dieTrying(const Inventory &inventory, const TrialMark &mark) {
  const pid_t child = fork();
  if (child == 0) {
    auto lock = TrialLock::take(inventory, std::chrono::milliseconds(0));
    _exit(lock && *lock && (*lock)->mark(mark).ok() ? 0 : 1);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

Inventory someInventory() {
  Inventory inventory;
  inventory.vendor = 7, inventory.device = 8, inventory.driver_version = 9;
  return inventory;
}

/// Trials of the first command of an artifact with variants, as `dispatch` is changed to be.
struct Planned {
  Planned() {
    writeVariants(directory / "a.linnet");
    artifact.emplace(opened(directory / "a.linnet"));
    entry().commands()->Get(0)->body_as_Dispatch()->UnPackTo(&dispatch);
  }
  const fb::Program &program() const { return *artifact->program("vulkan"); }
  const fb::Entry &entry() const { return *program().entries()->Get(0); }
  std::optional<TrialPlan> trial(uint32_t choice, uint32_t poorest = ~0u) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::Dispatch::Pack(builder, &dispatch));
    Place place = [](const fb::Ref &r) {
      return Range{static_cast<uint32_t>(r.space()), r.offset(), r.size()};
    };
    return planTrial(Inventory(), program(), entry(),
                     *flatbuffers::GetRoot<fb::Dispatch>(builder.GetBufferPointer()), choice, place, {},
                     poorest);
  }

  TemporaryDirectory directory;
  std::optional<Artifact> artifact;
  fb::DispatchT dispatch;
};

} // namespace

TEST_CASE("verdicts are what was written, or nothing") {
  Verdicts verdicts;
  verdicts.add({{1, "a"}, Verdict::ok, ""});
  verdicts.add({{~uint64_t(0), "b \"quoted\""}, Verdict::wrong, "off by 0.5"});
  auto again = Verdicts::parse(verdicts.text());
  REQUIRE(again.ok());
  CHECK(again->all() == verdicts.all());
  for (const char *bad : {"", "{}", "[1]", "[{}]", R"([{"shader": "a", "hash": "xyz", "verdict": "ok"}])",
                          R"([{"shader": "a", "hash": "12", "verdict": "fine"}])",
                          R"([{"shader": 1, "hash": "12", "verdict": "ok"}])"}) {
    CAPTURE(bad);
    CHECK(!Verdicts::parse(bad).ok());
  }
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  Inventory inventory = someInventory();
  REQUIRE(verdicts.save(inventory).ok());
  CHECK(Verdicts::read(inventory).all().size() == 2);
  Inventory newer = inventory;
  newer.driver_version = 10;
  CHECK(Verdicts::read(newer).all().empty());
  for (std::string Inventory::*words : {&Inventory::driver, &Inventory::name}) { // what tells Mesa's apart
    Inventory other = inventory;
    other.*words = "llvmpipe (LLVM 19.1.7, 512 bits)";
    CHECK(Verdicts::read(other).all().empty());
    REQUIRE(Verdicts().save(other).ok());
    CHECK(Verdicts::read(inventory).all().size() == 2);
  }
  std::fstream file(DeviceFile::path(inventory, "verdicts"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('x');
  file.close();
  CHECK(Verdicts::read(inventory).all().empty());
}

TEST_CASE("the mark of a process that died is found, of one that lives waited for") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  const Inventory inventory = someInventory();
  const TrialMark mark{true, {{0x123, "one"}, {~uint64_t(0), "the other"}}};
  using std::chrono::milliseconds;
  {
    auto lock = TrialLock::take(inventory, milliseconds(0));
    REQUIRE((lock && *lock));
    CHECK((*lock)->left == TrialMark());
    auto second = TrialLock::take(inventory, milliseconds(30));
    REQUIRE(second.ok());
    CHECK(!*second);
    REQUIRE((*lock)->mark(mark).ok());
    (*lock)->clear();
  }
  CHECK((*TrialLock::take(inventory, milliseconds(0)))->left == TrialMark());
  dieTrying(inventory, mark);
  CHECK((*TrialLock::take(inventory, milliseconds(0)))->left == mark);
  const std::string path = DeviceFile::path(inventory, "trying");
  for (const char *bad :
       {"alone\n", "alone\n0123 short\nend\n", "neither\nend\n", "together\n0000000000000123 x\n"}) {
    std::ofstream(path) << bad;
    CHECK((*TrialLock::take(inventory, milliseconds(0)))->left == TrialMark());
  }
  std::filesystem::remove_all(directory / "cache");
  std::ofstream(directory / "cache") << "a file, no folder";
  CHECK(!TrialLock::take(inventory, milliseconds(0)).ok());
}

TEST_CASE("answers differ by more than the tolerance, or they do not") {
  flatbuffers::FlatBufferBuilder builder;
  auto differs = [&](fb::DType type, auto expected, auto found, std::vector<Mark> marks = {}, Mark only = 0) {
    fb::DispatchT dispatch;
    dispatch.args.push_back(ref(fb::Space::output, 0, 0, 256));
    dispatch.types = {type};
    dispatch.results = {0};
    builder.Clear();
    builder.Finish(fb::Dispatch::Pack(builder, &dispatch));
    auto bytes = [](const auto &values) {
      auto span = std::as_bytes(std::span(values));
      return Answer{{0, {span.begin(), span.end()}, {}}};
    };
    Answer answer = bytes(expected);
    answer[0].marks = std::move(marks);
    return difference(*flatbuffers::GetRoot<fb::Dispatch>(builder.GetBufferPointer()), 1e-4, answer,
                      bytes(found), only);
  };
  using Floats = std::vector<float>;
  using Halves = std::vector<uint16_t>;
  using Integers = std::vector<int32_t>;
  CHECK(differs(fb::DType::f32, Floats{10, 1}, Floats{10, 1.0005f}) == "");
  CHECK(differs(fb::DType::f32, Floats{10, 1}, Floats{10, 1.5f}) ==
        "off by 0.05 of the largest number, 0.0001 allowed");
  CHECK(differs(fb::DType::f32, Floats{NAN, 1}, Floats{NAN, 1}) == "");
  CHECK(differs(fb::DType::f32, Floats{NAN, 1}, Floats{3, 1}) == "a number where none is finite");
  CHECK(differs(fb::DType::f32, Floats{NAN, NAN}, Floats{NAN, NAN}) == "no finite number to compare with");
  CHECK(differs(fb::DType::f32, Floats{1, 1}, Floats{NAN, 1}) == "a number that is not finite");
  CHECK(differs(fb::DType::f16, Halves{0x3c00}, Halves{0x3c01}) == "");
  CHECK(differs(fb::DType::f16, Halves{0x3c00}, Halves{0x3c04}) != "");
  CHECK(differs(fb::DType::bf16, Halves{0x3f80}, Halves{0x3f81}) == "");
  CHECK(differs(fb::DType::bf16, Halves{0x3f80}, Halves{0xbf80}) != "");
  CHECK(differs(fb::DType::i32, Integers{1000000, 5}, Integers{1000000, 6}) == "an integer is off by 1");

  // What the host has worked out: words of which something is known, or that one step has written.
  const std::vector<Mark> marks = {kFirstStep, kFirstStep + 1, kFilled, kUnknown};
  CHECK(differs(fb::DType::f32, Floats{1, 2, 3, 4}, Floats{1, 2, 9, 9}, marks) == "");
  CHECK(differs(fb::DType::f32, Floats{1, 2, 3, 4}, Floats{1, 9, 3, 4}, marks) != "");
  CHECK(differs(fb::DType::f32, Floats{1, 2, 3, 4}, Floats{1, 9, 3, 4}, marks, kFirstStep) == "");
  CHECK(differs(fb::DType::f32, Floats{1, 2, 3, 4}, Floats{1, 9, 3, 4}, marks, kFirstStep + 1) != "");
  CHECK(differs(fb::DType::f32, Floats{NAN, 2, 3, 4}, Floats{5, 2, 3, 4}, marks) == "");
  CHECK(differs(fb::DType::f32, Floats{NAN, NAN, 3, 4}, Floats{5, 2, 3, 4}, marks) == "");
  CHECK(differs(fb::DType::bf16, Halves{0x3f80, 0x3f80, 1, 1}, Halves{0x3f80, 0x3f80, 9, 9},
                {kFirstStep, kUnknown}) == "");
  CHECK(differs(fb::DType::bf16, Halves{0x3f80, 0x3f80, 1, 1}, Halves{0x3f80, 0xbf80, 1, 1},
                {kFirstStep, kUnknown}) != "");
}

TEST_CASE("a token behind products of a larger tolerance is as good as the best but for that") {
  fb::DispatchT dispatch; // two rows of four numbers, and the best of each
  dispatch.args.push_back(ref(fb::Space::output, 0, 0, 8));
  dispatch.args.push_back(ref(fb::Space::output, 1, 0, 32));
  dispatch.types = {fb::DType::i32, fb::DType::f32};
  dispatch.results = {0, 1};
  std::vector<float> logits = {1, 9.99f, 10, -20, 5, 3, 5, 5};
  auto bytes = [](const auto &values) {
    auto span = std::as_bytes(std::span(values));
    return std::vector<std::byte>(span.begin(), span.end());
  };
  auto differs = [&](std::vector<int32_t> tokens, float tolerance) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::Dispatch::Pack(builder, &dispatch));
    return difference(*flatbuffers::GetRoot<fb::Dispatch>(builder.GetBufferPointer()), tolerance,
                      {{0, bytes(std::vector<int32_t>{2, 0}), {}}, {1, bytes(logits), {}}},
                      {{0, bytes(tokens), {}}, {1, bytes(logits), {}}});
  };
  CHECK(differs({2, 0}, 2e-3f) == "");
  CHECK(differs({1, 0}, 2e-3f) == ""); // 0.01 less, 0.08 allowed
  CHECK(differs({2, 3}, 2e-3f) == "");
  CHECK(differs({1, 0}, 1e-4f) == "an integer is off by 1");
  CHECK(differs({0, 0}, 2e-3f) == "token 0 where 2 is the best by 0.45 of the largest number");
  CHECK(differs({2, 1}, 2e-3f) == "token 1 where 0 is the best by 0.4 of the largest number");
  CHECK(differs({4, 0}, 2e-3f) == "token 4 of 4");
  CHECK(differs({-1, 0}, 2e-3f) == "token -1 of 4");
  logits[0] = NAN;
  CHECK(differs({0, 0}, 2e-3f) == ""); // nothing is known of it
  dispatch.types[1] = fb::DType::i32, logits[0] = 1;
  CHECK(differs({0, 0}, 2e-3f) == "");
}

TEST_CASE("sizes of a trial are small, and those that the choice is for") {
  Planned planned;
  fb::DispatchT &dispatch = planned.dispatch;
  auto ranged = [&](int64_t least, int64_t most) {
    dispatch.choices[0]->amount = symbol(0);
    dispatch.choices[0]->least = least, dispatch.choices[0]->most = most;
    auto plan = planned.trial(0);
    if (plan) CHECK((plan->candidate.choice == 0 && plan->reference.choice == 2));
    for (uint32_t poorest = 0; plan && poorest < 2; ++poorest) {
      auto better = planned.trial(0, poorest);
      REQUIRE(better);
      CHECK((better->reference.choice == poorest && better->symbols == plan->symbols));
    }
    return plan ? plan->symbols : std::vector<int64_t>();
  };
  CHECK(ranged(0, 1000) == std::vector<int64_t>{2});
  CHECK(ranged(0, 1) == std::vector<int64_t>{1});
  CHECK(ranged(16, 1000) == std::vector<int64_t>{17});
  CHECK(ranged(16, 16) == std::vector<int64_t>{16});
  CHECK(ranged(64, 1000) == std::vector<int64_t>{64});
  CHECK(ranged(65, 1000).empty());
}

TEST_CASE("sizes of a trial reach what is left to a choice between two others") {
  Planned planned;
  fb::DispatchT &dispatch = planned.dispatch;
  for (auto &choice : dispatch.choices) choice->amount = symbol(0);
  auto triedAt = [&](int64_t most_before, int64_t least, int64_t most) {
    dispatch.choices[0]->most = most_before;
    dispatch.choices[1]->least = least, dispatch.choices[1]->most = most;
    auto plan = planned.trial(1);
    return plan ? plan->symbols : std::vector<int64_t>();
  };
  CHECK(triedAt(7, 0, 1000) == std::vector<int64_t>{8});
  CHECK(triedAt(7, 4, 8) == std::vector<int64_t>{8});
  CHECK(triedAt(8, 4, 8).empty());
  CHECK(triedAt(std::numeric_limits<int64_t>::max(), 0, 1000).empty());
}

TEST_CASE("right variants are used, and tried once") {
  Lab lab;
  CHECK(lab.start() == Seen{{0, 0}, 2});
  CHECK(lab.start() == Seen{{0, 0}, 0});
  CHECK(lab.listed().tried == 2);
  CHECK(lab.listed().put_aside.empty());
  std::ofstream(lab.file("verdicts"), std::ios::binary) << "damaged";
  CHECK(lab.listed().tried == 0);
  CHECK(lab.start() == Seen{{0, 0}, 2});
  CHECK(lab.start() == Seen{{0, 0}, 0});
}

TEST_CASE("a variant with a fault is put aside, shown, and not tried again") {
  struct Case {
    const char *fault;
    Verdict verdict;
    const char *detail;
  };
  const Case one =
      GENERATE(Case{"wrong", Verdict::wrong, "of the largest number, 0.0001 allowed"},
               Case{"refused", Verdict::refused, "cannot compile shader 'affine_fast'"},
               Case{"hangs", Verdict::hangs, "no answer in 0 seconds"}, Case{"loses", Verdict::loses, ""});
  CAPTURE(one.fault);
  Lab lab;
  lab.fault(std::string(one.fault) + ":affine_fast");
  CHECK(lab.start() == Seen{{1, 0}, 3});
  CHECK(lab.start() == Seen{{1, 0}, 0});
  const ListedDevice device = lab.listed();
  REQUIRE(device.put_aside.size() == 1);
  CHECK(device.put_aside[0].variant.shader == "affine_fast");
  CHECK(device.put_aside[0].verdict == one.verdict);
  CHECK(device.put_aside[0].detail.find(one.detail) != std::string::npos);
  lab.fault("");
  CHECK(lab.start() == Seen{{1, 0}, 0}); // until the file is gone
  std::filesystem::remove(lab.file("verdicts"));
  CHECK(lab.start() == Seen{{0, 0}, 2});
}

TEST_CASE("what there is no time to try is not used, until a later start has tried it") {
  Lab lab;
  lab.fault("wrong:affine_fast");
  setenv("LINNET_VULKAN_TRIALS", "0", 1);
  CHECK(lab.start() == Seen{{2, 1}, 2}); // last choices, for which there is always time
  CHECK(lab.start() == Seen{{2, 1}, 0});
  CHECK(lab.listed().tried == 2);
  setenv("LINNET_VULKAN_TRIALS", "100", 1);
  CHECK(lab.start() == Seen{{1, 0}, 3});
  setenv("LINNET_VULKAN_TRIALS", "0", 1);
  CHECK(lab.start() == Seen{{1, 0}, 0});
}

TEST_CASE("what another process is busy trying is not used") {
  Lab lab;
  auto lock = TrialLock::take(lab.listed().inventory, std::chrono::milliseconds(0));
  REQUIRE((lock && *lock));
  CHECK(lab.start() == Seen{{2, 1}, 2});
}

TEST_CASE("pipes in the place of remembered files stop no start") {
  Lab lab;
  const std::string files[] = {lab.file("verdicts"), lab.file("pipelines"), lab.file("trying")};
  std::filesystem::create_directories(std::filesystem::path(files[0]).parent_path());
  for (const std::string &file : files) REQUIRE(mkfifo(file.c_str(), 0600) == 0);
  lab.fault("wrong:affine_fast");
  CHECK(lab.start() == Seen{{1, 0}, 3});
  CHECK(!TrialLock::take(lab.listed().inventory, std::chrono::milliseconds(0)).ok());
  std::filesystem::remove(files[2]);
  CHECK(lab.start() == Seen{{1, 0}, 3});
  CHECK(lab.start() == Seen{{1, 0}, 0}); // the file of verdicts has taken the pipe's place
}

TEST_CASE("a wrong LINNET_VULKAN_TRIALS is an error") {
  Lab lab;
  for (const char *bad : {"some", "-1", "1s", "nan"}) {
    setenv("LINNET_VULKAN_TRIALS", bad, 1);
    auto device = openDevice("vulkan");
    REQUIRE(device.ok());
    auto loaded = (*device)->load(*lab.artifact, *lab.artifact->program("vulkan"), {});
    REQUIRE(!loaded.ok());
    CHECK(loaded.error().message.find("expected 'off', 'all' or a number of seconds, found '" +
                                      std::string(bad) + "'") != std::string::npos);
  }
}

TEST_CASE("a last choice that answers wrongly is not what others are judged by") {
  Lab lab;
  lab.fault("wrong:affine_plain,wrong:sum_plain");
  CHECK(lab.start() == Seen{{0, 0}, 2});
  CHECK(lab.listed().put_aside.empty()); // they were not needed
}

TEST_CASE("where the last choice fails, too, there is an error, at this start and the next") {
  Lab lab;
  lab.fault("wrong:affine");
  for (int start = 0; start < 2; ++start) {
    auto loaded = lab.load();
    CHECK(static_cast<VulkanExecutable &>(*loaded).trials() == (start ? 0 : 4));
    const std::vector<float> x(40);
    const std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
    auto run = loaded->run(0, std::vector<int64_t>{5}, in, {});
    REQUIRE(!run.ok());
    const std::string &message = run.error().message;
    INFO(message);
    CHECK(message.find("the device " + lab.listed().inventory.name +
                       " cannot do it: shader 'affine_plain' was put aside: wrong answer, off by ") !=
          std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(lab.listed().put_aside.size() == 3);
}

TEST_CASE("a shader that is one dispatch's last choice may fail and others go on") {
  Lab lab(true);
  lab.fault("refused:affine_fast");
  CHECK(lab.start() == Seen{{1, 0, 0}, 3});
  lab.fault("hangs:affine_middle");
  std::filesystem::remove(lab.file("verdicts"));
  auto loaded = lab.load(); // it was tried for the dispatch that has no other
  CHECK(static_cast<VulkanExecutable &>(*loaded).trials() == 3);
  REQUIRE(lab.listed().put_aside.size() == 1);
  CHECK(lab.listed().put_aside[0].verdict == Verdict::hangs);
}

TEST_CASE("a driver on which nothing ends is of no use, and not waited for again and again") {
  Lab lab(true);
  lab.fault("hangs:affine,hangs:sum");
  for (int start = 0; start < 2; ++start) {
    auto device = openDevice("vulkan");
    REQUIRE(device.ok());
    auto loaded = (*device)->load(*lab.artifact, *lab.artifact->program("vulkan"), {});
    REQUIRE(!loaded.ok());
    INFO(loaded.error().message);
    CHECK(loaded.error().message.find("is of no use: 3 kernel variants hang") != std::string::npos);
  }
}

TEST_CASE("a driver that hangs may go on reading weights when their file is closed") {
  Lab lab(false, slow(3));
  lab.fault("hangs:affine_fast");
  std::unique_ptr<Executable> executable = lab.load();
  const bool shares = static_cast<VulkanExecutable &>(*executable).sharesWeights();
  if (lab.listed().inventory.name.find("llvmpipe") == 0) CHECK(shares);
  executable.reset();
  lab.artifact.reset();
  CHECK(isMapped(lab.directory / "a.linnet") == shares); // by the work that was abandoned
  CHECK(reclaimAbandoned(60) == 0);
  CHECK(!isMapped(lab.directory / "a.linnet"));
}

TEST_CASE("every variant may be put aside, but for the last choice") {
  Lab lab;
  lab.fault("hangs:affine_fast,wrong:sum_fast");
  CHECK(lab.start() == Seen{{1, 1}, 4});
  CHECK(lab.start() == Seen{{1, 1}, 0});
  CHECK(lab.listed().put_aside.size() == 2);
}

TEST_CASE("a driver that has hung twice is not tried further") {
  Lab lab;
  lab.fault("hangs:affine_fast,loses:affine_middle");
  CHECK(lab.start() == Seen{{2, 1}, 4});
  CHECK(lab.start() == Seen{{2, 1}, 0});
  const std::vector<Tried> aside = lab.listed().put_aside;
  REQUIRE(aside.size() == 3);
  for (const Tried &tried : aside)
    CHECK((tried.verdict == Verdict::untried) == (tried.variant.shader == "sum_fast"));
}

TEST_CASE("what a process died of alone is put aside, what it died of together is tried alone") {
  Lab lab;
  CHECK(lab.start() == Seen{{0, 0}, 2});
  const Inventory inventory = lab.listed().inventory;
  const Verdicts verdicts = Verdicts::read(inventory);
  std::vector<Variant> variants;
  for (const auto &[hash, tried] : verdicts.all()) variants.push_back(tried.variant);
  REQUIRE(variants.size() == 2);
  std::filesystem::remove(lab.file("verdicts"));
  dieTrying(inventory, {false, variants});
  CHECK(lab.start() == Seen{{0, 0}, 2});
  std::filesystem::remove(lab.file("verdicts"));
  dieTrying(inventory, {true, {variants[0]}});
  const bool affine = variants[0].shader == "affine_fast";
  CHECK(lab.start() == Seen{{affine, !affine}, affine ? 2u : 1u});
  const ListedDevice device = lab.listed();
  REQUIRE(device.put_aside.size() == 1);
  CHECK(device.put_aside[0].verdict == Verdict::crashes);
  CHECK(lab.start() == Seen{{affine, !affine}, 0});
}

TEST_CASE(
    "with trials off nothing is tried and nothing put aside; without a cache folder nothing remembered") {
  Lab lab;
  lab.fault("wrong:affine_fast");
  CHECK(lab.start() == Seen{{1, 0}, 3});
  lab.fault("");
  setenv("LINNET_VULKAN_TRIALS", "off", 1);
  CHECK(lab.start() == Seen{{0, 0}, 0});
  setenv("LINNET_VULKAN_TRIALS", "all", 1);
  lab.fault("wrong:affine_fast");
  std::ofstream(lab.directory / "file") << "no folder";
  setenv("LINNET_CACHE_DIR", (lab.directory / "file").c_str(), 1);
  CHECK(lab.start() == Seen{{1, 0}, 3});
  CHECK(lab.start() == Seen{{1, 0}, 3});
}
