// What a MODEL argument names, and how a command gets what it needs out of it.
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
/// By content: an artifact's first bytes, a .gguf's, a directory, a name that ends in .mlir or .safetensors.
/// Fails where there is no such file, or it is none of these.
Result<FileKind> kindOf(const std::string &path);

/// `path` itself if it is an artifact; else it is compiled for `device` into the cache, which standard error
/// is told.
Result<std::string> artifactOf(const std::string &path, const DeviceOption &device,
                               const std::string &command);

/// Tells standard error which keys of config.json were ignored or overridden, where some were.
void noteConfig(const CompileReport &report, const std::string &input);

/// A loaded model and a session of it. The session is told to stop when a signal comes.
struct OpenModel {
  Model model;
  Session session;
  double load_seconds;
};
/// What a command works with. Another kind of model is an error that says what to type instead.
enum class ModelKind { Language, Classifier, Any };
Result<OpenModel> openModel(const std::string &path, const DeviceOption &device, const std::string &command,
                            ModelKind kind = ModelKind::Language);

/// --prompt by the model's tokenizer, or --ids, standard input read where asked for.
Result<std::vector<TokenId>> promptIds(const Model &model, const PromptOption &prompt);

/// Makes device "reference" known without loading the compiler library, where it lives, until it is used.
void registerLazyDevices();

/// The tokenizer of a directory, a .gguf or an artifact; nothing if it has none.
Result<std::optional<Tokenizer>> tokenizerOf(const std::string &path, const std::string &command);
/// The same, where none is an error.
Result<Tokenizer> requireTokenizer(const std::string &path, const std::string &command);

} // namespace linnet::cli
