#include "backends/vulkan/simulator/watch.h"

namespace linnet::vulkan {
namespace {

constexpr uint32_t kBuffers = 0x40, kWorkgroup = 0x100; // UniformMemory, WorkgroupMemory

} // namespace

void Watch::beginGroup() {
  group_begin = shared_since = buffers_since = ++now;
  fenced = crossed = counted = false;
  writing.clear(), written.clear();
}

// A barrier orders accesses to buffers only if its semantics include them, or if it is between two fences.
void Watch::barrier(uint32_t semantics) {
  ++now;
  if (semantics & kWorkgroup) shared_since = now;
  if (semantics & kBuffers) buffers_since = now;
  crossed |= fenced;
  fenced = false;
  written.clear();
}

void Watch::fence(uint32_t semantics, bool by_all) {
  if (!(semantics & kBuffers)) return;
  counted = false;
  if (!by_all) return;
  if (crossed) buffers_since = ++now;
  crossed = false, fenced = true;
  written.merge(writing), writing.clear();
}

bool Watch::isOtherGroups(const WordLog::Last &last) const {
  return last.earlier >= dispatch_begin || (last.at >= dispatch_begin && last.at < group_begin);
}

void Watch::note(WordLog::Last &last, Access how, uint16_t by, uint32_t since) {
  const bool first = last.at < since && (last.at < dispatch_begin || last.at >= group_begin);
  if (last.at < group_begin) last.earlier = last.at;
  last.unit = isOpen(last, by, since) ? kSeveral : by;
  last.bits = how == Access::bits && (first || last.bits);
  last.atomic = how >= Access::atomic && (first || last.atomic);
  last.at = now;
}

const char *Watch::meets(WordLog &log, Access how, uint16_t by, bool shared) {
  const uint32_t since = shared ? shared_since : buffers_since;
  const char *met = nullptr;
  const bool may_meet = how == Access::read ? log.write.bits : how >= Access::atomic && log.write.atomic;
  if (!shared && isOtherGroups(log.write) && !may_meet) met = "another workgroup of the dispatch has written";
  if (isOpen(log.write, by, since) && !may_meet) met = "another part of the workgroup has written";
  if (how == Access::write || how == Access::atomic) {
    if (!shared && isOtherGroups(log.read)) met = "another workgroup of the dispatch has read";
    if (isOpen(log.read, by, since)) met = "another part of the workgroup has read";
  }
  note(how == Access::read ? log.read : log.write, how, by, since);
  return met;
}

const char *Watch::meetsOthers(Access how, uint16_t by) {
  if (how == Access::write) writing.insert(by);
  if (how == Access::read && counted)
    return "others have written and counted, with no fence behind the count";
  if (how == Access::atomic) counted = true, written.erase(by);
  return nullptr;
}

const char *Watch::countsOthers() const {
  return writing.empty() && written.empty() ? nullptr
                                            : "says that the workgroup's part is there, before it is";
}

} // namespace linnet::vulkan
