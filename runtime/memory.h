// Memory that is taken once, when a program is loaded.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace linnet {

/// Large pages are 2 MiB, where the system has them: for memory that is used whole.
enum class Pages : uint8_t { Small, Large };

/// Zeroed pages with an inaccessible page behind them. Pages that are never touched occupy nothing.
class Reservation {
public:
  /// `what` names the memory in the error.
  static Result<Reservation> allocate(uint64_t bytes, const char *what, Pages pages = Pages::Large);
  Reservation() = default;
  Reservation(Reservation &&other) noexcept;
  Reservation &operator=(Reservation &&other) noexcept;
  ~Reservation();
  std::byte *data() const { return start; }
  uint64_t size() const { return bytes; }
  /// Contents back to zero; the pages are given back.
  void zero();

private:
  std::byte *start = nullptr;
  uint64_t bytes = 0, mapped = 0;
};

/// Bytes that this process can still take: the least of what the machine has free (swap included), what its
/// control groups allow and what RLIMIT_AS and RLIMIT_DATA leave.
uint64_t availableMemory();

/// An error with both numbers where `bytes` exceeds availableMemory(). `parts` tells what the bytes are for.
Result<void> requireMemory(uint64_t bytes, const std::string &parts);

} // namespace linnet
