#include "runtime/cpu/team.h"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace linnet::cpu {
namespace {

/// "time on a processor, time waiting for one, how often", in nanoseconds:
/// Documentation/scheduler/sched-stats.
class SchedulerFile {
public:
  SchedulerFile() : file(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  ~SchedulerFile() {
    if (file >= 0) close(file);
  }
  SchedulerFile(const SchedulerFile &) = delete;
  int64_t waited() const {
    char text[96];
    const ssize_t size = file < 0 ? -1 : pread(file, text, sizeof text - 1, 0);
    if (size <= 0) return 0;
    text[size] = '\0';
    unsigned long long ran = 0, waited = 0;
    return std::sscanf(text, "%llu %llu", &ran, &waited) == 2 ? static_cast<int64_t>(waited) : 0;
  }

private:
  int file;
};

} // namespace

int64_t Team::waited() {
  static thread_local const SchedulerFile file;
  return file.waited();
}

} // namespace linnet::cpu
