// Helpers of the tokenizer's tests.
#pragma once
#include "tests/catch.h"
#include "tests/folders.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/train.h"
#include <filesystem>

namespace test {

/// The value of a Result or optional, or a failed test that shows the error.
template <class T> T take(linnet::Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
template <class T> T take(std::optional<T> value) {
  if (!value) FAIL("expected a value, found nothing");
  return std::move(*value);
}

inline std::vector<linnet::TokenId> ids(const linnet::Tokenizer &t, std::string_view text,
                                        const linnet::EncodeOptions &options = {}) {
  return take(t.encode(text, options)).ids;
}

inline linnet::AddedToken added(std::string content, linnet::TokenId id, bool special = true) {
  linnet::AddedToken token;
  token.content = std::move(content);
  token.id = id;
  token.special = special;
  return token;
}

/// The folder of the tests' npm packages, in the build folder.
inline std::string npmFolder() { return linnet::testing::buildFolder() + "/tests/tokenizer/npm"; }
/// Creates an empty folder for the test.
inline std::string emptyDirectory(const std::string &name) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").filename();
  std::filesystem::path path =
      linnet::testing::buildFolder() + "/tests/tokenizer/tmp/" + program + "/" + name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

std::string hex(std::string_view bytes);
std::string list(const std::vector<linnet::TokenId> &ids);
/// UTF-8 by a slow reference decoder: whether text is well-formed, and replacement of each maximal ill-formed
/// subpart by U+FFFD.
bool isUtf8(std::string_view bytes);
std::string replaced(std::string_view bytes);

/// A small vocabulary learned from the sentences in common.cpp; "<|endoftext|>" is id 0.
const linnet::Tokenizer &small();

/// xorshift: the same numbers everywhere.
struct Random {
  uint64_t state = 88172645463325252u;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
  size_t below(size_t n) { return next() % n; }
};

} // namespace test
