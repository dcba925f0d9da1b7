// Options, progress and report of linnet finetune and linnet train.
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
  double progress_every = 10; ///< seconds between lines if standard error is not a terminal; 0: no lines

  /// Adds the options for data, sizes, learning rate, safeguards and output.
  void add(CLI::App &command);
  /// Converts the texts of options to their values. An unknown device is an error.
  Result<void> resolve();
};

/// Runs the training with progress on standard error and prints the report.
Result<void> runTraining(const TrainingOption &options, const std::string &command);

} // namespace linnet::cli
