#include "support/unfinished.h"
#include "support/error.h"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace linnet {
namespace {

constexpr size_t kDigits = 16;
constexpr std::string_view kMark = ".tmp-";

bool isTemporary(std::string_view name, std::string_view prefix) {
  if (name.size() < kDigits) return false;
  std::string_view digits = name.substr(name.size() - kDigits), stem = name.substr(0, name.size() - kDigits);
  return (prefix.empty() ? stem.ends_with(kMark) : stem == prefix) &&
         digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

/// Waits for the lock. Other processes hold it only briefly, to check whether the file is abandoned.
void lock(int fd) {
  while (flock(fd, LOCK_EX) != 0 && errno == EINTR) {
  }
}

bool isAt(int fd, const std::string &path) {
  struct stat mine, there;
  return fstat(fd, &mine) == 0 && lstat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
         mine.st_dev == there.st_dev;
}

/// Removes the file or directory, unless it cannot be opened or locked.
void removeIfAbandoned(const std::filesystem::path &path) {
  std::error_code failed;
  auto type = std::filesystem::symlink_status(path, failed).type();
  bool directory = type == std::filesystem::file_type::directory;
  if (failed || (!directory && type != std::filesystem::file_type::regular)) return;
  int fd = open(path.c_str(), (directory ? O_RDONLY | O_DIRECTORY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && isAt(fd, path)) std::filesystem::remove_all(path, failed);
  close(fd);
}

} // namespace

std::string uniqueName(const std::string &prefix) {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof(bits), 0) != ssize_t(sizeof(bits)))
    bits = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
           static_cast<uint64_t>(getpid()) << 40;
  return fmt::format("{}{:016x}", prefix, bits);
}

std::string temporaryName(const std::string &path) { return uniqueName(path + std::string(kMark)); }

TemporaryLock::TemporaryLock(TemporaryLock &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
TemporaryLock &TemporaryLock::operator=(TemporaryLock &&other) noexcept {
  std::swap(fd, other.fd);
  return *this;
}

bool TemporaryLock::acquire(const std::string &path) {
  release();
  fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno != ENOENT;
  if (lockTemporaryFile(fd, path)) return true;
  release();
  return false;
}

void TemporaryLock::release() {
  if (fd >= 0) close(std::exchange(fd, -1));
}

bool lockTemporaryFile(int fd, const std::string &path) {
  lock(fd);
  return isAt(fd, path);
}

MadeDirectories::~MadeDirectories() {
  for (auto path = made.rbegin(); path != made.rend(); ++path) rmdir(path->c_str()); // fails if not empty
}

Result<void> MadeDirectories::make(const std::string &path) {
  std::vector<std::string> missing;
  std::error_code failed;
  for (std::filesystem::path at = path; !at.empty() && !std::filesystem::exists(at, failed);
       at = at.parent_path())
    if (at.has_filename()) missing.push_back(at.string()); // not the empty name after a final slash
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    if (mkdir(next->c_str(), 0777) == 0)
      made.push_back(*next);
    else if (errno != EEXIST)
      return errorf("{}: cannot create: {}", path, std::strerror(errno));
  }
  if (std::filesystem::is_directory(path, failed)) return {};
  return errorf("{}: expected a directory", path);
}

void removeAbandoned(const std::string &directory, std::string_view prefix) {
  std::error_code failed;
  std::filesystem::directory_iterator entry(directory.empty() ? "." : directory, failed), end;
  for (; !failed && entry != end; entry.increment(failed))
    if (isTemporary(entry->path().filename().native(), prefix)) removeIfAbandoned(entry->path());
}

} // namespace linnet
