// A trace that linnet profile is given.
#include "measure/trace.h"
#include "measure/profile_summary.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto trace = linnet::measure::parseTrace({reinterpret_cast<const char *>(data), size}, "f");
  if (!trace) return 0;
  int64_t calls = 0;
  for (const auto &phase : linnet::measure::summarize(trace->profile)) {
    calls += phase.calls;
    for (const auto &command : phase.by_command)
      if (command.command >= trace->profile.commands.size()) abort();
  }
  if (calls != static_cast<int64_t>(trace->profile.calls.size())) abort();
  return 0;
}
