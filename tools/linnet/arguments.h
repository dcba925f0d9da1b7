// Options and parsers that several commands share.
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

/// The action of a parsed command line. The named subcommand sets it.
using Action = std::function<Result<void>()>;

// One function per command, each in commands/: it declares the subcommand, which sets `action` if it is
// named.
void addCompile(CLI::App &app, Action &action);
void addRun(CLI::App &app, Action &action);
void addChat(CLI::App &app, Action &action);
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
void addServe(CLI::App &app, Action &action);
void addPull(CLI::App &app, Action &action);
void addManual(CLI::App &app, Action &action);

/// Reports wrong use of a command after its options were parsed: prints a hint and exits with code 2.
[[noreturn]] void usageError(const std::string &message);

/// The footer of a command's help. Its lines are commands that run as written.
std::string example(std::string_view lines);

/// Parses "1,2,3", also with spaces or in brackets. Ids are 0 to 2^31-1. Errors begin with `option`.
Result<std::vector<TokenId>> parseIds(std::string_view text, const std::string &option);
/// Parses positive numbers: "128,512".
std::vector<int64_t> parseList(const std::string &text, const std::string &option);
/// Splits at commas; empty parts are usage errors.
std::vector<std::string> splitCommas(const std::string &text, const std::string &option);
std::string joinIds(const std::vector<TokenId> &ids);

/// Like CLI::Range, which accepts nan in every range.
CLI::Validator numberIn(double low, double high);
/// For --seed: CLI11 would read -1 and numbers beyond 64 bits as the largest number.
CLI::Validator isSeed();

/// --no-onednn, of the commands that compile for the cpu. It sets `onednn` to false.
void addOneDnnOption(CLI::App &command, bool &onednn);
/// A usage error if --no-onednn was given and none of `targets` is the cpu. `option` is the one that chooses targets.
void checkOneDnnOption(bool onednn, const std::vector<std::string> &targets, const char *option);

/// All of standard input.
Result<std::string> readStdin();
/// `text`, or standard input if it is "-", without a byte order mark and without the final newline, which
/// echo adds.
Result<std::string> textOrStdin(const std::string &text);

/// Exactly one of --prompt TEXT|- and --ids LIST|-.
struct PromptOption {
  std::string prompt, ids;
  CLI::Option *prompt_option = nullptr, *ids_option = nullptr;
  void add(CLI::App &command);
  bool given() const { return *prompt_option || *ids_option; }
  /// A usage error unless one is given.
  void require() const;
};

/// -t THREADS and --device SPEC of all commands that execute programs.
struct DeviceOption {
  int threads = 0;
  std::string device; ///< empty: cpu if the artifact has it, else its first target
  void add(CLI::App &command);
};

} // namespace linnet::cli
