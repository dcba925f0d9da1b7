// Temporary files and directories that must not outlive their process. The process holds a lock (flock) on
// each. The operating system releases the lock when the process ends in any way.
#pragma once
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// PREFIX and 16 random hexadecimal digits.
std::string uniqueName(const std::string &prefix);
/// A temporary name for a file that will be renamed to `path`: PATH.tmp-<16 hexadecimal digits>.
std::string temporaryName(const std::string &path);

/// The lock on a temporary file or directory. On a file system without locks there is none; other processes
/// then do not remove such files.
class TemporaryLock {
public:
  TemporaryLock() = default;
  TemporaryLock(TemporaryLock &&other) noexcept;
  TemporaryLock &operator=(TemporaryLock &&other) noexcept;
  ~TemporaryLock() { release(); }

  /// Locks the directory `path`, which was just created. Returns false if it is gone, because another process
  /// removed it before it was locked. The caller must then create it again.
  bool acquire(const std::string &path);
  void release();

private:
  int fd = -1;
};

/// The same for a file that is open as `fd`. The lock ends when its last descriptor is closed.
bool lockTemporaryFile(int fd, const std::string &path);

/// Creates directories. The destructor removes those that are still empty.
class MadeDirectories {
public:
  MadeDirectories() = default;
  MadeDirectories(MadeDirectories &&) noexcept = default;
  MadeDirectories &operator=(MadeDirectories &&other) noexcept {
    made.swap(other.made);
    return *this;
  }
  ~MadeDirectories();

  /// Creates `path` and its missing parents.
  Result<void> make(const std::string &path);

private:
  std::vector<std::string> made; ///< outer ones first
};

/// Removes the files and directories in `directory` that are named PREFIX and 16 hexadecimal digits and that
/// no process has locked. An empty prefix stands for every name that ends with ".tmp-".
void removeAbandoned(const std::string &directory, std::string_view prefix = "");

} // namespace linnet
