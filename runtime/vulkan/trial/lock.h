// One process at a time tries variants on a device. It first lists them in a file, so that the next process
// knows what a driver crashed on.
//
// The file is next to the pipeline cache and locked (flock) while variants are tried. If the process dies,
// the operating system releases the lock and the list remains. A process may also die for other reasons
// (ctrl-C, out of memory), which must not reject a good variant, and pipelines are compiled in parallel. So
// the first death proves nothing: the next process tries the listed variants one at a time, and only a
// variant that was alone when a process died is rejected. The list is flushed to disk before the trial
// begins, because some drivers crash the whole machine.
#pragma once
#include "runtime/vulkan/trial/verdicts.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace linnet::vulkan {

struct TrialMark {
  bool alone = false;
  std::vector<Variant> variants;
  bool operator==(const TrialMark &) const = default;
};

class LINNET_API TrialLock {
public:
  /// Nothing if another process holds the lock for longer than `patience`. An error if the file cannot be
  /// created.
  static Result<std::optional<TrialLock>> take(const Inventory &inventory,
                                               std::chrono::milliseconds patience);
  TrialLock(TrialLock &&other) noexcept : left(std::move(other.left)), file(std::exchange(other.file, -1)) {}
  TrialLock &operator=(TrialLock &&) = delete;
  ~TrialLock();

  /// The variants that a process was trying when it died; empty if none did.
  TrialMark left;
  Result<void> mark(const TrialMark &mark);
  void clear();

private:
  explicit TrialLock(int file) : file(file) {}
  int file = -1;
};

} // namespace linnet::vulkan
