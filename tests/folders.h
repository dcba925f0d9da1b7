// Finds the folders of a test's inputs at run time. As macros, the folders of a clone would be part of every
// test's compilation, and the compiler cache would miss in other clones.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>

namespace linnet::testing {

/// The build folder. Tests are in its folder tests/.
inline std::string buildFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().string();
}
/// The source folder, which tests/CMakeLists.txt records in the build folder.
inline std::string sourceFolder() {
  std::ifstream file(buildFolder() + "/tests/source-folder");
  std::string line;
  std::getline(file, line);
  return line;
}
/// A checkpoint of tests/golden.
inline std::string golden(const std::string &name) { return sourceFolder() + "/tests/golden/" + name; }

} // namespace linnet::testing
