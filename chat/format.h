// Messages as the text and the tokens that a model reads: a chat template with a tokenizer.
#pragma once
#include "chat/template.h"
#include "linnet/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::chat {

struct Message {
  std::string role; ///< "system", "user" or "assistant"
  std::string content;
};

/// The model's chat template: that of its configuration.
/// Errors: there is none, or it does not parse; they name --chat-template.
Result<Template> templateOf(const Model &model);

/// Thread-safe.
class Format {
public:
  /// Errors: the model has no tokenizer.
  static Result<Format> make(const Model &model, Template chat);

  /// The text of the messages. With `add_generation_prompt` it ends where the answer begins. Errors: the template
  /// rejects the messages.
  Result<std::string> render(const std::vector<Message> &messages, bool add_generation_prompt) const;
  /// Ids of a rendered text, or of a part of it.
  Result<Encoding> encode(std::string_view text) const;
  /// Tokens that end an answer: the model's, and the special token that the template writes after an answer.
  const std::vector<TokenId> &ends() const { return end_ids; }

private:
  Format(Tokenizer tokenizer, Template chat) : tokenizer(std::move(tokenizer)), chat(std::move(chat)) {}
  void findEndTokens();

  Tokenizer tokenizer;
  Template chat;
  std::vector<TokenId> end_ids;
};

} // namespace linnet::chat
