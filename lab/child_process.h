// Runs work that may crash in a child process first, so that this process survives and learns the cause.
#pragma once
#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>
#include <string>
#include <sys/mman.h>
#include <type_traits>

namespace linnet::lab {

/// Runs `work` in a forked copy of this process, which then ends. The child has separate memory, standard
/// output and standard error, and reports through a SharedMemory. Returns nothing if `work` returned or if
/// fork failed. Otherwise returns how the child ended, with the last line that it wrote: "crashes:
/// segmentation fault". `work` must not use threads of this process, because the child has none of them.
std::optional<std::string> crashOf(llvm::function_ref<void()> work);

/// A T that child processes write and this process reads. get() is null if there is no memory for it.
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
