// The GGUF format (ggml-org/ggml, docs/gguf.md), versions 2 and 3, little endian: typed metadata and tensors.
#pragma once
#include "frontend/checkpoint/safetensors.h"
#include "frontend/checkpoint/tensor.h"
#include "support/file.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace linnet {

using GgufValue =
    std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<uint64_t>, std::vector<int64_t>,
                 std::vector<double>, std::vector<bool>, std::vector<std::string>>;

/// A mapped file with a checked header: counts, lengths, types, alignment, offsets. Shapes are in row-major
/// order (GGUF stores them reversed).
class GgufFile {
public:
  /// Opens a file. Any split file (NAME-00002-of-00003.gguf) opens its whole model: the metadata of the first
  /// and the tensors of all. A split file that is missing or of another model is an error that names it.
  static Result<GgufFile> open(const std::string &path);
  /// Parses one file in memory, which must outlive the views. Errors begin with `name`.
  static Result<GgufFile> parse(MappedFile file, std::span<const std::byte> bytes, const std::string &name);

  /// The opened file, or all split files in their order.
  const std::vector<std::string> &paths() const { return files; }
  const std::vector<TensorView> &tensors() const { return list; }
  const std::map<std::string, GgufValue, std::less<>> &metadata() const { return values; }

  /// Typed look-ups. A missing key is an error that names it, unless a fallback is given.
  Result<std::string> text(std::string_view key) const;
  Result<int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> flag(std::string_view key, bool fallback) const;
  const std::vector<std::string> *texts(std::string_view key) const;
  /// Integers of either sign, or null.
  std::vector<int64_t> integers(std::string_view key) const;
  bool has(std::string_view key) const { return values.find(key) != values.end(); }

private:
  static Result<GgufFile> openOne(const std::string &path);

  std::string name;
  std::vector<std::string> files;
  std::vector<TensorView> list;
  std::map<std::string, GgufValue, std::less<>> values;
};

/// What the file says about its model, as an indented JSON object: the first 256 of the keys general.* and
/// tokenizer.chat_template*. Empty if it has none. Ill-formed UTF-8 becomes U+FFFD.
std::string aboutGguf(const GgufFile &file);

/// Metadata in file order. An int64_t is written as u32 if it is not negative and fits, else as i64. A double
/// is written as f32, a vector of integers as an array of i32.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;
/// Writes version 3 atomically. Shapes are row-major.
Result<void> writeGguf(const std::string &path, const GgufMetadata &metadata,
                       const std::vector<TensorToWrite> &tensors);

} // namespace linnet
