// A conversation with a model: renders the messages with a chat template and generates the answers. The
// session keeps what was said in its cache: a turn feeds only the text that is new.
#pragma once
#include "chat/format.h"
#include "linnet/session.h"

#include <string>
#include <vector>

namespace linnet::chat {

struct Answer {
  GenerateResult result;     ///< its `prompt` has the tokens that were fed
  int64_t prompt_tokens = 0; ///< tokens of the rendered conversation
  int64_t cached_tokens = 0; ///< those of them that were in the cache
};

class Conversation {
public:
  /// `session` must be empty and outlive the conversation. An empty `system` is no message. Errors: the model
  /// has no tokenizer; the template rejects a conversation with this system prompt.
  static Result<Conversation> open(const Model &model, Session &session, Template chat,
                                   const std::string &system);

  const std::vector<Message> &messages() const { return said; }
  bool hasTurn() const { return said.size() >= first + 2; }

  /// Adds the user's text and the model's answer. An error leaves the messages unchanged: the template rejects
  /// the conversation, or it is longer than the context.
  Result<Answer> say(const std::string &text, const GenerateOptions &options, const TokenCallback &callback);
  /// Replaces the last turn. hasTurn() must be true. An error leaves the messages unchanged.
  Result<Answer> edit(const std::string &text, const GenerateOptions &options, const TokenCallback &callback);
  /// The user's text of the last turn. hasTurn() must be true.
  const std::string &lastText() const { return said[said.size() - 2].content; }
  /// Removes all turns. The system prompt stays.
  void reset();
  /// The conversation as JSON: a list of {"role", "content"}.
  Json toJson() const;

private:
  /// A text that was fed or generated as tokens of its own.
  struct Segment {
    std::string text;
    int64_t end; ///< number of the session's tokens up to here
  };

  Conversation(const Model &model, Session &session, Format format);
  Result<Answer> answer(std::vector<Message> messages, const GenerateOptions &options,
                        const TokenCallback &callback);

  Model model;
  Session *session;
  Format format;
  std::vector<Message> said;
  size_t first = 0; ///< index of the first turn
  std::vector<Segment>
      segments; ///< with a byte-level tokenizer, whose tokens of two texts side by side are those of both
  std::vector<TokenId> fed; ///< with another tokenizer: the session's tokens
  bool byte_level = true;
};

} // namespace linnet::chat
