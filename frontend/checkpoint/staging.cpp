#include "frontend/checkpoint/staging.h"
#include "support/error.h"
#include "support/file.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace linnet {
namespace {

// Names of the directories in flight, in storage that a signal handler may read.
constexpr int kMaxStaging = 8;
char unfinished[kMaxStaging][PATH_MAX];
std::atomic<int> state[kMaxStaging]; // 0 free, 1 being filled, 2 valid

int registerUnfinished(const std::string &path) {
  if (path.size() >= PATH_MAX) return -1;
  for (int i = 0; i < kMaxStaging; ++i) {
    int expected = 0;
    if (!state[i].compare_exchange_strong(expected, 1)) continue;
    std::memcpy(unfinished[i], path.c_str(), path.size() + 1);
    state[i].store(2);
    return i;
  }
  return -1;
}

void forget(const std::string &path) {
  for (int i = 0; i < kMaxStaging; ++i)
    if (state[i].load() == 2 && path == unfinished[i]) state[i].store(0);
}

/// What getdents64 gives (see its manual page): readdir() allocates, which a signal handler must not.
struct KernelEntry {
  uint64_t inode;
  int64_t next;
  unsigned short length;
  unsigned char type;
  char name[1];
};

/// Removes a directory of plain files by system calls alone.
void removeFlat(const char *path) {
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

} // namespace

StagingDirectory::StagingDirectory(std::string final_path, std::string temporary_path)
    : final_path(std::move(final_path)), temporary(std::move(temporary_path)) {}
StagingDirectory::StagingDirectory(StagingDirectory &&other) noexcept
    : final_path(std::move(other.final_path)), temporary(std::move(other.temporary)) {
  other.temporary.clear();
}

StagingDirectory::~StagingDirectory() {
  if (temporary.empty()) return;
  removeFlat(temporary.c_str());
  forget(temporary);
}

Result<StagingDirectory> StagingDirectory::create(const std::string &path) {
  std::error_code error;
  std::string final_path = path;
  while (final_path.size() > 1 && final_path.back() == '/') final_path.pop_back();
  if (final_path.empty()) return Error{"expected the name of a directory to write"};
  if (std::filesystem::exists(final_path, error) &&
      !(isDirectory(final_path) && std::filesystem::is_empty(final_path, error)))
    return errorf("{}: already exists; expected a new or empty directory", final_path);
  auto parent = std::filesystem::path(final_path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  std::random_device random;
  std::string temporary = fmt::format("{}.tmp-{:08x}{:08x}", final_path, random(), random());
  registerUnfinished(temporary); // before it exists: an interrupt between the two must not leave it behind
  if (mkdir(temporary.c_str(), 0777) != 0) {
    Error failure = errorf("{}: cannot create a directory beside it: {}", final_path, std::strerror(errno));
    forget(temporary);
    return failure;
  }
  return StagingDirectory(final_path, temporary);
}

Result<void> StagingDirectory::commit() {
  if (std::rename(temporary.c_str(), final_path.c_str()) != 0) // replaces an empty directory
    return errorf("{}: cannot rename into place: {}", final_path, std::strerror(errno));
  forget(temporary);
  temporary.clear();
  return {};
}

void removeUnfinishedDirectories() {
  for (int i = 0; i < kMaxStaging; ++i)
    if (state[i].load() == 2) removeFlat(unfinished[i]);
}

} // namespace linnet
