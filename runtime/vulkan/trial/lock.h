// One process at a time tries variants on a device, and says beforehand which, so that the next one knows
// what a driver crashed on.
//
// The mark is a file beside the pipeline cache, locked (flock) while variants are tried: the kernel releases
// the lock of a process that died, whose list is then still in the file. A process also dies for other
// reasons (ctrl-C, out of memory) in the seconds that the first start may take, which must not put a good
// variant aside; and pipelines are compiled side by side. So the first death proves nothing: what was tried
// together is next tried alone, one variant after the other, and only one that was alone when a process died
// is blamed. The list is on the disk before the trial begins, as some drivers take the whole machine down.
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
  /// Nothing where another process has it for longer than `patience`; an error where there is no place for
  /// it.
  static Result<std::optional<TrialLock>> take(const Inventory &inventory,
                                               std::chrono::milliseconds patience);
  TrialLock(TrialLock &&other) noexcept : left(std::move(other.left)), file(std::exchange(other.file, -1)) {}
  TrialLock &operator=(TrialLock &&) = delete;
  ~TrialLock();

  /// What a process that died was trying; no variants: none did.
  TrialMark left;
  Result<void> mark(const TrialMark &mark);
  void clear();

private:
  explicit TrialLock(int file) : file(file) {}
  int file = -1;
};

} // namespace linnet::vulkan
