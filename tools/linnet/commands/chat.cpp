// linnet chat: a conversation, a line of standard input a turn.
#include "chat/conversation.h"
#include "chat/known.h"
#include "chat_option.h"
#include "commands/run.h"
#include "linnet/linnet.h"
#include "output.h"
#include "signals.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"
#include "tokenizer/unicode.h"

#include <memory>
#include <unistd.h>

namespace linnet::cli {
namespace chat_command {

constexpr const char *kHelp = "a line is a turn; /retry answers the last turn again, /edit TEXT replaces it, "
                              "/reset begins a new conversation, "
                              "/save FILE writes it as JSON, ctrl-C ends an answer, ctrl-D leaves";

class Chat {
public:
  Chat(OpenModel &open, chat::Conversation conversation, GenerateOptions options, bool stats)
      : open(open), conversation(std::move(conversation)), options(std::move(options)), stats(stats),
        terminal(isatty(STDIN_FILENO) != 0) {}

  Result<void> run() {
    if (terminal) note(kHelp);
    while (auto line = readLine(terminal)) {
      Result<bool> more = take(*line);
      // A person can go on after an error; a script cannot see it otherwise.
      if (!more && !terminal) return more.error();
      if (!more) printError(more.error().message);
      if (more && !*more) return {};
    }
    if (terminal) writeError("\n");
    return {};
  }

private:
  /// Handles a line. Returns false if the program was asked to end.
  Result<bool> take(const std::string &line) {
    if (line.empty()) return true;
    if (line[0] != '/') {
      return answer([&](const TokenCallback &callback) { return conversation.say(line, options, callback); });
    }
    const std::string name = line.substr(0, line.find(' ')),
                      rest = line.substr(std::min(line.size(), name.size() + 1));
    if (name == "/help") return note(kHelp), true;
    if (name == "/reset") return conversation.reset(), note("a new conversation begins"), true;
    if (name == "/save") return save(rest);
    if (name == "/edit" && rest.empty()) return Error{"/edit: expected a text after it, found nothing"};
    if (name != "/edit" && name != "/retry")
      return errorf("no command '{}': expected /help, /retry, /edit TEXT, /reset or /save FILE (a text that "
                    "begins with "
                    "/ needs a space before it)",
                    name);
    if (!conversation.hasTurn()) return errorf("{}: expected a turn before it, found none", name);
    if (name == "/retry") ++options.seed; // the same seed would draw the same answer
    const std::string text = name == "/retry" ? conversation.lastText() : rest;
    return answer([&](const TokenCallback &callback) { return conversation.edit(text, options, callback); });
  }

  Result<bool> save(const std::string &path) {
    if (path.empty()) return Error{"/save: expected a file after it, found nothing"};
    LINNET_TRY(writeTextFile(path, conversation.toJson().dump(2, ' ', false, Json::error_handler_t::replace) +
                                       "\n"));
    note("saved to " + path);
    return true;
  }

  template <class Generate> Result<bool> answer(Generate generate) {
    CancelOnSignal cancel(open.session);
    TokenStream stream(true);
    Result<chat::Answer> answer = generate(std::ref(stream));
    const bool stopped = answerInterrupt();
    if (!answer) return answer.error();
    put("\n");
    if (!flush()) return false;
    const GenerateResult &result = answer->result;
    if (result.finish_reason == FinishReason::Length)
      note(fmt::format("the answer ends here: --max-new-tokens is {}", options.max_new_tokens));
    if (result.finish_reason == FinishReason::Context)
      note(contextText(open.model.config()) + "; /reset begins anew");
    if (stats)
      note(fmt::format("{} tokens: {} from the cache, {} fed in {}; {} generated in {}, ended by {}",
                       answer->prompt_tokens, answer->cached_tokens, result.prompt.size(),
                       secondsText(result.timings.prompt_seconds), result.ids.size(),
                       secondsText(result.timings.generate_seconds), finishReasonName(result.finish_reason)));
    return result.finish_reason != FinishReason::Cancelled || stopped;
  }

  OpenModel &open;
  chat::Conversation conversation;
  GenerateOptions options;
  bool stats, terminal;
};

struct Options {
  std::string file;
  ChatOption chat;
  GenerationOption generation;
  DeviceOption device;
  bool stats = false;
};

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet chat"));
  return chatWith(open, options.chat, options.generation, options.stats);
}

} // namespace chat_command

void ChatOption::add(CLI::App &command) {
  command.add_option("--system", system, "the system prompt: what the model is told first")
      ->type_name("TEXT");
  addTemplate(command);
}

void ChatOption::addTemplate(CLI::App &command) {
  command.add_option("--chat-template", chat_template, "a file, or " + chat::knownTemplateNames())
      ->type_name("NAME|FILE");
}

Result<chat::Template> ChatOption::templateFor(const Model &model) const {
  if (chat_template.empty()) return chat::templateOf(model);
  if (const char *known = chat::knownTemplate(chat_template))
    return chat::Template::parse(known, chat_template);
  if (!fileExists(chat_template))
    return errorf("--chat-template: expected a file or one of {}, found '{}'", chat::knownTemplateNames(),
                  chat_template);
  LINNET_ASSIGN(std::string text, readTextFile(chat_template));
  LINNET_ASSIGN(std::string_view plain, withoutByteOrderMark(text, chat_template));
  return chat::Template::parse(plain, chat_template);
}

Result<void> chatWith(OpenModel &open, const ChatOption &option, const GenerationOption &generation,
                      bool stats) {
  GenerateOptions options = generation.over(open.model);
  if (!generation.limits() && options.max_new_tokens == GenerateOptions().max_new_tokens)
    options.max_new_tokens = open.model.config().context;
  LINNET_ASSIGN(chat::Template chat, option.templateFor(open.model));
  LINNET_ASSIGN(chat::Conversation conversation,
                chat::Conversation::open(open.model, open.session, std::move(chat), option.system));
  if (options.draws()) note(drawingText(options));
  return chat_command::Chat(open, std::move(conversation), std::move(options), stats).run();
}

void addChat(CLI::App &app, Action &action) {
  using namespace chat_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("chat", "talk with a model: a line of standard input is a turn");
  command->group("Running");
  addModelOption(*command, options->file);
  options->chat.add(*command);
  options->generation.add(*command);
  options->device.add(*command);
  command->add_flag("--stats", options->stats, "tokens and times of each turn, on standard error");
  command->footer(
      example("  linnet chat model.linnet --chat-template chatml -n 20 <<< \"Tell me a story.\""));
  command->callback([options, &action] {
    options->generation.check();
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
