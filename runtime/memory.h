// Memory that is allocated once, when a program is loaded.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace linnet {

/// Large pages are 2 MiB if the system supports them. Use them for memory that is fully used.
enum class Pages : uint8_t { Small, Large };

/// Zeroed pages, followed by an inaccessible guard page. Pages that are never touched use no physical memory.
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
  /// Zeroes the contents by returning the pages to the system.
  void zero();

private:
  std::byte *start = nullptr;
  uint64_t bytes = 0, mapped = 0;
};

/// Bytes that this process can still allocate: the minimum of the machine's free memory (including swap), the
/// limits of its control groups, and the rest of RLIMIT_AS and RLIMIT_DATA.
uint64_t availableMemory();

/// An error with both numbers if `bytes` exceeds availableMemory(). `parts` describes the use of the bytes.
Result<void> requireMemory(uint64_t bytes, const std::string &parts);

} // namespace linnet
