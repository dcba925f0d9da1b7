// The folder that --dump-dir names: only ever filled with files of a dump, and only emptied of them.
#pragma once
#include "support/result.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::dump {

/// dump.json in the folder lists the files of the dump, each before it is written: an interrupted dump can be
/// written over like a whole one. Every file is written beside its place and renamed.
class Folder {
public:
  /// Makes `path`, or takes an empty folder, or one that holds nothing but an earlier dump, whose files it
  /// removes. Anything else there is an error that names it.
  static Result<Folder> open(const std::string &path);
  /// Lists files that write() will bring, so that many need the list written only once.
  Result<void> announce(const std::vector<std::string> &names);
  /// `name`: relative, with '/' between folders.
  Result<void> write(const std::string &name, std::string_view text);

private:
  std::string path;
  std::set<std::string> files;
};

} // namespace linnet::dump
