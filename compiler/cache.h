// Compiled checkpoints by content. A key is made of what decides an artifact's bytes: the contents of the
// input's files, the options, this library itself. Hashing half a gigabyte at every start would be slow, so a
// file's hash is remembered beside its device, inode, size, mtime and ctime: whoever changes a file changes
// its ctime, which no program can set back. A file changed within the last two seconds is not remembered, as
// its clock may be too coarse to tell the next change.
#pragma once
#include "compiler/api.h"

#include <string>
#include <vector>

namespace linnet {

class CompileCache {
public:
  /// ${LINNET_CACHE_DIR}, else ${XDG_CACHE_HOME}/linnet, else ~/.cache/linnet; created if missing.
  static Result<CompileCache> open();
  /// 16 hexadecimal digits.
  Result<std::string> keyOf(const std::vector<std::string> &files, const CompileOptions &options) const;
  /// DIR/compiled/NAME-KEY.linnet, NAME being the last part of the input's path.
  std::string artifactPath(const std::string &input, const std::string &key) const;
  /// Whether a sound artifact is there (a damaged one is compiled anew).
  bool holds(const std::string &artifact) const;
  /// XXH3-64 of a file's contents, remembered.
  Result<uint64_t> contentHash(const std::string &path) const;

private:
  std::string directory;
};

} // namespace linnet
