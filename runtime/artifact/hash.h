// XXH3-64 of bytes that come in pieces. Hides xxhash.h, which is all inline functions.
#pragma once
#include "linnet/api.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace linnet {

class LINNET_API StreamingHash {
public:
  StreamingHash();
  StreamingHash(StreamingHash &&) noexcept;
  StreamingHash &operator=(StreamingHash &&) noexcept;
  ~StreamingHash();
  void reset();
  void append(std::span<const std::byte> bytes);
  uint64_t digest() const;

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace linnet
