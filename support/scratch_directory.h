// Temporary directories. Their owner removes them, or an interrupt handler does.
#pragma once
#include "support/result.h"
#include "support/unfinished.h"

#include <string>

namespace linnet {

/// Registers this directory for removal, with its plain files, by the interrupt handler. Must be called
/// before the directory is created, so that no interrupt in between leaves it behind.
void removeOnInterrupt(const std::string &path);
/// Cancels removeOnInterrupt(), because the directory was renamed or removed.
void keepOnInterrupt(const std::string &path);
/// Removes a directory of plain files by system calls alone: async-signal-safe.
void removeFlatDirectory(const char *path);
/// Removes every directory that removeOnInterrupt registered. Async-signal-safe, for SIGINT and SIGTERM
/// handlers, like removeUnfinishedFiles().
void removeUnfinishedDirectories();

/// A new directory for plain files under ${TMPDIR:-/tmp}. The destructor removes it with its files. create()
/// also removes directories of the same name that killed processes left there.
class ScratchDirectory {
public:
  /// `name` is the beginning of the directory's name.
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
