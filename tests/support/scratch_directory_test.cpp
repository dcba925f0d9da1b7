// Directories that go with their owner, or when a signal comes.
#include "support/file.h"
#include "support/scratch_directory.h"
#include "tests/catch.h"

#include <cstdlib>
#include <optional>

using namespace linnet;

namespace {
std::optional<ScratchDirectory> open() {
  auto made = ScratchDirectory::create("linnet-scratch-test");
  REQUIRE(made.ok());
  std::optional<ScratchDirectory> directory(std::move(*made));
  REQUIRE(isDirectory(directory->path()));
  REQUIRE(writeTextFile(directory->path() + "/a", "some text").ok());
  REQUIRE(writeTextFile(directory->path() + "/.hidden", "more").ok());
  return directory;
}
} // namespace

TEST_CASE("a scratch directory goes with its owner, and what is in it") {
  auto directory = open();
  std::string path = directory->path();
  directory.reset();
  CHECK(!fileExists(path));
}

TEST_CASE("the handler of a signal removes the directories of the living, and no others") {
  auto first = open(), second = open(), moved = open();
  std::string kept = second->path();
  keepOnInterrupt(kept);
  ScratchDirectory owner = std::move(*moved);
  removeUnfinishedDirectories();
  CHECK(!fileExists(first->path()));
  CHECK(!fileExists(owner.path()));
  CHECK(isDirectory(kept));
}

TEST_CASE("a place where no directory can be made is an error that names it") {
  const char *before = std::getenv("TMPDIR");
  std::string old = before ? before : "";
  setenv("TMPDIR", "/nonexistent/place", 1);
  auto made = ScratchDirectory::create("x");
  if (before)
    setenv("TMPDIR", old.c_str(), 1);
  else
    unsetenv("TMPDIR");
  REQUIRE(!made.ok());
  CHECK(made.error().message.starts_with("/nonexistent/place/x-"));
  CHECK(made.error().message.find("No such file or directory") != std::string::npos);
}
