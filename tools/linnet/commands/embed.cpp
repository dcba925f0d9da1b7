// linnet embed: hidden states of texts as vectors.
#include "arguments.h"
#include "model.h"
#include "npy.h"
#include "output.h"
#include "pooling_option.h"
#include "records_option.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"

#include <cmath>
#include <memory>

namespace linnet::cli {
namespace embed_command {

struct Options {
  std::string file, output, pooling = "last";
  RecordsOption texts;
  PromptOption prompt;
  DeviceOption device;
  int64_t layer = -1;
  bool json = false;
};

/// The ids of each text, and the empty texts.
struct Prompts {
  std::vector<std::vector<TokenId>> ids;
  std::vector<int64_t> lines, blank; ///< of the file
};

/// An empty text becomes the token that begins a text.
Result<Prompts> promptsOf(const Model &model, Options &options) {
  Prompts out;
  if (options.texts.file.empty()) {
    LINNET_ASSIGN(std::vector<TokenId> ids, promptIds(model, options.prompt));
    out.ids.push_back(std::move(ids));
    return out;
  }
  const std::string &file = options.texts.file;
  if (!model.tokenizer())
    return errorf("{}: the model has no tokenizer: give --ids instead of --file", model.path());
  training::ReadOptions read;
  read.empty_texts = true;
  LINNET_ASSIGN(std::vector<training::Record> records, options.texts.read(read));
  for (const training::Record &record : records) {
    auto encoding = model.tokenizer()->encode(record.text);
    if (!encoding) return errorf("{}: line {}: {}", file, record.line, encoding.error().message);
    if (encoding->ids.empty()) {
      const auto begin = model.tokenizer()->bosId();
      if (!begin)
        return errorf("{}: line {}: the text is empty, and the tokenizer names no token that begins a text "
                      "(bos_token)",
                      file, record.line);
      encoding->ids = {*begin};
      out.blank.push_back(record.line);
    }
    out.lines.push_back(record.line);
    out.ids.push_back(std::move(encoding->ids));
  }
  return out;
}

/// Reports the empty texts and the token that was embedded for them.
void noteBlank(const Prompts &prompts, const Model &model, const std::string &file) {
  if (prompts.blank.empty()) return;
  constexpr size_t kShown = 10;
  const std::span shown = std::span(prompts.blank).first(std::min(kShown, prompts.blank.size()));
  note(fmt::format("{}: {} empty text{} (line {}{}): the vector is that of {}", file, prompts.blank.size(),
                   prompts.blank.size() == 1 ? "" : "s", fmt::join(shown, ", "),
                   shown.size() < prompts.blank.size() ? ", ..." : "",
                   model.tokenizer()->tokenSpelling(*model.tokenizer()->bosId())));
}

Result<void> execute(Options &options) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet embed", ModelKind::Any));
  LINNET_ASSIGN(const Prompts prompts, promptsOf(open.model, options));
  const std::vector<std::vector<TokenId>> &all = prompts.ids;
  const bool from_file = !options.texts.file.empty();
  CancelOnSignal cancel(open.session);
  Matrix out;
  Progress progress;
  for (size_t i = 0; i < all.size(); ++i) {
    Result<Matrix> one = open.session.embed(all[i], poolingOf(options.pooling), options.layer);
    if (!one && from_file)
      return errorf("{}: line {}: {}", options.texts.file, prompts.lines[i], one.error().message);
    if (!one) return one.error();
    if (interrupted()) return Error{"interrupted"}; // after the last check of the call above
    out.rows += 1;
    out.columns = one->columns;
    out.values.insert(out.values.end(), one->values.begin(), one->values.end());
    progress.show("embedding", static_cast<double>(i + 1) / static_cast<double>(all.size()));
  }
  progress.clear();
  if (from_file) note(options.texts.said);
  if (from_file) noteBlank(prompts, open.model, options.texts.file);
  std::vector<int64_t> shape = {out.columns};
  if (from_file) shape.insert(shape.begin(), out.rows);
  if (!options.output.empty()) LINNET_TRY(writeNpy(options.output, out.values, shape));
  if (options.json) {
    Json json = {
        {"texts", out.rows}, {"shape", shape}, {"pooling", options.pooling}, {"layer", options.layer}};
    if (options.output.empty())
      json["values"] = out.values;
    else
      json["output"] = options.output;
    printJson(json);
  } else if (!options.output.empty()) {
    put("{}: float32 [{}]\n", options.output, fmt::join(shape, ", "));
  } else {
    for (int64_t row = 0; row < out.rows; ++row) {
      auto values = std::span(out.values)
                        .subspan(static_cast<size_t>(row * out.columns), static_cast<size_t>(out.columns));
      put("{:.7g}\n", fmt::join(values, " "));
    }
  }
  return {};
}

} // namespace embed_command

void addEmbed(CLI::App &app, Action &action) {
  using namespace embed_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("embed", "a text's hidden state as a vector");
  command->group("Running");
  addModelOption(*command, options->file);
  options->prompt.add(*command);
  options->texts.add(*command);
  addPooling(*command, options->pooling, "last or first position, or mean of all");
  command->add_option("--layer", options->layer, "0: embeddings, i: after block i, -1: after the last norm")
      ->check(CLI::Range(int64_t(-1), int64_t(1) << 20).description(""))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("-o,--output", options->output, "float32 array, [n_embd], or [texts, n_embd] with --file")
      ->type_name("FILE.npy");
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(
      example("  linnet embed model.linnet --prompt \"Once upon a time\" --pooling mean -o vector.npy"));
  command->callback([options, &action] {
    if (options->texts.file.empty())
      options->prompt.require();
    else if (options->prompt.given())
      usageError("--file excludes --prompt and --ids");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
