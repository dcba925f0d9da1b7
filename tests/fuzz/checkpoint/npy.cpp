// A .npy file, as the driver's --input reads it.
#include "npy.h"
#include "support/file.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string path = [] {
    std::string name = (std::filesystem::temp_directory_path() / "linnet-fuzz-npy-XXXXXX").string();
    int fd = mkstemp(name.data());
    if (fd < 0) abort();
    static std::string kept = name;
    std::atexit([] { std::remove(kept.c_str()); });
    return name;
  }();
  FILE *file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(data, 1, size, file) != size) abort();
  std::fclose(file);
  auto array = linnet::cli::readNpy(path);
  if (!array) return 0;
  uint64_t count = static_cast<uint64_t>(array->type[2] - '0'), sum = 0;
  for (int64_t d : array->shape) count *= static_cast<uint64_t>(d);
  if (count != array->data.size()) abort();
  for (std::byte b : array->data) sum += std::to_integer<uint64_t>(b);
  return sum == 1 && size == 0; // the sum is used, so the bytes are read
}
