// Generation, logits, embeddings, perplexity and classification by one model. A Session owns a KV cache and
// the position in it.
//
//   auto ids = model.tokenizer()->encode("Once upon")->ids;
//   auto result = session->generate(ids, {.max_new_tokens = 20},
//                                   [](linnet::TokenId, std::string_view text) {
//                                     std::cout << text;
//                                     return true;
//                                   });
//   auto found = classifier_session->classify("You won a prize, call now");
//   std::cout << classifier.config().labels[found->label];
#pragma once
#include "linnet/api.h"
#include "linnet/generate_options.h"
#include "linnet/model.h"
#include "linnet/profile.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

enum class FinishReason : uint8_t {
  Length,    ///< max_new_tokens
  Stop,      ///< one of GenerateOptions::stop
  Eos,       ///< an end-of-text token, which is the last of `ids` and not part of `text`
  Cancelled, ///< cancel(), or the callback returned false
  Context,   ///< the cache is full
};
/// "length", "stop", "eos", "cancelled", "context".
LINNET_API const char *finishReasonName(FinishReason reason);

struct Timings {
  int64_t prompt_tokens = 0, generated_tokens = 0;
  double prompt_seconds = 0;   ///< until the first token is known
  double generate_seconds = 0; ///< from then on; covers generated_tokens - 1 steps
};

struct GenerateResult {
  std::vector<TokenId> prompt, ids; ///< ids: the new ones
  std::string text;                 ///< of `ids`, cut at a stop text; empty without a tokenizer
  FinishReason finish_reason = FinishReason::Length;
  Timings timings;
};

/// Called for each new token, with the text that is complete because of it: never half a UTF-8 character,
/// never the beginning of what may become a stop text, possibly empty. Text still held back when generation
/// ends comes in one more call, with id -1. All pieces joined are GenerateResult::text. Return false to stop.
using TokenCallback = std::function<bool(TokenId id, std::string_view text)>;

enum class Pooling : uint8_t { Last, Mean, First };

/// Row-major float32.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;
};

struct Perplexity {
  double perplexity = 0; ///< e^(nll)
  double nll = 0;        ///< mean negative log likelihood of a token, in nats
  int64_t tokens = 0;    ///< that were predicted
};

/// A classifier's answer to one text.
struct Classification {
  size_t label = 0;                       ///< of the largest score: a number in ModelConfig::labels
  std::vector<float> scores = {};         ///< by label, as the model computes them
  std::vector<double> probabilities = {}; ///< by label, as ModelConfig::problem_type says
  bool truncated = false;                 ///< the text was longer than the context and lost its end
};

/// Not for two threads at a time, except cancel(). Sessions of one model are independent.
///
/// Functions that take text need the model's tokenizer. generate(), logits() and perplexity() need a language
/// model, classify() a classifier; embed() takes both.
class LINNET_API Session {
public:
  static Result<Session> open(const Model &model);
  Session(Session &&) noexcept;
  Session &operator=(Session &&) noexcept;
  ~Session();

  /// Continues after what the session holds: the first call starts a text, the next one goes on behind the
  /// tokens that were generated. Errors: an empty prompt on an empty session, an id outside [0, vocab_size),
  /// a prompt longer than the context that is left, options out of range. After an error the session is as
  /// before the call.
  Result<GenerateResult> generate(std::span<const TokenId> prompt, const GenerateOptions &options = {},
                                  const TokenCallback &callback = {});
  /// Prompts of any lengths and number; at most config().max_batch run together. Each gives the tokens that
  /// it gives alone, with the sequence number in GenerateOptions::seed's counter its place in `prompts`. The
  /// callback also tells the prompt's place. Starts from an empty session and leaves one.
  using BatchCallback = std::function<bool(int64_t sequence, TokenId id, std::string_view text)>;
  Result<std::vector<GenerateResult>> generateBatch(std::span<const std::vector<TokenId>> prompts,
                                                    const GenerateOptions &options = {},
                                                    const BatchCallback &callback = {});

  /// The functions below start from an empty session and leave one.

  /// Of the last position [1, vocab_size], or of `all` positions [ids, vocab_size].
  Result<Matrix> logits(std::span<const TokenId> ids, bool all = false);
  Result<Matrix> logits(std::string_view text, bool all = false);
  /// One vector [1, n_embd] of hidden states: of the last or first position, or their mean. layer 0 is what
  /// the embeddings give, i what block i gives (up to n_layer), -1 what the final layer norm gives.
  Result<Matrix> embed(std::span<const TokenId> ids, Pooling pooling = Pooling::Last, int64_t layer = -1);
  Result<Matrix> embed(std::string_view text, Pooling pooling = Pooling::Last, int64_t layer = -1);
  /// One answer for each text, in their order; config().max_batch texts of like length run together. Errors:
  /// an empty text, an id outside [0, vocab_size), a score that is NaN. `progress` is told the share that is
  /// done.
  using ProgressCallback = std::function<void(double fraction)>;
  Result<std::vector<Classification>> classify(std::span<const std::vector<TokenId>> texts,
                                               const ProgressCallback &progress = {});
  Result<std::vector<Classification>> classify(std::span<const std::string> texts,
                                               const ProgressCallback &progress = {});
  Result<Classification> classify(std::string_view text);
  /// Over windows of the context's length that start every `stride` tokens; each token is predicted once,
  /// from what its window holds before it, a window's first token excepted
  /// (https://huggingface.co/docs/transformers/perplexity). 0: windows do not overlap.
  Result<Perplexity> perplexity(std::span<const TokenId> ids, int64_t stride = 0);

  /// Ends the call that is running, at its next token or chunk of the prompt, or the next call if none is.
  /// From any thread, and from a signal handler.
  void cancel() noexcept;
  /// Forgets all tokens, and a cancel() that has met no call.
  void reset();
  /// Tokens that the session holds.
  int64_t position() const;
  MemoryUse memory() const;
  /// Every run of an entry to come is noted in `profiler`; null: no more.
  void setProfiler(std::shared_ptr<Profiler> profiler);

private:
  struct State;
  explicit Session(std::unique_ptr<State> s);
  std::unique_ptr<State> state;
};

} // namespace linnet
