// Finds races. The simulator executes all lanes of a workgroup in step, but on a device, parts of a workgroup run in
// any order between two barriers. So do workgroups of a dispatch. A Watch records accesses to each word, and reports
// two accesses without an order.
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace linnet::vulkan {

/// The value of words that no invocation has written, or that are outside of an array. As f32 it is a NaN.
constexpr uint32_t kPoison = 0xffc0dead;

/// The last accesses to a word.
struct WordLog {
  struct Last {
    uint32_t at = 0;      ///< time of the last access
    uint32_t earlier = 0; ///< time of the last access by an earlier workgroup
    uint16_t unit = 0;    ///< the unit that accessed the word since the last barrier, or kSeveral
    bool atomic = false, bits = false; ///< all writes since the last barrier were of this kind
  };
  Last read, write;
};

class Watch {
public:
  /// Units that run in step. A GPU's subgroups usually do; lanes have no guaranteed lockstep.
  enum class Unit : uint8_t { subgroup, lane };
  explicit Watch(Unit unit = Unit::subgroup) : unit(unit) {}

  void beginDispatch() { dispatch_begin = ++now; }
  void beginGroup();
  /// Handles a barrier that the whole workgroup reaches. Semantics are SPIR-V's. A fence does not wait for other units.
  void barrier(uint32_t semantics);
  void fence(uint32_t semantics, bool by_all);

  uint16_t unitOf(uint32_t lane, uint32_t subgroup_size) const {
    return static_cast<uint16_t>(unit == Unit::lane ? lane : lane / subgroup_size);
  }
  /// The unit of an access that the lanes of a subgroup make together.
  uint16_t unitOfAll(uint32_t subgroup) const {
    return static_cast<uint16_t>(unit == Unit::lane ? kTogether | subgroup : subgroup);
  }

  /// The kind of an access. `bits` is an atomic change of some bits of a word, because numbers below 32 bits share
  /// words. Other bits may be read meanwhile: reads are tracked per word, not per bit.
  enum class Access : uint8_t { read, write, atomic, bits };
  /// Records an access. Returns null, or a description of an earlier access that is not ordered with it. `shared`: the
  /// word is in shared memory.
  const char *meets(WordLog &log, Access how, uint16_t unit, bool shared);

  /// The same for memory that workgroups use to combine results. Each workgroup writes its part and then counts itself
  /// by an atomic addition. The last one reads all parts.
  const char *meetsOthers(Access how, uint16_t unit);
  /// Call this after all units have done an atomic addition. Returns null, or an error if a part that is counted is not
  /// complete. A unit counts its own part, and parts that were complete at a barrier.
  const char *countsOthers() const;

  /// Keeps the first report.
  void report(std::string what) {
    if (message.empty()) message = std::move(what);
  }
  bool found() const { return !message.empty(); }
  const std::string &what() const { return message; }

private:
  static constexpr uint16_t kSeveral = 0xffff, kTogether = 0x8000;
  bool isOpen(const WordLog::Last &last, uint16_t by, uint32_t since) const {
    return last.at >= since && last.unit != by;
  }
  bool isOtherGroups(const WordLog::Last &last) const;
  void note(WordLog::Last &last, Access how, uint16_t by, uint32_t since);

  Unit unit;
  uint32_t now = 1, dispatch_begin = 1, group_begin = 1;
  uint32_t shared_since = 1, buffers_since = 1;
  /// fenced: a fence since the last barrier; crossed: a fence before the last barrier
  bool fenced = false, crossed = false;
  /// parts written since the last fence, and parts written before it, without a barrier since
  std::set<uint16_t> writing, written;
  bool counted = false; ///< an addition since the last fence
  std::string message;
};

} // namespace linnet::vulkan
