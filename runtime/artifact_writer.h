// Writes an artifact file in one pass: blobs as they are made, the metadata last, the header over the gap
// left for it.
//
//   auto writer = ArtifactWriter::create("gpt2.linnet");
//   writer->begin(); writer->append(panel) ...; fb::BlobT blob = *writer->end();
//   writer->finish(metadata);       // nothing exists under the name before this
#pragma once
#include "linnet/api.h"
#include "runtime/artifact_generated.h"
#include "runtime/hash.h"
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <span>
#include <string>

namespace linnet {

class LINNET_API ArtifactWriter {
public:
  /// Starts a temporary file beside `path`; destroyed without finish(), it leaves nothing.
  static Result<ArtifactWriter> create(const std::string &path);

  /// A blob, in pieces of any size. It starts at a multiple of 64. One at a time.
  Result<void> begin();
  Result<void> append(std::span<const std::byte> bytes);
  Result<fb::BlobT> end();
  /// A blob in one piece.
  Result<fb::BlobT> add(std::span<const std::byte> bytes);

  /// Checks the metadata as a reader will, writes it and the header, and moves the file into place.
  Result<void> finish(const fb::MetadataT &metadata);

private:
  ArtifactWriter(AtomicFile file, std::string path) : file(std::move(file)), path(std::move(path)) {}
  Result<void> align();

  AtomicFile file;
  std::string path;
  StreamingHash hash;
  uint64_t blob_offset = 0;
  bool open = false;
};

} // namespace linnet
