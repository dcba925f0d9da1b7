// Directories that do not outlive what fills them: removed by their owner, or by the handler of an interrupt.
#pragma once
#include "support/result.h"
#include "support/unfinished.h"

#include <string>

namespace linnet {

/// Tells the handler of an interrupt to remove this directory and the plain files in it. Before the directory
/// exists: an interrupt between the two must not leave it behind.
void removeOnInterrupt(const std::string &path);
/// No longer: it has been renamed, or removed.
void keepOnInterrupt(const std::string &path);
/// Removes a directory of plain files by system calls alone: async-signal-safe.
void removeFlatDirectory(const char *path);
/// Removes every directory that removeOnInterrupt named. Async-signal-safe: for SIGINT/SIGTERM handlers,
/// beside removeUnfinishedFiles().
void removeUnfinishedDirectories();

/// A fresh directory for plain files under ${TMPDIR:-/tmp}, removed with what is in it. What a killed process
/// left there under the same name is removed, too.
class ScratchDirectory {
public:
  /// `name` starts the directory's name.
  static Result<ScratchDirectory> create(const std::string &name);
  ScratchDirectory(ScratchDirectory &&other) noexcept
      : place(std::move(other.place)), lock(std::move(other.lock)) {
    other.place.clear();
  }
  ScratchDirectory &operator=(ScratchDirectory &&) = delete;
  ~ScratchDirectory();

  const std::string &path() const { return place; }

private:
  ScratchDirectory(std::string place, TemporaryLock lock) : place(std::move(place)), lock(std::move(lock)) {}
  std::string place;
  TemporaryLock lock;
};

} // namespace linnet
