// The header of an artifact file: its first 64 bytes. docs/artifact-format.md has an example.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace linnet::format {

/// Has the high bit set and both kinds of line end, like PNG's, so that a transfer as text damages it
/// detectably.
inline constexpr unsigned char kMagic[8] = {0x89, 'L', 'N', 'T', '\r', '\n', 0x1a, '\n'};
/// Increased by every change that would make older or newer libraries read a file wrongly.
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kHeaderBytes = 64;
/// Blobs and the metadata start at multiples of this: a cache line, and the widest vector register.
inline constexpr uint64_t kAlignment = 64;

// Values of the metadata's `kind`. A model's `config` has its sizes and tokens.
inline constexpr const char *kLanguageModel = "language-model"; ///< entries generate, score, hidden
inline constexpr const char *kClassifier = "classifier";        ///< entries classify, embed, hidden
inline constexpr const char *kGraph = "graph";                  ///< anything else

/// The header as stored: little-endian.
struct Header {
  unsigned char magic[8];
  uint32_t version;
  uint32_t header_bytes;    // 64
  uint64_t file_bytes;      // the whole file
  uint64_t metadata_offset; // end of the blobs
  uint64_t metadata_bytes;  // up to the end of the file
  uint64_t metadata_hash;   // XXH3-64
  uint64_t reserved;        // 0
  uint64_t header_hash;     // XXH3-64 of the 56 bytes before
};
static_assert(sizeof(Header) == kHeaderBytes);

/// XXH3-64 with seed 0.
uint64_t hashBytes(std::span<const std::byte> bytes);

inline uint64_t headerHash(const Header &header) {
  return hashBytes(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_hash)));
}

} // namespace linnet::format
