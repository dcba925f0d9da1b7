// Answers of /v1/completions and /v1/chat/completions: one object, or a stream of server-sent events.
#pragma once
#include "server/engine.h"
#include "server/generation_request.h"
#include "support/json.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::server {

/// Collects the events of one request.
class GenerationAnswer {
public:
  GenerationAnswer(std::shared_ptr<const Served> served, const GenerationRequest &request);

  /// Takes an event of a text. For a streamed request, returns the server-sent events to write, which may be none.
  std::string take(const EngineEvent &event);
  /// Whether all texts have ended.
  bool complete() const { return unfinished == 0; }
  /// The last server-sent events of a stream: usage, if it was asked for, and [DONE].
  std::string end() const;
  /// The whole answer of a request that is not streamed.
  std::string body() const;

  bool streams() const { return stream; }

private:
  struct Choice {
    std::string text;
    std::vector<TokenId> ids;
    Json logprobs;             ///< an object, or null
    size_t characters = 0;     ///< characters of the text so far
    std::string finish_reason; ///< empty until the text has ended
    bool begun = false;        ///< whether the role of a chat stream was sent
  };

  Json head() const;
  Json usage() const;
  Json emptyLogprobs() const;
  void addLogprobs(Json &into, const Choice &choice, const BatchEvent &event) const;
  std::string tokenText(TokenId id) const;
  Json chatToken(TokenId id, float logprob) const;
  std::string chunk(size_t index, std::string_view text, const BatchEvent &event, const Json &logprobs,
                    const std::string &finish_reason);

  std::shared_ptr<const Served> served;
  bool chat, stream, include_usage, token_ids;
  int64_t choices_per_prompt, top_logprobs;
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  std::vector<bool> shared_counted; ///< one for each prompt
  std::vector<Choice> choices;
  size_t unfinished;
  std::string prefix; ///< the begin of every chunk, up to its choices
};

} // namespace linnet::server
