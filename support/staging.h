// A directory that appears atomically: it is filled under a temporary name and then renamed.
#pragma once
#include "support/result.h"
#include "support/unfinished.h"

#include <string>

namespace linnet {

class StagingDirectory {
public:
  /// Errors: `path` exists and is not an empty directory, or its parent is not writable. Removes temporary
  /// directories that killed processes left.
  static Result<StagingDirectory> create(const std::string &path);
  StagingDirectory(StagingDirectory &&other) noexcept;
  StagingDirectory &operator=(StagingDirectory &&) = delete;
  ~StagingDirectory(); ///< removes the directory unless it was committed

  /// The temporary path to write to.
  const std::string &path() const { return temporary; }
  Result<void> commit();

private:
  StagingDirectory(std::string final_path, std::string temporary_path, MadeDirectories parents,
                   TemporaryLock lock);
  MadeDirectories parents;
  std::string final_path, temporary;
  TemporaryLock lock;
};

} // namespace linnet
