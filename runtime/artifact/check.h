// The semantic half of reading an artifact: FlatBuffers' verifier has found the metadata's structure sound;
// this checks what it says.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstdint>

namespace linnet {

/// Memory areas larger than this are refused as absurd (64 TiB).
inline constexpr uint64_t kMaxAreaBytes = uint64_t(1) << 46;

/// Checks every index, range, size and string. `blob_end`: where the blobs of the file end. The error says
/// what is wrong and where in the metadata; the caller adds the file.
Result<void> checkMetadata(const fb::Metadata &metadata, uint64_t blob_end);

} // namespace linnet
