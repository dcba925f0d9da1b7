#include "trace_option.h"
#include "measure/trace.h"
#include "output.h"
#include "support/file.h"

namespace linnet::cli {

void TraceOption::add(CLI::App &command) {
  command.add_option("--profile", path, "write a trace of every command, for Perfetto and linnet profile")
      ->type_name("TRACE.json");
}

Result<void> TraceOption::check() const {
  if (path.empty()) return {};
  auto file = AtomicFile::create(path); // removed at the end of this scope
  return file ? Result<void>() : file.error();
}

std::shared_ptr<Profiler> TraceOption::profiler() const {
  if (path.empty()) return nullptr;
  disturbance.emplace();
  return std::make_shared<Profiler>();
}

Result<void> TraceOption::write(const std::shared_ptr<Profiler> &profiler, const std::string &model,
                                int threads) const {
  if (!profiler) return {};
  const Profile &profile = profiler->profile();
  const double disturbed = disturbance ? disturbance->share() : 0; // before the limits are measured
  LINNET_TRY(measure::writeTrace(
      path, {model, measure::limitsOf(profile.device_kind, threads), profile, disturbed}));
  note(fmt::format("{}: {} calls, {} commands", path, profile.calls.size(), profile.events.size()));
  if (profile.dropped_calls)
    note(fmt::format("{}: the last {} calls are not in it: it holds at most {} commands", path,
                     profile.dropped_calls, Profiler::kMaxEvents));
  return {};
}

} // namespace linnet::cli
