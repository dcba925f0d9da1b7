#include "frontend/checkpoint/staging.h"
#include "support/error.h"
#include "support/file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

namespace linnet {
namespace {

std::mutex mutex;
std::set<std::string> &unfinished() {
  static std::set<std::string> paths;
  return paths;
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
  std::error_code ignored;
  std::filesystem::remove_all(temporary, ignored);
  std::lock_guard lock(mutex);
  unfinished().erase(temporary);
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
  std::string temporary = final_path + ".tmp-XXXXXX";
  if (!mkdtemp(temporary.data()))
    return errorf("{}: cannot create a directory beside it: {}", final_path, std::strerror(errno));
  std::filesystem::permissions(temporary, std::filesystem::perms(0755), error);
  std::lock_guard lock(mutex);
  unfinished().insert(temporary);
  return StagingDirectory(final_path, temporary);
}

Result<void> StagingDirectory::commit() {
  std::error_code error;
  std::filesystem::rename(temporary, final_path, error); // replaces an empty directory
  if (error) return errorf("{}: cannot rename into place: {}", final_path, error.message());
  std::lock_guard lock(mutex);
  unfinished().erase(temporary);
  temporary.clear();
  return {};
}

void removeUnfinishedDirectories() {
  std::unique_lock lock(mutex, std::try_to_lock);
  if (!lock) return;
  std::error_code ignored;
  for (const std::string &path : unfinished()) std::filesystem::remove_all(path, ignored);
}

} // namespace linnet
