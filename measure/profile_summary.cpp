#include "measure/profile_summary.h"

#include <algorithm>
#include <map>

namespace linnet::measure {
namespace {

double share(double rate, double limit) { return limit > 0 ? rate / limit : 0; }

double seconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

PhaseSummary &phaseNamed(std::vector<PhaseSummary> &phases, const std::string &name) {
  for (PhaseSummary &phase : phases)
    if (phase.name == name) return phase;
  phases.emplace_back().name = name;
  return phases.back();
}

// Host time between two calls of the same text belongs to the first one. Time before a new text (a user
// typing) does not count.
int64_t hostAfter(const Profile &profile, size_t call) {
  if (call + 1 >= profile.calls.size() || phaseOf(profile.calls[call + 1]) != "decode") return 0;
  const ProfileCall &before = profile.calls[call], &after = profile.calls[call + 1];
  return std::max<int64_t>(0, after.begin - before.end - before.overhead);
}

void addCall(PhaseSummary &phase, const Profile &profile, size_t number) {
  const ProfileCall &call = profile.calls[number];
  ++phase.calls;
  phase.dispatches += call.dispatches, phase.barriers += call.barriers;
  if (call.dim("batch") > 0 && call.dim("seq") > 0) phase.tokens += call.dim("batch") * call.dim("seq");
  double in_commands = 0;
  for (size_t i = call.first_event; i < call.first_event + call.events; ++i)
    in_commands += profile.events[i].seconds();
  phase.commands += in_commands;
  phase.between += seconds(call.end - call.begin) - in_commands;
  phase.host += seconds(hostAfter(profile, number));
}

Work workOf(const ProfileEvent &event) {
  return {1, event.seconds(), static_cast<double>(event.flops), static_cast<double>(event.bytes),
          event.seconds()};
}

void addTo(std::vector<GroupSummary> &groups, GroupSummary group) {
  for (GroupSummary &known : groups)
    if (known.op == group.op && known.place == group.place && known.kernel == group.kernel) {
      known.commands += group.commands;
      known.work += group.work;
      return;
    }
  groups.push_back(std::move(group));
}

template <class T> void slowestFirst(std::vector<T> &list) {
  std::stable_sort(list.begin(), list.end(),
                   [](const T &a, const T &b) { return a.work.seconds > b.work.seconds; });
}

} // namespace

Work &Work::operator+=(const Work &other) {
  least = runs == 0 ? other.least : other.runs == 0 ? least : std::min(least, other.least);
  runs += other.runs;
  seconds += other.seconds;
  flops += other.flops;
  bytes += other.bytes;
  return *this;
}

std::string placeOf(const std::string &location) {
  std::string place;
  for (size_t begin = 0; begin <= location.size();) {
    size_t end = std::min(location.find('.', begin), location.size());
    std::string part = location.substr(begin, end - begin);
    bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    place += (begin ? "." : "") + (number ? std::string("*") : part);
    begin = end + 1;
  }
  return place;
}

Achieved achieved(double seconds, double flops, double bytes, const Limits &limits) {
  Achieved a;
  if (seconds <= 0) return a;
  a.bytes_per_second = bytes / seconds;
  a.flops_per_second = flops / seconds;
  a.bandwidth_share = share(a.bytes_per_second, limits.read_bytes_per_second);
  a.peak_share = share(a.flops_per_second, limits.f32_flops_per_second);
  return a;
}

std::string phaseOf(const ProfileCall &call) {
  if (call.entry != "generate" || call.dim("seq") < 1) return call.entry;
  return call.dim("seq") == 1 ? "decode" : "prefill";
}

std::vector<PhaseSummary> summarize(const Profile &profile) {
  std::vector<PhaseSummary> phases;
  std::map<std::pair<std::string, uint32_t>, CommandSummary> commands;
  for (size_t i = 0; i < profile.calls.size(); ++i) {
    const ProfileCall &call = profile.calls[i];
    std::string name = phaseOf(call);
    addCall(phaseNamed(phases, name), profile, i);
    for (size_t e = call.first_event; e < call.first_event + call.events; ++e) {
      CommandSummary &summary = commands[{name, profile.events[e].command}];
      summary.command = profile.events[e].command;
      summary.work += workOf(profile.events[e]);
    }
  }
  for (auto &[key, summary] : commands) {
    PhaseSummary &phase = phaseNamed(phases, key.first);
    phase.by_command.push_back(summary);
    phase.work += summary.work;
    const ProfileCommand &command = profile.commands[summary.command];
    addTo(phase.by_place, {command.op, placeOf(command.location), command.kernel, 1, summary.work});
    addTo(phase.by_op, {command.op, {}, {}, 1, summary.work});
  }
  for (PhaseSummary &phase : phases) {
    phase.wall = phase.commands + phase.between + phase.host;
    slowestFirst(phase.by_command);
    slowestFirst(phase.by_place);
    slowestFirst(phase.by_op);
  }
  return phases;
}

} // namespace linnet::measure
