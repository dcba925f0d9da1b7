// What several commands read from their command line, and how.
#pragma once
#include "support/result.h"
#include "tokenizer/tokenizer.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

/// What a parsed command line asks for; set by the subcommand that was named.
using Action = std::function<Result<void>()>;

// One function a command, each in commands/: declares the subcommand and sets `action` when it is named.
void addCompile(CLI::App &app, Action &action);
void addRun(CLI::App &app, Action &action);
void addLogits(CLI::App &app, Action &action);
void addEmbed(CLI::App &app, Action &action);
void addEval(CLI::App &app, Action &action);
void addFinetune(CLI::App &app, Action &action);
void addTrain(CLI::App &app, Action &action);
void addClassify(CLI::App &app, Action &action);
void addGrad(CLI::App &app, Action &action);
void addBench(CLI::App &app, Action &action);
void addProfile(CLI::App &app, Action &action);
void addAblate(CLI::App &app, Action &action);
void addBisect(CLI::App &app, Action &action);
void addTokenize(CLI::App &app, Action &action);
void addDetokenize(CLI::App &app, Action &action);
void addTokenizer(CLI::App &app, Action &action);
void addDevices(CLI::App &app, Action &action);
void addInspect(CLI::App &app, Action &action);
void addInit(CLI::App &app, Action &action);
void addExport(CLI::App &app, Action &action);
void addPull(CLI::App &app, Action &action);

/// Wrong use of a command, found after its options were parsed one by one: a hint and exit code 2.
[[noreturn]] void usageError(const std::string &message);

/// The footer of a command's help. Lines are commands that run as written.
std::string example(std::string_view lines);

/// "1,2,3", also with spaces or in brackets. Ids are 0 to 2^31-1; `option` starts the error message.
Result<std::vector<TokenId>> parseIds(std::string_view text, const std::string &option);
/// "128,512": positive numbers.
std::vector<int64_t> parseList(const std::string &text, const std::string &option);
/// Splits at commas; empty parts are usage errors.
std::vector<std::string> splitCommas(const std::string &text, const std::string &option);
std::string joinIds(const std::vector<TokenId> &ids);

/// As CLI::Range, which finds nan in every range.
CLI::Validator numberIn(double low, double high);
/// For --seed: CLI11 would take a number beyond 64 bits as the largest one, and -1, too.
CLI::Validator isSeed();

/// All of standard input.
Result<std::string> readStdin();
/// `text`, or standard input if it is "-": without a byte order mark and without the newline at its end,
/// which belongs to the pipe (echo writes one) and not to the text.
Result<std::string> textOrStdin(const std::string &text);

/// --prompt TEXT|-, --ids LIST|-, exactly one of them.
struct PromptOption {
  std::string prompt, ids;
  CLI::Option *prompt_option = nullptr, *ids_option = nullptr;
  void add(CLI::App &command);
  bool given() const { return *prompt_option || *ids_option; }
  /// Usage error unless one is there.
  void require() const;
};

/// -t THREADS and --device SPEC of every command that executes something.
struct DeviceOption {
  int threads = 0;
  std::string device; ///< empty: cpu if the artifact has it, else its first target
  void add(CLI::App &command);
};

} // namespace linnet::cli
