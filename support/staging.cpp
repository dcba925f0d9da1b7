#include "support/staging.h"
#include "support/error.h"
#include "support/file.h"
#include "support/scratch_directory.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>

namespace linnet {

StagingDirectory::StagingDirectory(std::string final_path, std::string temporary_path,
                                   MadeDirectories parents, TemporaryLock lock)
    : parents(std::move(parents)), final_path(std::move(final_path)), temporary(std::move(temporary_path)),
      lock(std::move(lock)) {}
StagingDirectory::StagingDirectory(StagingDirectory &&other) noexcept
    : parents(std::move(other.parents)), final_path(std::move(other.final_path)),
      temporary(std::move(other.temporary)), lock(std::move(other.lock)) {
  other.temporary.clear();
}

StagingDirectory::~StagingDirectory() {
  if (temporary.empty()) return;
  removeFlatDirectory(temporary.c_str());
  keepOnInterrupt(temporary);
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
  MadeDirectories parents;
  if (!parent.empty()) LINNET_TRY(parents.make(parent));
  removeAbandoned(parent, std::filesystem::path(final_path).filename().string() + ".tmp-");
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary = temporaryName(final_path);
    removeOnInterrupt(temporary); // before the directory exists, because of interrupts
    if (mkdir(temporary.c_str(), 0777) != 0) {
      Error failure =
          errorf("{}: cannot create a directory next to it: {}", final_path, std::strerror(errno));
      keepOnInterrupt(temporary);
      return failure;
    }
    TemporaryLock lock;
    if (lock.acquire(temporary))
      return StagingDirectory(final_path, temporary, std::move(parents), std::move(lock));
    keepOnInterrupt(temporary); // another process removed it as abandoned
  }
  return errorf("{}: another process keeps removing the directory next to it", final_path);
}

Result<void> StagingDirectory::commit() {
  if (std::rename(temporary.c_str(), final_path.c_str()) != 0) // replaces an empty directory
    return errorf("{}: cannot rename into place: {}", final_path, std::strerror(errno));
  keepOnInterrupt(temporary);
  temporary.clear();
  return {};
}

} // namespace linnet
