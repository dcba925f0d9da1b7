// Semantic checks of an artifact's metadata. FlatBuffers' verifier has checked its structure before.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstdint>

namespace linnet {

/// Memory areas larger than this are refused as absurd (64 TiB).
inline constexpr uint64_t kMaxAreaBytes = uint64_t(1) << 46;

/// Checks every index, range, size and string. `blob_end` is the offset of the end of the blobs. The error
/// names the fault and its position in the metadata; the caller adds the file.
Result<void> checkMetadata(const fb::Metadata &metadata, uint64_t blob_end);

} // namespace linnet
