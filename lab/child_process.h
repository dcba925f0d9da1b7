// Work that may crash runs in a child process first, so that this process learns how it ends and goes on.
#pragma once
#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>
#include <string>
#include <sys/mman.h>
#include <type_traits>

namespace linnet::lab {

/// Runs `work` in a copy of this process, which then ends. Its memory, its standard output and its standard
/// error are its own; it reports through a SharedMemory. Returns nothing if `work` returned, else how the
/// child ended, with the last line that it wrote: "crashes: segmentation fault". Also returns nothing if no
/// child could be made. `work` must not use threads that this process has started: the child has none of
/// them.
std::optional<std::string> crashOf(llvm::function_ref<void()> work);

/// A T that child processes write and this process reads. Holds null if there is no memory for it.
template <class T> class SharedMemory {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
  SharedMemory() {
    void *memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) value = new (memory) T();
  }
  ~SharedMemory() {
    if (value) munmap(value, sizeof(T));
  }
  SharedMemory(const SharedMemory &) = delete;
  SharedMemory &operator=(const SharedMemory &) = delete;
  T *get() const { return value; }

private:
  T *value = nullptr;
};

} // namespace linnet::lab
