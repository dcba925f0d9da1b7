// Writes and reads profiles as files for Perfetto (https://ui.perfetto.dev) and chrome://tracing, in Chrome's
// trace event format: one complete event ("ph": "X") per call and one per command, with times in
// microseconds.
#pragma once
#include "linnet/profile.h"
#include "measure/limits.h"
#include "support/result.h"

#include <string>
#include <string_view>

namespace linnet::measure {

struct Trace {
  std::string model; ///< name of the model, for users
  Limits limits;
  Profile profile;
  double disturbed = 0; ///< share of processor time that other programs took during the run
};

/// Writes the file atomically. Calls are on one track, commands on another. Each command's args have its op,
/// location, kernel, bytes, flops, achieved rates, and shares of the limits.
Result<void> writeTrace(const std::string &path, const Trace &trace);

/// Reads a file of writeTrace. Errors name the file and the fault. Times are relative to the first call.
Result<Trace> readTrace(const std::string &path);
/// The same for a file's text. Errors begin with `name`.
Result<Trace> parseTrace(std::string_view text, const std::string &name);

} // namespace linnet::measure
