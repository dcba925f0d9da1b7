// Writes an artifact file in one pass: blobs as they are made, the metadata last, the header over the gap
// left for it.
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
  /// Starts a temporary file beside `path`; destroyed without finish(), it leaves nothing.
  static Result<ArtifactWriter> create(const std::string &path);

  /// A blob, in pieces of any size. It starts at a multiple of 64. One at a time. A large one that there is
  /// already is not written again: end() gives the range of the first.
  Result<void> begin();
  Result<void> append(std::span<const std::byte> bytes);
  Result<fb::BlobT> end();
  /// A blob in one piece.
  Result<fb::BlobT> add(std::span<const std::byte> bytes);

  /// The blobs written so far, at their offsets.
  Result<MappedFile> blobs() { return file.view(); }

  /// Checks the metadata as a reader will, writes it and the header, and moves the file into place.
  Result<void> finish(const fb::MetadataT &metadata);

private:
  ArtifactWriter(AtomicFile file, std::string path) : file(std::move(file)), path(std::move(path)) {}
  static constexpr uint64_t kWorthSharing = 1 << 16;
  Result<void> align();
  Result<fb::BlobT> shared(const fb::BlobT &blob);

  AtomicFile file;
  std::string path;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t>
      written; ///< hash and size of large blobs: where they begin
  StreamingHash hash;
  uint64_t blob_offset = 0;
  bool open = false;
};

} // namespace linnet
