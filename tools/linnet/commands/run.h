// The parts of linnet run: one prompt, lines from a terminal, or a graph that is no language model.
#pragma once
#include "arguments.h"
#include "model.h"
#include "support/result.h"
#include "trace_option.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace linnet::cli {

/// Writes what generation finds as it finds it: text, or ids where there is no tokenizer.
class TokenStream {
public:
  explicit TokenStream(bool text) : text(text) {}
  bool operator()(TokenId id, std::string_view piece);

private:
  bool text;
  int64_t count = 0;
};

/// What is said of a text that ended because the context is full.
std::string contextText(const ModelConfig &config);

/// A line of standard input without its line feed, after a prompt if `prompt`; nothing at the end of the input.
std::optional<std::string> readLine(bool prompt);

/// Lines from the terminal on standard input, until it ends: each continues the session's text.
Result<void> converse(OpenModel &open, const GenerateOptions &options);

/// Arrays in, arrays out.
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
