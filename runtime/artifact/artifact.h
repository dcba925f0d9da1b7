// Reads an artifact file. Its contents are untrusted until open() has returned. After that, every index,
// range, size and string of the metadata is valid. The contents of weights are not checked; checkBlobs()
// reads them all.
//
// An artifact holds machine code. The checks find damage, not malice: load only what you would run as a
// program.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

class LINNET_API Artifact {
public:
  /// Maps and checks a file. Errors name the file and the cause: not an artifact, another version, truncated
  /// (expected and found sizes), or damaged (which field). Compares the hashes of the metadata, the machine
  /// code and the tokenizer, but not those of weights, because that would read all weights (see checkBlobs).
  static Result<Artifact> open(const std::string &path);
  /// The same for bytes in memory, which must outlive the artifact and be aligned to 8. Errors begin with
  /// `name`.
  static Result<Artifact> fromBytes(std::span<const std::byte> bytes, const std::string &name);

  const std::string &path() const { return name; }
  const fb::Metadata &metadata() const { return *root; }
  uint64_t fileBytes() const { return file.size(); }
  std::span<const std::byte> blob(const fb::Blob &blob) const {
    return file.subspan(blob.offset(), blob.size());
  }
  /// The mapping that holds the blobs, for users that outlive the artifact; empty after fromBytes().
  const MappedFile &mapped() const { return mapping; }
  /// The program for a target ("cpu"), or null.
  const fb::Program *program(std::string_view target) const;
  /// The same, or an error that lists the artifact's targets.
  Result<const fb::Program *> requireProgram(std::string_view target) const;
  /// Compares every blob with its hash; reads the whole file.
  Result<void> checkBlobs() const;

private:
  MappedFile mapping;
  std::span<const std::byte> file;
  std::string name;
  const fb::Metadata *root = nullptr;
};

/// Bytes of one element; 0 for types smaller than a byte.
constexpr uint64_t elementBytes(fb::DType type) {
  switch (type) {
  case fb::DType::i4:
    return 0;
  case fb::DType::f32:
  case fb::DType::i32:
    return 4;
  case fb::DType::f16:
  case fb::DType::bf16:
    return 2;
  case fb::DType::i8:
    return 1;
  }
  return 0;
}
/// Bytes of `count` elements.
constexpr uint64_t storageBytes(fb::DType type, uint64_t count) {
  return type == fb::DType::i4 ? (count + 1) / 2 : count * elementBytes(type);
}
LINNET_API const char *dtypeName(fb::DType type);

} // namespace linnet
