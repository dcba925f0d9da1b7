// linnet run without a prompt: reads lines from a terminal, which continue one text.
#include "commands/run.h"
#include "output.h"
#include "signals.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

namespace linnet::cli {
namespace {

struct Freed {
  void operator()(char *line) const { std::free(line); }
};

/// Continues the text after a line. Returns false if the program was asked to end.
bool answer(OpenModel &open, const GenerateOptions &options, const std::string &line) {
  const bool first = open.session.position() == 0;
  if (first && line.empty()) {
    note("the text is empty: type how it begins");
    return true;
  }
  const std::string addition = first || line.empty() ? line : "\n" + line;
  EncodeOptions encode;
  encode.add_special_tokens = first;
  auto encoding = open.model.tokenizer()->encode(addition, encode);
  if (!encoding) return printError(encoding.error().message), true;
  CancelOnSignal cancel(open.session);
  TokenStream stream(true);
  auto result = open.session.generate(encoding->ids, options, std::ref(stream));
  const bool stopped = answerInterrupt();
  if (!result) return printError(result.error().message), note("/reset begins a new text"), true;
  put("\n");
  if (!flush()) return false;
  if (result->finish_reason == FinishReason::Context)
    note(contextText(open.model.config()) + "; /reset begins a new text");
  return result->finish_reason != FinishReason::Cancelled || stopped;
}

} // namespace

std::optional<std::string> readLine(bool prompt) {
  if (prompt) writeError("> ");
  char *line = nullptr;
  size_t capacity = 0;
  const ssize_t length = getline(&line, &capacity, stdin);
  std::unique_ptr<char, Freed> owner(line);
  if (length < 0) return std::nullopt;
  std::string text(line, static_cast<size_t>(length));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

bool TokenStream::operator()(TokenId id, std::string_view piece) {
  if (text)
    put(piece);
  else if (id >= 0)
    put("{}{}", count++ ? "," : "", id);
  return flush();
}

std::string contextText(const ModelConfig &config) {
  std::string text = fmt::format("the text ends here: the context of {} tokens is full", config.context);
  if (config.context < config.n_positions)
    text += fmt::format(" (the model has {}: compile with --max-context)", config.n_positions);
  return text;
}

Result<void> converse(OpenModel &open, const GenerateOptions &options) {
  if (!open.model.tokenizer())
    return Error{open.model.path() + ": the model has no tokenizer: give --ids instead of lines of text"};
  note(
      "each line continues the text, an empty one lets the model go on; ctrl-C stops it, /reset begins a new "
      "text, ctrl-D leaves");
  while (auto line = readLine(true)) {
    if (*line == "/reset")
      open.session.reset();
    else if (!answer(open, options, *line))
      return {};
  }
  writeError("\n");
  return {};
}

} // namespace linnet::cli
