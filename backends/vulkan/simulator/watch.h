// What executing all lanes of a workgroup at once hides: between two barriers its parts run in any order, and
// so do workgroups of a dispatch. A watch notes who has touched a word since when, and finds the accesses
// that nothing orders.
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace linnet::vulkan {

/// What no invocation has written: no number, and behind every array.
constexpr uint32_t kPoison = 0xffc0dead;

/// Who has touched a word.
struct WordLog {
  struct Last {
    uint32_t at = 0;                   ///< the last time
    uint32_t earlier = 0;              ///< the last time by another workgroup before
    uint16_t unit = 0;                 ///< since the last barrier: who, or several
    bool atomic = false, bits = false; ///< nobody wrote otherwise since then
  };
  Last read, write;
};

class Watch {
public:
  /// What runs in step. A GPU's subgroups do, mostly; of lanes nobody says so.
  enum class Unit : uint8_t { subgroup, lane };
  explicit Watch(Unit unit = Unit::subgroup) : unit(unit) {}

  void beginDispatch() { dispatch_begin = ++now; }
  void beginGroup();
  /// Semantics as SPIR-V has them. A barrier in a workgroup, which all of it reaches; a fence is none.
  void barrier(uint32_t semantics);
  void fence(uint32_t semantics, bool by_all);

  uint16_t unitOf(uint32_t lane, uint32_t subgroup_size) const {
    return static_cast<uint16_t>(unit == Unit::lane ? lane : lane / subgroup_size);
  }
  /// Of what the lanes of a subgroup do to a word together.
  uint16_t unitOfAll(uint32_t subgroup) const {
    return static_cast<uint16_t>(unit == Unit::lane ? kTogether | subgroup : subgroup);
  }

  /// `bits`: an atomic change of some bits of a word, of which others may be read meanwhile: so do numbers
  /// of fewer than 32 bits share it. Which bits a reader is after nobody can tell.
  enum class Access : uint8_t { read, write, atomic, bits };
  /// Notes an access. Not null: what it meets that nothing orders. `shared`: the word is the workgroup's
  /// own.
  const char *meets(WordLog &log, Access how, uint16_t unit, bool shared);

  /// The same of memory by which workgroups tell each other what they have found: each writes its part and
  /// then counts itself, by an atomic addition, and the last one reads all parts.
  const char *meetsOthers(Access how, uint16_t unit);
  /// Behind the additions of all units that count at a time: each counts for its own part, and for those
  /// behind a barrier.
  const char *countsOthers() const;

  /// The first one stays.
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
  bool fenced = false, crossed = false; ///< buffers: a fence before the next barrier, behind the last one
  std::set<uint16_t> writing, written;  ///< parts: since the last fence; before it, with no barrier since
  bool counted = false;                 ///< and no fence since
  std::string message;
};

} // namespace linnet::vulkan
