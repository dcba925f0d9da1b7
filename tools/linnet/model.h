// Opens MODEL arguments.
#pragma once
#include "arguments.h"
#include "compiler/api.h"
#include "linnet/linnet.h"
#include "support/result.h"
#include "tokenizer/tokenizer.h"

#include <optional>
#include <string>

namespace linnet::cli {

enum class FileKind { Artifact, Checkpoint, Graph };
/// The kind of a file, from its first bytes (artifact, .gguf), from being a directory, or from its name
/// (.mlir, .safetensors). Errors: no such file, or none of these.
Result<FileKind> kindOf(const std::string &path);

/// `path` if it is an artifact. Else compiles it for `device` and `max_batch` texts at a time (0: one) into the cache
/// and reports that on standard error.
Result<std::string> artifactOf(const std::string &path, const DeviceOption &device,
                               const std::string &command, int64_t max_batch = 0);

/// The positional argument of a command that runs `what` or a checkpoint.
void addModelOption(CLI::App &command, std::string &file, const std::string &what = "FILE.linnet");

/// Prints the ignored and overridden keys of config.json on standard error, if there are any.
void noteConfig(const CompileReport &report, const std::string &input);

/// A loaded model and a session of it. A signal cancels the session.
struct OpenModel {
  Model model;
  Session session;
  double load_seconds;
};
/// The kind of model that a command needs. Another kind is an error that names the command to use instead.
enum class ModelKind { Language, Classifier, Any };
Result<OpenModel> openModel(const std::string &path, const DeviceOption &device, const std::string &command,
                            ModelKind kind = ModelKind::Language);

/// The ids of --ids, or of --prompt with the model's tokenizer. `-` reads standard input.
Result<std::vector<TokenId>> promptIds(const Model &model, const PromptOption &prompt);

/// Registers device "reference". The compiler library, which implements it, is loaded only when it is used.
void registerLazyDevices();

/// The tokenizer of a directory, a .gguf or an artifact; nothing if it has none.
Result<std::optional<Tokenizer>> tokenizerOf(const std::string &path, const std::string &command);
/// The same, but a missing tokenizer is an error.
Result<Tokenizer> requireTokenizer(const std::string &path, const std::string &command);

} // namespace linnet::cli
