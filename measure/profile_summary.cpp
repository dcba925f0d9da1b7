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

// Time on the host belongs to a call when it led to the next token. What came before a new text (a person
// typing) is nobody's.
int64_t hostAfter(const Profile &profile, size_t call) {
  if (call + 1 >= profile.calls.size() || phaseOf(profile.calls[call + 1]) != "decode") return 0;
  const ProfileCall &before = profile.calls[call], &after = profile.calls[call + 1];
  return std::max<int64_t>(0, after.begin - before.end - before.overhead);
}

void addCall(PhaseSummary &phase, const Profile &profile, size_t number) {
  const ProfileCall &call = profile.calls[number];
  ++phase.calls;
  if (call.dim("batch") > 0 && call.dim("seq") > 0) phase.tokens += call.dim("batch") * call.dim("seq");
  double in_commands = 0;
  for (size_t i = call.first_event; i < call.first_event + call.events; ++i)
    in_commands += profile.events[i].seconds();
  phase.commands += in_commands;
  phase.between += seconds(call.end - call.begin) - in_commands;
  phase.host += seconds(hostAfter(profile, number));
}

template <class T> void add(T &to, const ProfileEvent &event) {
  ++to.runs;
  to.seconds += event.seconds();
  to.flops += static_cast<double>(event.flops);
  to.bytes += static_cast<double>(event.bytes);
}

template <class T> void slowestFirst(std::vector<T> &list) {
  std::stable_sort(list.begin(), list.end(), [](const T &a, const T &b) { return a.seconds > b.seconds; });
}

} // namespace

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
      add(summary, profile.events[e]);
    }
  }
  for (auto &[key, summary] : commands) {
    PhaseSummary &phase = phaseNamed(phases, key.first);
    phase.by_command.push_back(summary);
    phase.flops += summary.flops;
    phase.bytes += summary.bytes;
    const std::string &op = profile.commands[summary.command].op;
    auto at = std::find_if(phase.by_op.begin(), phase.by_op.end(), [&](auto &o) { return o.op == op; });
    if (at == phase.by_op.end()) at = phase.by_op.insert(at, OpSummary{op});
    ++at->commands;
    at->runs += summary.runs;
    at->seconds += summary.seconds;
    at->flops += summary.flops;
    at->bytes += summary.bytes;
  }
  for (PhaseSummary &phase : phases) {
    phase.wall = phase.commands + phase.between + phase.host;
    slowestFirst(phase.by_command);
    slowestFirst(phase.by_op);
  }
  return phases;
}

} // namespace linnet::measure
