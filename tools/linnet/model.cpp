#include "model.h"
#include "compiler.h"
#include "output.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/format.h"
#include "runtime/device.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"
#include "support/hub_name.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>
#include <sys/stat.h>

namespace linnet::cli {

/// A hint for a missing path. The compiler library knows the short names of published models.
static std::string hintOf(const std::string &path) {
  if (!isHubName(path)) return "";
  auto api = compiler("linnet pull");
  return pullHint(path, api ? (*api)->hubNameOf(path) : "");
}

void addModelOption(CLI::App &command, std::string &file, const std::string &what) {
  command.add_option("MODEL", file, what + "; or a checkpoint, compiled into the cache first")
      ->required()
      ->type_name("");
}

Result<FileKind> kindOf(const std::string &path) {
  struct stat st;
  if (path.empty()) return Error{"expected a model, found an empty name"};
  if (stat(path.c_str(), &st) != 0) {
    const std::string why = std::strerror(errno);
    return errorf("{}: {}{}", path, why, hintOf(path));
  }
  if (S_ISDIR(st.st_mode)) return FileKind::Checkpoint;
  if (path.ends_with(".mlir")) return FileKind::Graph;
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  std::string_view text = file.text();
  if (text.starts_with(
          std::string_view(reinterpret_cast<const char *>(format::kMagic), sizeof(format::kMagic))))
    return FileKind::Artifact;
  if (text.starts_with("GGUF")) return FileKind::Checkpoint;
  for (const char *ending : {".gguf", ".safetensors", ".bin", ".pt", ".pth"})
    if (path.ends_with(ending)) return FileKind::Checkpoint;
  if (path.ends_with(".linnet")) return FileKind::Artifact; // damaged: opening it gives the error
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", path, fault);
  return errorf(
      "{}: expected an artifact (.linnet), a checkpoint directory, a .gguf or an .mlir, found none of these",
      path);
}

Result<std::string> artifactOf(const std::string &path, const DeviceOption &device,
                               const std::string &command, int64_t max_batch) {
  LINNET_ASSIGN(FileKind kind, kindOf(path));
  if (kind == FileKind::Artifact) return path;
  LINNET_ASSIGN(const CompilerApi *api, compiler(command + " on a checkpoint"));
  Progress progress;
  CompileOptions options;
  options.input = path;
  options.max_batch = max_batch;
  // The cache is local, so one instruction-set level is enough.
  options.targets = {targetFor(device.device.empty() ? "cpu" : device.device)};
  options.progress = [&](const std::string &what, double fraction) { progress.show(what, fraction); };
  LINNET_ASSIGN(CompileReport report, api->compileCached(options));
  progress.clear();
  if (report.from_cache)
    note(fmt::format("{}: compiled before, using {}", path, report.output));
  else
    note(fmt::format("{}: compiled in {} to {}", path, secondsText(report.seconds), report.output));
  noteConfig(report, path);
  for (const std::string &line : report.notes) note(line);
  return report.output;
}

void noteConfig(const CompileReport &report, const std::string &input) {
  if (!report.ignored_keys.empty())
    note(fmt::format("{}: config.json: ignored, because they change no numbers: {}", input,
                     fmt::join(report.ignored_keys, ", ")));
  for (const std::string &change : report.overridden)
    note(fmt::format("{}: config.json: overridden by --set: {}", input, change));
}

/// The first labels, for an error.
static std::string listed(const std::vector<std::string> &labels) {
  constexpr size_t kShown = 5;
  const auto shown = std::span(labels).first(std::min(kShown, labels.size()));
  return fmt::format("{}{}", fmt::join(shown, ", "), labels.size() > kShown ? ", ..." : "");
}

static Result<void> requireKind(const std::string &path, const Model &model, const std::string &command,
                                ModelKind kind) {
  const std::vector<std::string> &labels = model.config().labels;
  if (kind == ModelKind::Language && !labels.empty())
    return errorf("{}: {} expected a language model, found a classifier of {} labels ({}): type 'linnet "
                  "classify {} --text TEXT'",
                  path, command, labels.size(), listed(labels), path);
  if (kind == ModelKind::Classifier && labels.empty())
    return errorf("{}: {} expected a classifier (as linnet finetune --task "
                  "classify writes it), found a language model: type 'linnet run {} --prompt TEXT'",
                  path, command, path);
  return {};
}

Result<OpenModel> openModel(const std::string &path, const DeviceOption &device, const std::string &command,
                            ModelKind kind) {
  LINNET_ASSIGN(std::string artifact, artifactOf(path, device, command));
  auto begin = std::chrono::steady_clock::now();
  LINNET_ASSIGN(Model model, Model::load(artifact, {.device = device.device, .threads = device.threads}));
  LINNET_TRY(requireKind(path, model, command, kind));
  LINNET_ASSIGN(Session session, Session::open(model));
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  // A device that is requested by name needs no warning.
  if (device.device == "vulkan" && model.deviceKind() == DeviceKind::Driver)
    note(
        fmt::format("no GPU that Linnet can use ('linnet devices' says why): running on {}", model.device()));
  return OpenModel{std::move(model), std::move(session), seconds};
}

Result<std::vector<TokenId>> promptIds(const Model &model, const PromptOption &prompt) {
  if (*prompt.ids_option) {
    LINNET_ASSIGN(std::string list, textOrStdin(prompt.ids));
    return parseIds(list, "--ids");
  }
  LINNET_ASSIGN(std::string text, textOrStdin(prompt.prompt));
  if (!model.tokenizer())
    return errorf("{}: the model has no tokenizer: give --ids instead of --prompt", model.path());
  LINNET_ASSIGN(Encoding encoding, model.tokenizer()->encode(text));
  return std::move(encoding.ids);
}

void registerLazyDevices() {
  registerDevice("reference", [](std::string_view argument) -> Result<std::unique_ptr<Device>> {
    LINNET_ASSIGN(const CompilerApi *api, compiler("device reference"));
    api->registerDevices(); // replaces this factory
    return openDevice(argument.empty() ? "reference" : "reference:" + std::string(argument));
  });
}

Result<std::optional<Tokenizer>> tokenizerOf(const std::string &path, const std::string &command) {
  LINNET_ASSIGN(FileKind kind, kindOf(path));
  if (kind == FileKind::Graph) return std::optional<Tokenizer>();
  if (kind == FileKind::Artifact) {
    LINNET_ASSIGN(Artifact artifact, Artifact::open(path));
    const fb::Blob *blob = artifact.metadata().tokenizer();
    if (!blob) return std::optional<Tokenizer>();
    auto owner = std::make_shared<Artifact>(std::move(artifact));
    LINNET_ASSIGN(Tokenizer tokenizer, Tokenizer::fromBytes(owner->blob(*blob), owner));
    return std::optional(std::move(tokenizer));
  }
  if (isDirectory(path)) return Tokenizer::fromDirectory(path);
  LINNET_ASSIGN(const CompilerApi *api, compiler(command + " on a checkpoint file"));
  LINNET_ASSIGN(std::vector<std::byte> bytes, api->readTokenizer(path));
  if (bytes.empty()) return std::optional<Tokenizer>();
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  LINNET_ASSIGN(Tokenizer tokenizer, Tokenizer::fromBytes(*owner, owner));
  return std::optional(std::move(tokenizer));
}

Result<Tokenizer> requireTokenizer(const std::string &path, const std::string &command) {
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, tokenizerOf(path, command));
  if (!tokenizer) return errorf("{}: the model has no tokenizer: give --ids instead of text", path);
  return *tokenizer;
}

} // namespace linnet::cli
