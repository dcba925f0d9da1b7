#include "runtime/artifact/hash.h"
#include "runtime/artifact/format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace linnet {

struct StreamingHash::State {
  XXH3_state_t xxh;
};

StreamingHash::StreamingHash() : state(std::make_unique<State>()) { reset(); }
StreamingHash::StreamingHash(StreamingHash &&) noexcept = default;
StreamingHash &StreamingHash::operator=(StreamingHash &&) noexcept = default;
StreamingHash::~StreamingHash() = default;
void StreamingHash::reset() { XXH3_64bits_reset(&state->xxh); }
void StreamingHash::append(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state->xxh, bytes.data(), bytes.size());
}
uint64_t StreamingHash::digest() const { return XXH3_64bits_digest(&state->xxh); }

uint64_t format::hashBytes(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

} // namespace linnet
