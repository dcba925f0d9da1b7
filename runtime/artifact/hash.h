// XXH3-64 of a stream. Hides xxhash.h, whose functions are all inline.
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
