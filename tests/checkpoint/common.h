// A temporary directory, and helpers that write broken files into it.
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/folders.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace linnet::testing {

/// A temporary directory. The destructor removes it with its contents.
struct Scratch {
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "linnet-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string file(const std::string &name) const { return path + "/" + name; }
  std::string write(const std::string &name, std::string_view text) const {
    REQUIRE(writeTextFile(file(name), text));
    return file(name);
  }
  /// Names of the files in it.
  std::vector<std::string> list() const {
    std::vector<std::string> names;
    for (auto &entry : std::filesystem::directory_iterator(path))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string path;
};

/// A copy of a golden checkpoint that a test may break.
inline std::string copyGolden(const Scratch &scratch, const std::string &name) {
  std::string to = scratch.file(name);
  std::filesystem::create_directory(to);
  for (const char *file : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden(name) + "/" + file, to + "/" + file);
  return to;
}

/// A safetensors file with this header and `data` bytes of zeros.
inline std::string safetensors(const std::string &header, size_t data) {
  uint64_t length = header.size();
  std::string file(reinterpret_cast<const char *>(&length), 8);
  return file + header + std::string(data, '\0');
}

/// Rewrites a checkpoint's weights; `change` may rename, retype, drop (false) or add tensors.
inline void rewrite(const std::string &directory, const std::function<bool(TensorToWrite &)> &change,
                    std::vector<TensorToWrite> more = {},
                    const std::map<std::string, std::string> &metadata = {}) {
  std::string path = directory + "/model.safetensors";
  auto file = SafetensorsFile::open(path);
  REQUIRE(file);
  std::vector<TensorToWrite> tensors;
  for (const TensorView &view : file->tensors()) {
    TensorToWrite tensor{view.name, view.type, view.shape, [view](auto &sink) { return sink(view.bytes); }};
    if (change(tensor)) tensors.push_back(tensor);
  }
  tensors.insert(tensors.end(), more.begin(), more.end());
  REQUIRE(writeSafetensors(path, tensors, metadata));
}
inline TensorToWrite zeros(const std::string &name, std::vector<int64_t> shape,
                           StorageType type = StorageType::f32) {
  size_t bytes = *storageBytes(type, *elementCount(shape, name), name);
  return {name, type, shape, [bytes](auto &sink) { return sink(std::vector<std::byte>(bytes)); }};
}

template <class T> std::string message(const Result<T> &result) {
  return result ? std::string("(no error)") : result.error().message;
}

inline std::vector<float> floats(const TensorView &view) {
  std::vector<float> values(view.elements());
  REQUIRE(readF32(view, 0, values));
  return values;
}

} // namespace linnet::testing
