// What linnet finetune and linnet train have in common: options, progress, the report.
#pragma once
#include "arguments.h"
#include "trace_option.h"
#include "training/finetune.h"

#include <string>

namespace linnet::cli {

struct TrainingOption {
  training::FinetuneOptions run;
  std::string format = "auto", schedule = "cosine";
  DeviceOption device;
  TraceOption trace;
  bool json = false;
  double progress_every = 10; ///< seconds, where standard error is not a terminal; 0: no lines

  /// Data, sizes, learning rate, safeguards, output.
  void add(CLI::App &command);
  /// Texts of options as what they mean; an error where there is no such device.
  Result<void> resolve();
};

/// Runs it with progress on standard error and prints the report.
Result<void> runTraining(const TrainingOption &options, const std::string &command);

} // namespace linnet::cli
