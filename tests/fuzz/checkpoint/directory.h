// A temporary directory for targets whose loader opens several files, and the cutting of an input into files.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace fuzz {

/// In memory if possible. Removed when the process ends.
inline std::string makeDirectory() {
  std::filesystem::path base =
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string name = (base / "linnet-fuzz-XXXXXX").string();
  if (!mkdtemp(name.data())) abort();
  static std::string kept = name;
  std::atexit([] { std::filesystem::remove_all(kept); });
  return name;
}

inline void put(const std::string &path, std::string_view text) {
  FILE *file = std::fopen(path.c_str(), "wb"); // in place: AtomicFile's fsync would take most of the time
  if (!file || std::fwrite(text.data(), 1, text.size(), file) != text.size()) abort();
  std::fclose(file);
}

/// Removes a length (u16) and that many bytes from the beginning of `rest` and returns the bytes.
inline std::string_view takePiece(std::string_view &rest) {
  if (rest.size() < 2) return std::exchange(rest, {});
  size_t length = static_cast<uint8_t>(rest[0]) | static_cast<size_t>(static_cast<uint8_t>(rest[1])) << 8;
  rest.remove_prefix(2);
  std::string_view found = rest.substr(0, length);
  rest.remove_prefix(found.size());
  return found;
}

} // namespace fuzz
