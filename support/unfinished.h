// Files and directories that must not outlive what makes them. Each temporary one has a lock (flock) that its
// process holds; the kernel drops the lock when the process ends, however it ends.
#pragma once
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// PREFIX and 16 random hexadecimal digits.
std::string uniqueName(const std::string &prefix);
/// A name beside `path` for what is renamed to it when it is complete: PATH.tmp-<16 hexadecimal digits>.
std::string temporaryName(const std::string &path);

/// The lock on a temporary file or directory. A file system without locks gives none: others then keep what
/// they find.
class TemporaryLock {
public:
  TemporaryLock() = default;
  TemporaryLock(TemporaryLock &&other) noexcept;
  TemporaryLock &operator=(TemporaryLock &&other) noexcept;
  ~TemporaryLock() { release(); }

  /// Locks the directory `path`, which was just made. False if it is gone: another process found it before it
  /// was locked. It must then be made again.
  bool acquire(const std::string &path);
  void release();

private:
  int fd = -1;
};

/// The same for a file that is open as `fd`, whose lock ends with its last descriptor.
bool lockTemporaryFile(int fd, const std::string &path);

/// Makes directories, and removes those again that are still empty when it ends.
class MadeDirectories {
public:
  MadeDirectories() = default;
  MadeDirectories(MadeDirectories &&) noexcept = default;
  MadeDirectories &operator=(MadeDirectories &&other) noexcept {
    made.swap(other.made);
    return *this;
  }
  ~MadeDirectories();

  /// `path` and its parents, as far as they are missing.
  Result<void> make(const std::string &path);

private:
  std::vector<std::string> made; ///< outer ones first
};

/// Removes files and directories in `directory` that are named PREFIX and 16 hexadecimal digits, and that no
/// living process has locked. An empty prefix stands for every name that ends with ".tmp-".
void removeAbandoned(const std::string &directory, std::string_view prefix = "");

} // namespace linnet
