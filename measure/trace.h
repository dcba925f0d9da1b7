// A profile as a file that Perfetto (https://ui.perfetto.dev) and chrome://tracing open, and back. Chrome's
// trace event format: one complete event ("ph": "X") a call and one a command, times in microseconds.
#pragma once
#include "linnet/profile.h"
#include "measure/limits.h"
#include "support/result.h"

#include <string>
#include <string_view>

namespace linnet::measure {

struct Trace {
  std::string model; ///< what was run, for people
  Limits limits;
  Profile profile;
  double disturbed = 0; ///< the share of the processors' time that other programs took while it ran
};

/// Written as a whole or not at all. Calls are on one track, commands below them on another; each command's
/// args say its op, location, kernel, bytes, flops, what of it was achieved, and the share of the limits.
Result<void> writeTrace(const std::string &path, const Trace &trace);

/// Reads what writeTrace wrote; errors name the file and what is wrong. Times count from the first call.
Result<Trace> readTrace(const std::string &path);
/// The same for a file's text; `name` starts errors.
Result<Trace> parseTrace(std::string_view text, const std::string &name);

} // namespace linnet::measure
