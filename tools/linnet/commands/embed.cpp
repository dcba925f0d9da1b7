// linnet embed: hidden states as vectors of texts.
#include "arguments.h"
#include "model.h"
#include "npy.h"
#include "output.h"
#include "signals.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"

#include <cmath>
#include <memory>

namespace linnet::cli {
namespace {

struct Options {
  std::string file, output, pooling = "last", texts;
  PromptOption prompt;
  DeviceOption device;
  int64_t layer = -1;
  bool json = false;
};

Pooling poolingOf(const std::string &name) {
  return name == "mean" ? Pooling::Mean : name == "first" ? Pooling::First : Pooling::Last;
}

/// One text a line, the last line's end optional.
std::vector<std::string_view> linesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Result<std::vector<std::vector<TokenId>>> prompts(const Model &model, const Options &options) {
  std::vector<std::vector<TokenId>> out;
  if (options.texts.empty()) {
    LINNET_ASSIGN(std::vector<TokenId> ids, promptIds(model, options.prompt));
    out.push_back(std::move(ids));
    return out;
  }
  if (!model.tokenizer())
    return errorf("{}: the model has no tokenizer: give --ids instead of --file", model.path());
  LINNET_ASSIGN(MappedFile file, MappedFile::open(options.texts));
  LINNET_ASSIGN(std::string_view text, withoutByteOrderMark(file.text(), options.texts));
  for (std::string_view line : linesOf(text)) {
    LINNET_ASSIGN(Encoding encoding, model.tokenizer()->encode(line));
    if (encoding.ids.empty()) return errorf("{}: line {} is empty", options.texts, out.size() + 1);
    out.push_back(std::move(encoding.ids));
  }
  if (out.empty()) return errorf("{}: no lines", options.texts);
  return out;
}

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet embed", ModelKind::Any));
  LINNET_ASSIGN(std::vector<std::vector<TokenId>> all, prompts(open.model, options));
  CancelOnSignal cancel(open.session);
  Matrix out;
  Progress progress;
  for (size_t i = 0; i < all.size(); ++i) {
    Result<Matrix> one = open.session.embed(all[i], poolingOf(options.pooling), options.layer);
    if (!one && all.size() > 1) return errorf("{}: line {}: {}", options.texts, i + 1, one.error().message);
    if (!one) return one.error();
    if (interrupted()) return Error{"interrupted"}; // after the last check of the call above
    out.rows += 1;
    out.columns = one->columns;
    out.values.insert(out.values.end(), one->values.begin(), one->values.end());
    progress.show("embedding", static_cast<double>(i + 1) / static_cast<double>(all.size()));
  }
  progress.clear();
  std::vector<int64_t> shape = {out.columns};
  if (!options.texts.empty()) shape.insert(shape.begin(), out.rows);
  if (!options.output.empty()) LINNET_TRY(writeNpy(options.output, out.values, shape));
  if (options.json) {
    Json json = {{"shape", shape}, {"pooling", options.pooling}, {"layer", options.layer}};
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

} // namespace

void addEmbed(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("embed", "a text's hidden state as a vector");
  command->group("Running");
  command->add_option("MODEL", options->file, "FILE.linnet; or a checkpoint, compiled into the cache first")
      ->required()
      ->type_name("");
  options->prompt.add(*command);
  command->add_option("-f,--file", options->texts, "one text a line, one row each")->type_name("FILE");
  command->add_option("--pooling", options->pooling, "last or first position, or mean of all")
      ->check(CLI::IsMember({"last", "mean", "first"}).description(""))
      ->type_name("HOW")
      ->capture_default_str();
  command->add_option("--layer", options->layer, "0: embeddings, i: after block i, -1: after the last norm")
      ->check(CLI::Range(int64_t(-1), int64_t(1) << 20).description(""))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("-o,--output", options->output, "float32 array, [n_embd], or [lines, n_embd] with --file")
      ->type_name("FILE.npy");
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(
      example("  linnet embed model.linnet --prompt \"Once upon a time\" --pooling mean -o vector.npy"));
  command->callback([options, &action] {
    if (options->texts.empty())
      options->prompt.require();
    else if (options->prompt.given())
      usageError("--file excludes --prompt and --ids");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
