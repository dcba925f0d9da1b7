// A cache of compiled checkpoints. The key is a hash of everything that determines an artifact's bytes: the
// contents of the input's files, the options, and this library. Hashing half a gigabyte at every start would
// be slow. So a file's hash is stored with its device, inode, size, mtime and ctime; every change of a file
// changes its ctime, which no program can reset. The hash of a file that changed within the last two seconds
// is not stored, because a coarse clock could miss the next change.
#pragma once
#include "compiler/api.h"

#include <string>
#include <vector>

namespace linnet {

class CompileCache {
public:
  /// ${LINNET_CACHE_DIR}, else ${XDG_CACHE_HOME}/linnet, else ~/.cache/linnet; created if missing.
  static Result<CompileCache> open();
  /// The key, 16 hexadecimal digits.
  Result<std::string> keyOf(const std::vector<std::string> &files, const CompileOptions &options) const;
  /// DIR/compiled/NAME-KEY.linnet. NAME is the last part of the input's path.
  std::string artifactPath(const std::string &input, const std::string &key) const;
  /// Whether the artifact exists and is not damaged.
  bool holds(const std::string &artifact) const;
  /// XXH3-64 of a file's contents, from the cache if possible.
  Result<uint64_t> contentHash(const std::string &path) const;

private:
  std::string directory;
};

} // namespace linnet
