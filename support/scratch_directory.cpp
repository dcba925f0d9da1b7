#include "support/scratch_directory.h"
#include "support/error.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace linnet {
namespace {

// Names of the temporary directories, in storage that a signal handler may read.
constexpr int kMaxDirectories = 8;
char unfinished[kMaxDirectories][PATH_MAX];
std::atomic<int> state[kMaxDirectories]; // 0 free, 1 being filled, 2 valid

/// The entries of getdents64 (see its manual page). readdir() allocates, which is not allowed in a signal
/// handler.
struct KernelEntry {
  uint64_t inode;
  int64_t next;
  unsigned short length;
  unsigned char type;
  char name[1];
};

} // namespace

void removeOnInterrupt(const std::string &path) {
  if (path.size() >= PATH_MAX) return;
  for (int i = 0; i < kMaxDirectories; ++i) {
    int expected = 0;
    if (!state[i].compare_exchange_strong(expected, 1)) continue;
    std::memcpy(unfinished[i], path.c_str(), path.size() + 1);
    state[i].store(2);
    return;
  }
}

void keepOnInterrupt(const std::string &path) {
  for (int i = 0; i < kMaxDirectories; ++i)
    if (state[i].load() == 2 && path == unfinished[i]) state[i].store(0);
}

void removeFlatDirectory(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  alignas(KernelEntry) char buffer[4096];
  for (long n; (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n;) {
      auto *entry = reinterpret_cast<KernelEntry *>(buffer + at);
      const char *name = buffer + at + offsetof(KernelEntry, name);
      if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) unlinkat(fd, name, 0);
      at += entry->length;
    }
  close(fd);
  rmdir(path);
}

void removeUnfinishedDirectories() {
  for (int i = 0; i < kMaxDirectories; ++i)
    if (state[i].load() == 2) removeFlatDirectory(unfinished[i]);
}

Result<ScratchDirectory> ScratchDirectory::create(const std::string &name) {
  const char *variable = std::getenv("TMPDIR");
  const std::string parent = variable && *variable ? variable : "/tmp", prefix = name + "-";
  removeAbandoned(parent, prefix);
  constexpr int kAttempts = 16;
  std::string path;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    path = uniqueName(parent + "/" + prefix);
    removeOnInterrupt(path);
    if (mkdir(path.c_str(), 0700) != 0) {
      keepOnInterrupt(path);
      return errorf("{}: cannot create a directory: {}", path, std::strerror(errno));
    }
    TemporaryLock lock;
    if (lock.acquire(path)) return ScratchDirectory(path, std::move(lock));
    keepOnInterrupt(path); // another process removed it as abandoned
  }
  return errorf("{}: another process keeps removing it", path);
}

ScratchDirectory::~ScratchDirectory() {
  if (place.empty()) return;
  removeFlatDirectory(place.c_str());
  keepOnInterrupt(place);
}

} // namespace linnet
