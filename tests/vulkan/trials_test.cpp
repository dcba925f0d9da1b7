// Checks the parts of trials of variants without a device: verdicts, marks, comparisons of answers, sizes.
#include "runtime/vulkan/device/device_file.h"
#include "runtime/vulkan/trial/answer.h"
#include "runtime/vulkan/trial/plan.h"
#include "runtime/vulkan/trial/verdicts.h"
#include "tests/vulkan/variants.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

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
  std::optional<TrialPlan> trial(uint32_t choice) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::Dispatch::Pack(builder, &dispatch));
    Place place = [](const fb::Ref &r) {
      return Range{static_cast<uint32_t>(r.space()), r.offset(), r.size()};
    };
    return planTrial({Inventory(), program(), place}, entry(),
                     *flatbuffers::GetRoot<fb::Dispatch>(builder.GetBufferPointer()), choice);
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

  // Marks that the host computes: words with a known property, or words that one step has written.
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
