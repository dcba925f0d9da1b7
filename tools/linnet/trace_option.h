// --profile FILE of commands that run a model: a trace of every command.
#pragma once
#include "linnet/profile.h"
#include "measure/disturbance.h"
#include "support/result.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

namespace linnet::cli {

struct TraceOption {
  std::string path; ///< empty: no trace
  void add(CLI::App &command);
  /// An error if the file cannot be written. To be called before anything runs.
  Result<void> check() const;
  /// The profiler for a session or graph, until write(); null without --profile.
  std::shared_ptr<Profiler> profiler() const;
  /// Measures the machine's limits and writes the file. Does nothing for a null profiler.
  Result<void> write(const std::shared_ptr<Profiler> &profiler, const std::string &model, int threads) const;

private:
  mutable std::optional<measure::Disturbance> disturbance; ///< while the profiler runs
};

} // namespace linnet::cli
