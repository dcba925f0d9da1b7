// What a profile says when its calls are added up: which commands the time went to, and what it was worth
// beside the machine's limits.
#pragma once
#include "linnet/profile.h"
#include "measure/limits.h"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::measure {

/// Achieved, and the share of the limit (1: all of it; 0 also where the limit is not known). More bytes than
/// the machine can read come out of a cache.
struct Achieved {
  double bytes_per_second = 0, flops_per_second = 0;
  double bandwidth_share = 0, peak_share = 0;
};
Achieved achieved(double seconds, double flops, double bytes, const Limits &limits);

/// Sums over runs of commands.
struct Work {
  int64_t runs = 0;
  double seconds = 0, flops = 0, bytes = 0;
  double least = 0; ///< seconds of the fastest run: what is left when nothing disturbs
  Work &operator+=(const Work &other);
};
struct CommandSummary {
  uint32_t command = 0; ///< its number in Profile::commands
  Work work;
};
/// Commands that are alike: of one op; or also in the same place of any layer, by the same kernel.
struct GroupSummary {
  std::string op, place, kernel; ///< place: "blocks.*.mlp"; it and kernel are empty where only the op counts
  int64_t commands = 0;
  Work work;
};

struct PhaseSummary {
  std::string name;
  int64_t calls = 0, tokens = 0;        ///< tokens: batch times seq, where the entry has these
  int64_t dispatches = 0, barriers = 0; ///< of all calls
  // wall = commands + between + host
  double wall = 0;
  double commands = 0;                    ///< in which a command was at work
  double between = 0;                     ///< in calls, but of no command: starting threads, waiting
  double host = 0;                        ///< after a call until the next token's: choosing it, its text
  Work work;                              ///< of all commands
  std::vector<CommandSummary> by_command; ///< slowest first, as the others
  std::vector<GroupSummary> by_place, by_op;
};

/// A location with each number between dots (a layer's) as a star: "blocks.3.attn" is in the place
/// "blocks.*.attn".
std::string placeOf(const std::string &location);

/// "prefill" where an entry generates and sees several tokens of a row, "decode" where it sees one; the
/// entry's name for any other.
std::string phaseOf(const ProfileCall &call);

/// One summary a phase, in the order in which they first occur. Time that the profiler took is in none.
std::vector<PhaseSummary> summarize(const Profile &profile);

} // namespace linnet::measure
