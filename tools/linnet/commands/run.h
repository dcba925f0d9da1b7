// linnet run on a graph that is no language model: arrays in, arrays out.
#pragma once
#include "arguments.h"
#include "support/result.h"
#include "trace_option.h"

#include <string>
#include <utility>
#include <vector>

namespace linnet::cli {

struct GraphOptions {
  std::string entry;
  std::vector<std::string> input_pairs, output_pairs;
  std::vector<std::pair<std::string, std::string>> inputs, outputs; ///< name, file
  void add(CLI::App &command);
  bool asked() const { return !input_pairs.empty() || !output_pairs.empty() || !entry.empty(); }
  /// Splits NAME=FILE; usage errors.
  void parse();
};

Result<void> runGraph(const std::string &file, const DeviceOption &device, const GraphOptions &options,
                      const TraceOption &trace, bool json);

} // namespace linnet::cli
