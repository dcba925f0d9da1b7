// Variants that answer wrongly, do not compile, hang, lose the device or crash the process, made so on
// purpose (runtime/vulkan/device/fault.h): each is put aside, the poorer choice gives the right numbers, and
// the next start tries nothing. The validation layers say nothing.
#include "runtime/vulkan/device/device_file.h"
#include "runtime/vulkan/execute/abandoned.h"
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/vulkan/variants.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

/// The device with the layers on, an artifact, a separate cache folder and a fault.
struct Lab {
  explicit Lab(bool shared = false, const linnet::spirv::Words &fast = affine(), bool answers = true) {
    setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
    setenv("LINNET_VULKAN_TRIALS", "all", 1);
    writeVariants(directory / "a.linnet", shared, fast, answers);
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
  /// The output of `linnet devices` for the device.
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

} // namespace

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

TEST_CASE("without known answers the device's own last choice is the reference") {
  Lab lab(false, affine(), false);
  CHECK(lab.start() == Seen{{0, 0}, 2});
  std::filesystem::remove(lab.file("verdicts"));
  lab.fault("wrong:affine_fast");
  CHECK(lab.start() == Seen{{1, 0}, 3});
  std::filesystem::remove(lab.file("verdicts"));
  lab.fault("wrong:affine_plain"); // better choices are put aside, with nothing to tell who is right
  auto loaded = lab.load();
  CHECK(lab.listed().put_aside.size() == 2);
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
