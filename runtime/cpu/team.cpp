#include "runtime/cpu/team.h"

#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace linnet::cpu {
namespace {

/// A descriptor of this thread's schedstat file, with its time on a processor and its waiting time in
/// nanoseconds (Linux, Documentation/scheduler/sched-stats). Negative if there is none. It is closed when the
/// thread ends, by a pthread key: a thread_local variable with a destructor would allocate memory.
int schedulerFile() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    pthread_key_create(&made,
                       [](void *file) { close(static_cast<int>(reinterpret_cast<intptr_t>(file)) - 1); });
    return made;
  }();
  static thread_local int file = -2; // not opened yet
  if (file == -2) {
    file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (file >= 0) pthread_setspecific(key, reinterpret_cast<void *>(static_cast<intptr_t>(file) + 1));
  }
  return file;
}

} // namespace

int64_t Team::waited() {
  char text[96];
  const int file = schedulerFile();
  const ssize_t size = file < 0 ? -1 : pread(file, text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  text[size] = '\0';
  unsigned long long ran = 0, waited = 0;
  return std::sscanf(text, "%llu %llu", &ran, &waited) == 2 ? static_cast<int64_t>(waited) : 0;
}

} // namespace linnet::cpu
