// Records time, duration, work and graph location of each command of a model.
//
//   auto profiler = std::make_shared<linnet::Profiler>();
//   session->setProfiler(profiler);                           // or graph->setProfiler(profiler)
//   session->generate(ids);
//   for (const linnet::ProfileEvent &event : profiler->profile().events)
//     use(profiler->profile().commands[event.command].location, event.seconds());
//
// Without a profiler, a run takes no time stamps and allocates no memory for them.
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

/// All times are nanoseconds of std::chrono::steady_clock. Devices convert their own clocks to it.

/// A command of an entry and the kernel that executed it. If runs of different sizes use different kernels,
/// there is a ProfileCommand for each.
struct ProfileCommand {
  std::string entry;
  int number = 0;       ///< index in the entry
  std::string op;       ///< op of the graph: "matmul"
  std::string location; ///< name or file:line of the op in the source graph; may be empty
  std::string kernel;   ///< name of a generated kernel, "onednn ...", or "interpreter"
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
  int64_t overhead = 0;               ///< time of the profiler after `end`; not part of this call or the next
  size_t first_event = 0, events = 0; ///< range in Profile::events, in the order of the commands
  /// Dispatches and barriers of a GPU; 0 for other devices.
  uint32_t dispatches = 0, barriers = 0;

  /// Value of a dimension, or -1.
  int64_t dim(std::string_view name) const {
    for (const ProfileDim &d : dims)
      if (d.name == name) return d.value;
    return -1;
  }
};

/// One command of one call, from the begin of its first thread to the end of its last one.
struct ProfileEvent {
  uint32_t call = 0, command = 0; ///< indices in Profile::calls and Profile::commands
  int64_t begin = 0, end = 0;
  /// Work of the formula: each operand is read once and each result written once; a multiply-add counts as
  /// two operations. 0: unknown.
  int64_t flops = 0, bytes = 0;

  double seconds() const { return static_cast<double>(end - begin) * 1e-9; }
};

struct Profile {
  std::string device; ///< description of the device: "cpu, 2 threads"
  DeviceKind device_kind = DeviceKind::Processor;
  std::vector<ProfileCommand> commands;
  std::vector<ProfileCall> calls;
  std::vector<ProfileEvent> events;
  uint64_t dropped_calls = 0; ///< calls that were not recorded because the profiler was full
};

/// A device's report of one command, and of one run. The texts must live until Profiler::add returns.
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

/// Records the reports of devices. Not thread-safe: use one profiler for each session or graph.
class LINNET_API Profiler {
public:
  /// Default for the most events that are kept. Further calls are counted in Profile::dropped_calls.
  static constexpr size_t kMaxEvents = size_t(1) << 20;
  explicit Profiler(size_t max_events = kMaxEvents) : max_events(max_events) {}

  const Profile &profile() const { return kept; }
  /// Removes all calls. The device stays.
  void clear();

  // For sessions and devices.

  void setDevice(std::string description, DeviceKind kind) {
    kept.device = std::move(description);
    kept.device_kind = kind;
  }
  /// Sets the used part of a dimension that is a capacity (a cache's "context"), for the costs of later runs.
  void setExtent(std::string_view dim, int64_t value);
  /// The value of setExtent, at most `bound`; `bound` if it was not set.
  int64_t extent(std::string_view dim, int64_t bound) const;
  void add(const RunTiming &run);

private:
  uint32_t commandNumber(size_t entry, std::string_view name, size_t number, const CommandTiming &timing);

  struct Seen { // indices of an entry's commands in kept.commands
    std::string entry;
    std::vector<std::vector<uint32_t>> numbers;
  };
  size_t max_events;
  Profile kept;
  std::vector<Seen> seen;
  std::map<std::string, int64_t, std::less<>> extents;
};

} // namespace linnet
