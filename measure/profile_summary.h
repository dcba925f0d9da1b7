// Sums up a profile: the time per command, and the achieved rates relative to the machine's limits.
#pragma once
#include "linnet/profile.h"
#include "measure/limits.h"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::measure {

/// Achieved rates and their shares of the limits (0 if the limit is unknown). A bandwidth above the limit
/// comes from a cache.
struct Achieved {
  double bytes_per_second = 0, flops_per_second = 0;
  double bandwidth_share = 0, peak_share = 0;
};
Achieved achieved(double seconds, double flops, double bytes, const Limits &limits);

/// Sums over runs of commands.
struct Work {
  int64_t runs = 0;
  double seconds = 0, flops = 0, bytes = 0;
  double least = 0; ///< seconds of the fastest run, the least disturbed one
  Work &operator+=(const Work &other);
};
struct CommandSummary {
  uint32_t command = 0; ///< index in Profile::commands
  Work work;
};
/// A group of commands: those of one op, or those of one op, place in a layer and kernel.
struct GroupSummary {
  std::string op, place, kernel; ///< place: "blocks.*.mlp"; it and kernel are empty for groups by op
  int64_t commands = 0;
  Work work;
};

struct PhaseSummary {
  std::string name;
  int64_t calls = 0, tokens = 0;        ///< tokens: batch times seq, if the entry has these
  int64_t dispatches = 0, barriers = 0; ///< of all calls
  // wall = commands + between + host
  double wall = 0;
  double commands = 0;                    ///< time in commands
  double between = 0;                     ///< time in calls outside commands: starting threads, waiting
  double host = 0;                        ///< time between calls: choosing the token, its text
  Work work;                              ///< sum over all commands
  std::vector<CommandSummary> by_command; ///< slowest first, like the others
  std::vector<GroupSummary> by_place, by_op;
};

/// The location with each number between dots (a layer's) replaced by a star: "blocks.*.attn" for
/// "blocks.3.attn".
std::string placeOf(const std::string &location);

/// "prefill" for a call of a generating entry with several tokens per row, "decode" with one; else the
/// entry's name.
std::string phaseOf(const ProfileCall &call);

/// One summary per phase, in the order of their first call. The time of the profiler is excluded.
std::vector<PhaseSummary> summarize(const Profile &profile);

} // namespace linnet::measure
