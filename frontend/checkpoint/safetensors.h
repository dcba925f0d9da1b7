// The safetensors format (huggingface/safetensors): 8 bytes of header length, a JSON header, the data.
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/file.h"
#include "support/result.h"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace linnet {

/// A mapped file with a checked header: lengths, types, shapes, unique names, and offsets without overlaps or
/// holes. Weights are never copied.
class SafetensorsFile {
public:
  static Result<SafetensorsFile> open(const std::string &path);
  /// The same for bytes in memory, which must outlive the views. Errors begin with `name`.
  static Result<SafetensorsFile> parse(MappedFile file, std::span<const std::byte> bytes,
                                       const std::string &name);

  /// Tensors in the order of their data.
  const std::vector<TensorView> &tensors() const { return list; }
  const TensorView *find(std::string_view name) const;
  const std::map<std::string, std::string> &metadata() const { return strings; }

private:
  std::vector<TensorView> list;
  std::map<std::string, size_t, std::less<>> index;
  std::map<std::string, std::string> strings;
};

/// A tensor to write. `write` passes its bytes to `sink` in pieces, exactly storageBytes(type, shape) in all.
struct TensorToWrite {
  std::string name;
  StorageType type;
  std::vector<int64_t> shape;
  std::function<Result<void>(const std::function<Result<void>(std::span<const std::byte>)> &sink)> write;
};
/// Writes a file atomically. Block-quantized types are errors: safetensors has no form for them.
Result<void> writeSafetensors(const std::string &path, const std::vector<TensorToWrite> &tensors,
                              const std::map<std::string, std::string> &metadata = {});

} // namespace linnet
