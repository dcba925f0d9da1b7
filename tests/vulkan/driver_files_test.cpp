// Driver files that are broken, and drivers without hardware: errors that say which file and why.
#include "runtime/vulkan/device/driver_files.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/runtime/fixtures.h"

#include <cstdlib>
#include <optional>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

/// A variable of the environment, as before when this ends.
class Variable {
public:
  Variable(const char *name, const std::string &value) : name(name) {
    if (const char *found = std::getenv(name)) before = found;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { before ? setenv(name, before->c_str(), 1) : unsetenv(name); }

private:
  const char *name;
  std::optional<std::string> before;
};

/// The error of opening a device with a loader that knows only `files`.
std::string errorWith(const std::string &files) {
  const Variable newer("VK_DRIVER_FILES", files), older("VK_ICD_FILENAMES", files);
  auto device = openDevice("vulkan");
  return device ? "" : device.error().message;
}

std::string entryOf(const std::string &library) {
  return R"({"file_format_version": "1.0.0", "ICD": {"library_path": ")" + library +
         R"(", "api_version": "1.3.0"}})";
}

} // namespace

TEST_CASE("a broken driver file is named, with what is wrong with it") {
  TemporaryDirectory directory;
  const std::string file = directory / "driver.json";
  auto error = [&](const std::string &text) {
    REQUIRE(writeTextFile(file, text).ok());
    return errorWith(file);
  };
  const std::string start = "Vulkan: cannot start: driver file " + file + ": ";
  CHECK(error("{ broken") == start + "expected JSON, found something else");
  CHECK(error("") == start + "expected JSON, found something else");
  CHECK(error("[]") == start + "expected ICD.library_path, found none");
  CHECK(error(R"({"ICD": {"library_path": 3}})") == start + "expected ICD.library_path, found none");
  CHECK(error(entryOf("libc.so.6")) == start + "libc.so.6 is not a Vulkan driver");
  CHECK(error(entryOf("./no-such-driver.so"))
            .starts_with(start + "its library cannot be opened: " + directory.path + "/./no-such-driver.so"));
  CHECK(
      errorWith(directory / "none.json").starts_with("Vulkan: cannot start: driver file " + directory.path));
}

TEST_CASE("a driver without hardware is not a driver that cannot start") {
  TemporaryDirectory directory;
  const std::string file = directory / "empty.json", broken = directory / "broken.json";
  REQUIRE(
      writeTextFile(file, entryOf(linnet::testing::buildFolder() + "/tests/vulkan_empty_driver.so")).ok());
  CHECK(driverFileFault(file) == "");
  const std::string says =
      "no Vulkan device: no driver finds hardware that it can use (drivers: " + file + ")";
  CHECK(errorWith(file) == says);
  auto listed = [&] {
    const Variable newer("VK_DRIVER_FILES", file), older("VK_ICD_FILENAMES", file);
    return listDevices();
  }();
  REQUIRE(!listed.ok());
  CHECK(listed.error().message == says);
  // One that is broken takes the others with it, or is passed over: newer loaders do so.
  REQUIRE(writeTextFile(broken, "{").ok());
  CHECK(errorWith(broken + ":" + file).find("driver file " + broken + ": expected JSON") !=
        std::string::npos);
}

TEST_CASE("driver files are those that the environment names, folders opened") {
  TemporaryDirectory directory;
  for (const char *name : {"/b.json", "/a.json", "/note.txt"})
    REQUIRE(writeTextFile(directory.path + name, "{}").ok());
  const std::vector<std::string> both = {directory / "a.json", directory / "b.json"};
  const Variable newer("VK_DRIVER_FILES", ":" + directory.path + "::/none.json");
  CHECK(driverFiles() == std::vector<std::string>{both[0], both[1], "/none.json"});
  const Variable added("VK_ADD_DRIVER_FILES", "/more.json");
  CHECK(driverFiles().back() == "/more.json");
}
