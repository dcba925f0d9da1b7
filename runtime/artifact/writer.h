// Writes an artifact file in one pass: blobs first, then the metadata, then the header into its reserved
// range.
//
//   auto writer = ArtifactWriter::create("model.linnet");
//   writer->begin(); writer->append(panel) ...; fb::BlobT blob = *writer->end();
//   writer->finish(metadata);       // nothing exists under the name before this
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "runtime/artifact/hash.h"
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>

namespace linnet {

class LINNET_API ArtifactWriter {
public:
  /// Creates a temporary file next to `path`. Without finish(), the destructor removes it.
  static Result<ArtifactWriter> create(const std::string &path);

  /// Writes a blob in pieces of any size, one blob at a time. It starts at a multiple of 64. If the file
  /// already has an equal large blob, the new one is dropped, and end() returns the range of the first.
  Result<void> begin();
  Result<void> append(std::span<const std::byte> bytes);
  Result<fb::BlobT> end();
  /// Writes a blob in one piece.
  Result<fb::BlobT> add(std::span<const std::byte> bytes);

  /// The blobs written so far, at their offsets.
  Result<MappedFile> blobs() { return file.view(); }

  /// Checks the metadata like a reader, writes it and the header, and renames the file to its final name.
  Result<void> finish(const fb::MetadataT &metadata);

private:
  ArtifactWriter(AtomicFile file, std::string path) : file(std::move(file)), path(std::move(path)) {}
  static constexpr uint64_t kWorthSharing = 1 << 16;
  Result<void> align();
  Result<fb::BlobT> shared(const fb::BlobT &blob);

  AtomicFile file;
  std::string path;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> written; ///< (hash, size) of large blobs -> offset
  StreamingHash hash;
  uint64_t blob_offset = 0;
  bool open = false;
};

} // namespace linnet
