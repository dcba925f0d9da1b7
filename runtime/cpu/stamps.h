// Time stamps of each thread of a team for each command of a run. Every thread writes only its own row.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet::cpu {

struct Stamp {
  int64_t begin = 0, end = 0; ///< both 0: no work
};

class Stamps {
public:
  /// Allocates memory for runs of at most `commands` commands by at most `threads` threads.
  void reserve(size_t threads, size_t commands) {
    constexpr size_t kStampsPerLine = 64 / sizeof(Stamp);
    width = (commands + kStampsPerLine - 1) / kStampsPerLine * kStampsPerLine;
    rows = threads;
    stamps.assign(rows * width, {});
  }
  void release() { *this = Stamps(); }
  /// Must be called before a run.
  void clear() { std::fill(stamps.begin(), stamps.end(), Stamp()); }
  void note(size_t thread, size_t command, int64_t begin, int64_t end) {
    stamps[thread * width + command] = {begin, end};
  }
  /// From the first thread's begin to the last thread's end; both 0 for a command without work.
  Stamp of(size_t command) const {
    Stamp whole;
    for (size_t thread = 0; thread < rows; ++thread) {
      const Stamp &stamp = stamps[thread * width + command];
      if (stamp.end == 0) continue;
      whole.begin = whole.begin ? std::min(whole.begin, stamp.begin) : stamp.begin;
      whole.end = std::max(whole.end, stamp.end);
    }
    return whole;
  }

private:
  std::vector<Stamp> stamps;
  size_t rows = 0, width = 0;
};

} // namespace linnet::cpu
