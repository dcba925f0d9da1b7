// A directory that appears whole or not at all: filled beside its place, then renamed.
#pragma once
#include "support/result.h"
#include "support/unfinished.h"

#include <string>

namespace linnet {

class StagingDirectory {
public:
  /// Fails when `path` exists and is no empty directory, or its parent cannot be written. What a killed
  /// process left of its own try is removed.
  static Result<StagingDirectory> create(const std::string &path);
  StagingDirectory(StagingDirectory &&other) noexcept;
  StagingDirectory &operator=(StagingDirectory &&) = delete;
  ~StagingDirectory(); ///< removes what was not committed

  /// Where to write meanwhile.
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
