// Options of conversations, for linnet chat and linnet run --chat.
#pragma once
#include "arguments.h"
#include "chat/template.h"
#include "generation_option.h"
#include "model.h"

#include <string>

namespace linnet::cli {

struct ChatOption {
  std::string system, chat_template;
  void add(CLI::App &command);
  /// --chat-template alone.
  void addTemplate(CLI::App &command);
  bool given() const { return !system.empty() || !chat_template.empty(); }
  /// The template of --chat-template, a name or a file; else the model's.
  Result<chat::Template> templateFor(const Model &model) const;
};

/// Lines of standard input as turns, until it ends. Without a limit, answers are as long as the context allows.
/// `stats` notes the tokens of each turn.
Result<void> chatWith(OpenModel &open, const ChatOption &option, const GenerationOption &generation,
                      bool stats);

} // namespace linnet::cli
