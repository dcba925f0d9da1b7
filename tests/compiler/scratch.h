// A temporary directory for a test case, and helpers of the compiler's tests.
#pragma once
#include "compiler/api.h"
#include "tests/catch.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdlib.h>
#include <string>

namespace linnet::testing {

class Scratch {
public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "linnet-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()));
    root = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  std::string file(const std::string &name) const { return root + "/" + name; }
  std::string write(const std::string &name, const std::string &contents) const {
    std::ofstream(file(name), std::ios::binary) << contents;
    return file(name);
  }
  /// Number of files in it, including hidden and temporary ones.
  size_t count() const {
    size_t n = 0;
    for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(root)) ++n;
    return n;
  }

private:
  std::string root;
};

inline std::string readAll(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

extern "C" const CompilerApi *linnet_compiler_api();
/// The table that the driver uses.
inline const CompilerApi &api() { return *linnet_compiler_api(); }

/// The error's message, or "no error".
inline std::string errorOf(const Result<CompileReport> &result) {
  return result ? "no error" : result.error().message;
}

} // namespace linnet::testing
