// What each command of a model did: when, for how long, how much work, and which place in the graph it came
// from.
//
//   auto profiler = std::make_shared<linnet::Profiler>();
//   session->setProfiler(profiler);                           // or graph->setProfiler(profiler)
//   session->generate(ids);
//   for (const linnet::ProfileEvent &event : profiler->profile().events)
//     use(profiler->profile().commands[event.command].location, event.seconds());
//
// Without a profiler a run takes no time stamp and no memory for this.
#pragma once
#include "linnet/api.h"
#include "linnet/device_kind.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// All times are nanoseconds of std::chrono::steady_clock. A device with a clock of its own converts.

/// A command of an entry, and what did its work. The same command is here twice if a run of other sizes had
/// it done by another kernel.
struct ProfileCommand {
  std::string entry;
  int number = 0;       ///< its place in the entry
  std::string op;       ///< of the graph: "matmul"
  std::string location; ///< the line or name of the op in the graph it came from; may be empty
  std::string kernel;   ///< a generated kernel's name, "onednn ...", "interpreter"
};

/// A dimension's value in a call: {"seq", 128}.
struct ProfileDim {
  std::string name;
  int64_t value = 0;
};

/// One run of an entry.
struct ProfileCall {
  std::string entry;
  std::vector<ProfileDim> dims;
  int64_t begin = 0, end = 0;
  int64_t overhead = 0; ///< that the profiler itself then took: between this call and the next, of neither
  size_t first_event = 0, events = 0; ///< its part of Profile::events, in the order of its commands
  /// What a GPU was given for it: kernels started, and waits between them. 0: the device has no such things.
  uint32_t dispatches = 0, barriers = 0;

  /// Value of a dimension, or -1.
  int64_t dim(std::string_view name) const {
    for (const ProfileDim &d : dims)
      if (d.name == name) return d.value;
    return -1;
  }
};

/// One command of one call: from when its first thread began to when its last one ended.
struct ProfileEvent {
  uint32_t call = 0, command = 0; ///< numbers in Profile::calls and Profile::commands
  int64_t begin = 0, end = 0;
  /// Of the mathematics: each operand read once, each result written once; a multiply-add is two operations.
  /// 0: nothing is known.
  int64_t flops = 0, bytes = 0;

  double seconds() const { return static_cast<double>(end - begin) * 1e-9; }
};

struct Profile {
  std::string device; ///< as it describes itself: "cpu, 2 threads"
  DeviceKind device_kind = DeviceKind::Processor;
  std::vector<ProfileCommand> commands;
  std::vector<ProfileCall> calls;
  std::vector<ProfileEvent> events;
  uint64_t dropped_calls = 0; ///< not kept, as the profiler was full
};

/// What a device tells of one command, and of one run. Texts need to live only during Profiler::add.
struct CommandTiming {
  std::string_view op, location, kernel;
  int64_t begin = 0, end = 0, flops = 0, bytes = 0;
};
struct RunTiming {
  std::string_view entry;
  std::vector<ProfileDim> dims;
  int64_t begin = 0, end = 0;
  std::span<const CommandTiming> commands; ///< in the entry's order
  uint32_t dispatches = 0, barriers = 0;
};

/// Keeps what devices tell. Not for two threads at a time: one session or graph each.
class LINNET_API Profiler {
public:
  /// Calls that would need more events than this are counted and not kept.
  static constexpr size_t kMaxEvents = size_t(1) << 20;
  explicit Profiler(size_t max_events = kMaxEvents) : max_events(max_events) {}

  const Profile &profile() const { return kept; }
  /// Forgets the calls so far; the device stays.
  void clear();

  // For sessions and devices.

  void setDevice(std::string description, DeviceKind kind) {
    kept.device = std::move(description);
    kept.device_kind = kind;
  }
  /// A dimension that is a capacity (a cache's "context") costs what is used of it: `value` is what the runs
  /// to come use.
  void setExtent(std::string_view dim, int64_t value);
  /// What setExtent said, at most `bound`; else `bound`.
  int64_t extent(std::string_view dim, int64_t bound) const;
  void add(const RunTiming &run);

private:
  uint32_t commandNumber(size_t entry, std::string_view name, size_t number, const CommandTiming &timing);

  struct Seen { // the commands of an entry that have numbers in kept.commands
    std::string entry;
    std::vector<std::vector<uint32_t>> numbers;
  };
  size_t max_events;
  Profile kept;
  std::vector<Seen> seen;
  std::map<std::string, int64_t, std::less<>> extents;
};

} // namespace linnet
