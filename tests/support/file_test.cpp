#include "support/file.h"
#include "support/scratch_directory.h"
#include "tests/catch.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <vector>

using namespace linnet;

namespace {
std::vector<std::byte> noise(size_t bytes, unsigned seed) {
  std::vector<std::byte> data(bytes);
  std::mt19937 draw(seed);
  for (std::byte &byte : data) byte = static_cast<std::byte>(draw());
  return data;
}
} // namespace

TEST_CASE("a file appended in pieces of any size holds them in order") {
  auto folder = ScratchDirectory::create("linnet-file-test");
  REQUIRE(folder.ok());
  const std::string path = folder->path() + "/pieces";
  std::vector<std::byte> expected;
  auto file = AtomicFile::create(path);
  REQUIRE(file.ok());
  unsigned seed = 0;
  for (size_t bytes : {0u, 1u, 4095u, (2u << 20) - 4096u, (2u << 20) - 1u, 2u, 5u << 20, 2u << 20, 77u}) {
    auto piece = noise(bytes, ++seed);
    REQUIRE(file->write(piece).ok());
    expected.insert(expected.end(), piece.begin(), piece.end());
    CHECK(file->size() == expected.size());
  }
  // Over what was written long ago, and over what was appended a moment ago.
  for (size_t offset : {size_t(3), expected.size() - 50}) {
    auto piece = noise(40, ++seed);
    REQUIRE(file->writeAt(offset, piece).ok());
    std::copy(piece.begin(), piece.end(), expected.begin() + static_cast<ptrdiff_t>(offset));
  }
  auto last = noise(1000, ++seed);
  REQUIRE(file->write(last).ok());
  expected.insert(expected.end(), last.begin(), last.end());
  CHECK_FALSE(fileExists(path));
  REQUIRE(file->commit().ok());
  auto back = MappedFile::open(path);
  REQUIRE(back.ok());
  CHECK(std::vector<std::byte>(back->bytes().begin(), back->bytes().end()) == expected);
}

TEST_CASE("what was appended is compared with itself, and taken back") {
  auto folder = ScratchDirectory::create("linnet-file-test");
  REQUIRE(folder.ok());
  const std::string path = folder->path() + "/shortened";
  const auto piece = noise((3u << 20) + 5, 1), last = noise(100, 2);
  auto file = AtomicFile::create(path);
  REQUIRE(file.ok());
  REQUIRE(file->write(piece).ok());
  REQUIRE(file->write(piece).ok());
  REQUIRE(file->write(last).ok());
  CHECK(*file->repeats(0, piece.size(), piece.size()));
  CHECK_FALSE(*file->repeats(0, piece.size() + 1, piece.size()));
  CHECK_FALSE(*file->repeats(0, piece.size(), piece.size() + 1)); // the last byte of them
  REQUIRE(file->truncate(piece.size()).ok());
  CHECK(file->size() == piece.size());
  REQUIRE(file->write(last).ok());
  REQUIRE(file->commit().ok());
  auto expected = piece;
  expected.insert(expected.end(), last.begin(), last.end());
  auto back = MappedFile::open(path);
  REQUIRE(back.ok());
  CHECK(std::vector<std::byte>(back->bytes().begin(), back->bytes().end()) == expected);
}

TEST_CASE("a pipe is refused, not waited for") {
  auto folder = ScratchDirectory::create("linnet-file-test");
  REQUIRE(folder.ok());
  const std::string path = folder->path() + "/pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  auto file = MappedFile::open(path);
  REQUIRE_FALSE(file.ok());
  CHECK(file.error().message == path + ": expected a regular file");
}

TEST_CASE("a file that is not committed leaves nothing") {
  auto folder = ScratchDirectory::create("linnet-file-test");
  REQUIRE(folder.ok());
  const std::string path = folder->path() + "/nothing";
  {
    auto file = AtomicFile::create(path);
    REQUIRE(file.ok());
    REQUIRE(file->write(noise(3u << 20, 1)).ok());
  }
  CHECK(std::filesystem::is_empty(folder->path()));
}
