// The folder of --dump-dir. Only files of a dump are written to it and removed from it.
#pragma once
#include "support/result.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::dump {

/// dump.json in the folder lists each file of the dump before the file is written. So an interrupted dump can
/// be replaced like a complete one. Every file is written atomically.
class Folder {
public:
  /// Creates `path`, or accepts an empty folder or one that holds only an earlier dump, whose files it
  /// removes. An error names any other file there.
  static Result<Folder> open(const std::string &path);
  /// Adds files to the list before write(), so that the list is written only once for many files.
  Result<void> announce(const std::vector<std::string> &names);
  /// `name` is relative, with '/' between folders.
  Result<void> write(const std::string &name, std::string_view text);

private:
  std::string path;
  std::set<std::string> files;
};

} // namespace linnet::dump
