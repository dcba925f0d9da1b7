// A run's directory appears when the run begins.
#include "support/file.h"
#include "support/json.h"
#include "tests/catch.h"
#include "training/run_directory.h"

#include <cstdlib>
#include <filesystem>

using namespace linnet;
using namespace linnet::training;

namespace {

const Json kConfig = {{"lr", 1}};

class Scratch {
public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "linnet-run-directory-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path = name;
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string path;
};

} // namespace

TEST_CASE("a run that does not begin leaves nothing") {
  Scratch scratch;
  const std::string run = scratch.path + "/parent/output/run";
  {
    auto made = RunDirectory::create(run, kConfig);
    REQUIRE(made.ok());
    CHECK(fileExists(made->file("config.json")));
    CHECK(!fileExists(run));
    std::filesystem::create_directory(made->file("start"));
    REQUIRE(writeTextFile(made->file("start/model.safetensors"), "x").ok());
    RunDirectory moved = std::move(*made);
    CHECK(fileExists(moved.file("start/model.safetensors")));
  }
  CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("a run that begins has its files under its name, and can be resumed") {
  Scratch scratch;
  const std::string output = scratch.path + "/output", run = output + "/run";
  // The files that a killed process left.
  std::filesystem::create_directories(output + "/run.tmp-0123456789abcdef/start");
  {
    auto made = RunDirectory::create(run, kConfig);
    REQUIRE(made.ok());
    CHECK(!fileExists(output + "/run.tmp-0123456789abcdef"));
    REQUIRE(made->begin().ok());
    CHECK(made->path() == run);
    REQUIRE(made->log({{"step", 1}, {"loss", 2.0}}).ok());
  }
  CHECK(std::distance(std::filesystem::directory_iterator(output), {}) == 1);
  CHECK(*readTextFile(run + "/log.jsonl") == "{\"step\":1,\"loss\":2.0}\n");
  CHECK_THAT(RunDirectory::create(run, kConfig).error().message,
             Catch::Matchers::Contains("--resume goes on with it"));
  REQUIRE(writeTextFile(run + "/best.safetensors.tmp-0123456789abcdef", "half").ok());
  auto again = RunDirectory::open(run, kConfig);
  REQUIRE(again.ok());
  REQUIRE(again->begin().ok());
  CHECK(!fileExists(run + "/best.safetensors.tmp-0123456789abcdef"));
  CHECK(again->path() == run);
}
