#include "measure/trace.h"
#include "measure/profile_summary.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <cmath>
#include <limits>

namespace linnet::measure {
namespace {

constexpr int kProcess = 1, kCallTrack = 1, kCommandTrack = 2;
constexpr const char *kProducer = "linnet run --profile";

double microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

Json nameEvent(const char *what, int track, const std::string &name) {
  return {{"ph", "M"}, {"name", what}, {"pid", kProcess}, {"tid", track}, {"args", {{"name", name}}}};
}

Json callEvent(const Profile &profile, size_t number, int64_t start) {
  const ProfileCall &call = profile.calls[number];
  Json dims = Json::object();
  for (const ProfileDim &dim : call.dims) dims[dim.name] = dim.value;
  return {{"ph", "X"},
          {"cat", "call"},
          {"name", phaseOf(call)},
          {"pid", kProcess},
          {"tid", kCallTrack},
          {"ts", microseconds(call.begin - start)},
          {"dur", microseconds(call.end - call.begin)},
          {"args",
           {{"call", number},
            {"entry", call.entry},
            {"dims", dims},
            {"dispatches", call.dispatches},
            {"barriers", call.barriers},
            {"profiler_us", microseconds(call.overhead)}}}};
}

Json commandEvent(const Trace &trace, const ProfileEvent &event, int64_t start) {
  const ProfileCommand &command = trace.profile.commands[event.command];
  Achieved a = achieved(event.seconds(), static_cast<double>(event.flops), static_cast<double>(event.bytes),
                        trace.limits);
  return {{"ph", "X"},
          {"cat", "command"},
          {"name", command.op},
          {"pid", kProcess},
          {"tid", kCommandTrack},
          {"ts", microseconds(event.begin - start)},
          {"dur", microseconds(event.end - event.begin)},
          {"args",
           {{"call", event.call},
            {"command", command.number},
            {"op", command.op},
            {"location", command.location},
            {"kernel", command.kernel},
            {"bytes", event.bytes},
            {"flops", event.flops},
            {"GB/s", a.bytes_per_second / 1e9},
            {"GFLOP/s", a.flops_per_second / 1e9},
            {"share_of_bandwidth", a.bandwidth_share},
            {"share_of_peak", a.peak_share}}}};
}

/// Collects lines, so that a long trace needs no tree in memory.
class Writer {
public:
  explicit Writer(AtomicFile &file) : file(file) {}
  Result<void> text(std::string_view piece) {
    pending += piece;
    return pending.size() < (1 << 20) ? Result<void>() : flush();
  }
  Result<void> event(const Json &json) {
    LINNET_TRY(text(first ? "\n" : ",\n"));
    first = false;
    return text(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  Result<void> flush() {
    auto written = file.write(pending);
    pending.clear();
    return written;
  }

private:
  AtomicFile &file;
  std::string pending;
  bool first = true;
};

Result<void> writeEvents(Writer &out, const Trace &trace) {
  const Profile &profile = trace.profile;
  int64_t start = profile.calls.empty() ? 0 : profile.calls.front().begin;
  LINNET_TRY(out.event(nameEvent("process_name", 0, "linnet: " + trace.model)));
  LINNET_TRY(out.event(nameEvent("thread_name", kCallTrack, "calls")));
  LINNET_TRY(out.event(nameEvent("thread_name", kCommandTrack, "commands on " + profile.device)));
  for (size_t i = 0; i < profile.calls.size(); ++i) {
    const ProfileCall &call = profile.calls[i];
    LINNET_TRY(out.event(callEvent(profile, i, start)));
    for (size_t e = call.first_event; e < call.first_event + call.events; ++e)
      LINNET_TRY(out.event(commandEvent(trace, profile.events[e], start)));
  }
  return {};
}

/// Reads and checks the numbers and texts of an untrusted trace.
class Reader {
public:
  Reader(const std::string &path, const Json &root) : path(path), root(root) {}

  Result<Trace> read() {
    const Json *other = member(root, "otherData"), *events = member(root, "traceEvents");
    if (!other || text(*other, "producer") != kProducer || !events || !events->is_array())
      return errorf("{}: not a trace that '{}' wrote", path, kProducer);
    Trace trace;
    trace.model = text(*other, "model");
    LINNET_ASSIGN(trace.limits.read_bytes_per_second, number(*other, "read_bytes_per_second"));
    LINNET_ASSIGN(trace.limits.f32_flops_per_second, number(*other, "f32_flops_per_second"));
    LINNET_ASSIGN(double threads, number(*other, "threads"));
    LINNET_ASSIGN(double dropped, number(*other, "dropped_calls"));
    for (auto [name, to] :
         {std::pair("disturbed", &trace.disturbed), std::pair("limits_disturbed", &trace.limits.disturbed)})
      if (member(*other, name)) { // not in traces of the first versions
        LINNET_ASSIGN(const double share, number(*other, name));
        *to = std::min(share, 1.0);
      }
    for (at = 0; at < events->size(); ++at) LINNET_TRY(addEvent((*events)[at]));
    endCall();
    trace.profile = profiler.profile();
    for (size_t i = 0; i < overheads.size(); ++i) trace.profile.calls[i].overhead = overheads[i];
    trace.profile.device = text(*other, "device");
    trace.profile.dropped_calls = static_cast<uint64_t>(dropped);
    trace.limits.threads = static_cast<int>(std::min(threads, 1e6));
    return trace;
  }

private:
  static const Json *member(const Json &object, const char *key) {
    if (!object.is_object()) return nullptr;
    auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
  }
  static std::string_view text(const Json &object, const char *key) {
    const Json *value = member(object, key);
    return value && value->is_string() ? std::string_view(value->get_ref<const std::string &>())
                                       : std::string_view();
  }
  Result<double> number(const Json &object, const char *key) const {
    const Json *value = member(object, key);
    double n = value && value->is_number() ? value->get<double>() : -1;
    if (!(n >= 0 && n <= 1e15)) return errorf("{}: event {}: '{}' is not a possible number", path, at, key);
    return n;
  }
  /// A count of work in one command, at most 2^62.
  Result<int64_t> count(const Json &object, const char *key) const {
    const Json *value = member(object, key);
    bool good = value && value->is_number_integer() &&
                (!value->is_number_unsigned() || value->get<uint64_t>() <= uint64_t(1) << 62);
    if (!good || value->get<int64_t>() < 0)
      return errorf("{}: event {}: '{}' is not a possible number", path, at, key);
    return value->get<int64_t>();
  }

  /// Converts microseconds to nanoseconds. At most 11 days each.
  Result<std::pair<int64_t, int64_t>> span(const Json &event) const {
    LINNET_ASSIGN(double begin, number(event, "ts"));
    LINNET_ASSIGN(double length, number(event, "dur"));
    if (begin > 1e12 || length > 1e12) return errorf("{}: event {}: is out of time", path, at);
    int64_t from = std::llround(begin * 1000);
    return std::pair<int64_t, int64_t>(from, from + std::llround(length * 1000));
  }

  Result<void> addEvent(const Json &event) {
    std::string_view kind = text(event, "cat");
    if (kind == "call") return addCall(event);
    if (kind == "command") return addCommand(event);
    return {};
  }

  Result<void> addCall(const Json &event) {
    endCall();
    const Json *args = member(event, "args");
    if (!args) return errorf("{}: event {}: a call without args", path, at);
    LINNET_ASSIGN(auto when, span(event));
    LINNET_ASSIGN(double overhead, number(*args, "profiler_us"));
    run = RunTiming{text(*args, "entry"), {}, when.first, when.second, {}};
    if (const Json *dims = member(*args, "dims"); dims && dims->is_object())
      for (auto &[name, value] : dims->items()) {
        LINNET_ASSIGN(int64_t size, count(*dims, name.c_str()));
        run.dims.push_back({name, std::min(size, int64_t(1) << 20)});
      }
    for (auto [name, to] : {std::pair("dispatches", &run.dispatches), std::pair("barriers", &run.barriers)})
      if (member(*args, name)) { // not in traces of the first versions
        LINNET_ASSIGN(int64_t number, count(*args, name));
        *to = static_cast<uint32_t>(std::min(number, int64_t(1) << 31));
      }
    overheads.push_back(std::llround(overhead * 1000));
    in_call = true;
    return {};
  }

  Result<void> addCommand(const Json &event) {
    const Json *args = member(event, "args");
    if (!args || !in_call) return errorf("{}: event {}: a command outside of a call", path, at);
    LINNET_ASSIGN(int64_t place, count(*args, "command"));
    if (place != static_cast<int64_t>(commands.size()))
      return errorf("{}: event {}: expected command {}, found {}", path, at, commands.size(), place);
    LINNET_ASSIGN(auto when, span(event));
    CommandTiming timing{text(*args, "op"), text(*args, "location"), text(*args, "kernel"), when.first,
                         when.second};
    LINNET_ASSIGN(timing.flops, count(*args, "flops"));
    LINNET_ASSIGN(timing.bytes, count(*args, "bytes"));
    commands.push_back(timing);
    return {};
  }

  void endCall() {
    if (!in_call) return;
    run.commands = commands;
    profiler.add(run);
    commands.clear();
    in_call = false;
  }

  const std::string &path;
  const Json &root;
  size_t at = 0;
  Profiler profiler{std::numeric_limits<size_t>::max()};
  RunTiming run;
  std::vector<CommandTiming> commands;
  std::vector<int64_t> overheads;
  bool in_call = false;
};

} // namespace

Result<void> writeTrace(const std::string &path, const Trace &trace) {
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  Json other = {{"producer", kProducer},
                {"model", trace.model},
                {"device", trace.profile.device},
                {"threads", trace.limits.threads},
                {"read_bytes_per_second", trace.limits.read_bytes_per_second},
                {"f32_flops_per_second", trace.limits.f32_flops_per_second},
                {"dropped_calls", trace.profile.dropped_calls},
                {"disturbed", trace.disturbed},
                {"limits_disturbed", trace.limits.disturbed}};
  Writer out(file);
  LINNET_TRY(out.text("{\"displayTimeUnit\": \"ms\",\n\"otherData\": " +
                      other.dump(-1, ' ', false, Json::error_handler_t::replace) + ",\n\"traceEvents\": ["));
  LINNET_TRY(writeEvents(out, trace));
  LINNET_TRY(out.text("\n]}\n"));
  LINNET_TRY(out.flush());
  return file.commit();
}

Result<Trace> readTrace(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  return parseTrace(file.text(), path);
}

Result<Trace> parseTrace(std::string_view text, const std::string &name) {
  LINNET_ASSIGN(Json root, parseJson(text, name));
  return Reader(name, root).read();
}

} // namespace linnet::measure
