// Generation, logits, embeddings, perplexity and classification with one model. A Session owns a KV cache and
// its position.
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
  Length,    ///< max_new_tokens was reached
  Stop,      ///< one of GenerateOptions::stop was generated
  Eos,       ///< an end token was generated; it is the last of `ids` and not part of `text`
  Cancelled, ///< cancel() was called, or the callback returned false
  Context,   ///< the KV cache is full
};
/// "length", "stop", "eos", "cancelled", "context".
LINNET_API const char *finishReasonName(FinishReason reason);

struct Timings {
  int64_t prompt_tokens = 0, generated_tokens = 0;
  double prompt_seconds = 0;   ///< until the first new token is known
  double generate_seconds = 0; ///< of the other generated_tokens - 1 tokens
};

struct GenerateResult {
  std::vector<TokenId> prompt, ids; ///< the prompt's tokens, and the new ones
  std::string text;                 ///< text of `ids`, cut at a stop text; empty without a tokenizer
  FinishReason finish_reason = FinishReason::Length;
  Timings timings;
};

/// Called for each new token with the text that it completes. The text may be empty. It never ends with half
/// a UTF-8 character or with the beginning of a stop text. If such text remains when generation ends, one
/// more call with id -1 delivers it. All texts concatenated are GenerateResult::text. Return false to stop.
using TokenCallback = std::function<bool(TokenId id, std::string_view text)>;

enum class Pooling : uint8_t { Last, Mean, First };

/// A row-major float32 matrix.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;
};

struct Perplexity {
  double perplexity = 0; ///< e^(nll)
  double nll = 0;        ///< mean negative log likelihood per token, in nats
  int64_t tokens = 0;    ///< number of predicted tokens
};

/// A classifier's answer to one text.
struct Classification {
  size_t label = 0;                       ///< label of the largest score: an index in ModelConfig::labels
  std::vector<float> scores = {};         ///< by label
  std::vector<double> probabilities = {}; ///< by label, according to ModelConfig::problem_type
  bool truncated = false;                 ///< the text was longer than the context, and its end was cut
};

/// Not thread-safe, except cancel(). Sessions of one model are independent.
///
/// Functions that take text need the model's tokenizer. generate(), logits() and perplexity() need a language
/// model, classify() a classifier; embed() takes both.
class LINNET_API Session {
public:
  static Result<Session> open(const Model &model);
  /// A new session with the same tokens and a copy of their cache. Afterwards the two are independent. A profiler and a
  /// cancel() that has not ended a call stay with this session. Errors: memory is insufficient, or the device failed.
  Result<Session> fork();
  Session(Session &&) noexcept;
  Session &operator=(Session &&) noexcept;
  ~Session();

  /// Continues the session's text: the first call starts a text, later calls append to the generated tokens.
  /// Errors: an empty prompt on an empty session, an id outside [0, vocab_size), a prompt longer than the
  /// remaining context, options out of range. An error leaves the session unchanged.
  Result<GenerateResult> generate(std::span<const TokenId> prompt, const GenerateOptions &options = {},
                                  const TokenCallback &callback = {});
  /// Continues prompts of any lengths and number, at most config().max_batch at a time. Each gives the tokens
  /// that it gives alone, except that sampling counts equal prompts before it (GenerateOptions::seed). The
  /// callback also receives the prompt's index. Starts from an empty session and leaves one.
  using BatchCallback = std::function<bool(int64_t sequence, TokenId id, std::string_view text)>;
  Result<std::vector<GenerateResult>> generateBatch(std::span<const std::vector<TokenId>> prompts,
                                                    const GenerateOptions &options = {},
                                                    const BatchCallback &callback = {});

  /// The functions below start from an empty session and leave one.

  /// Logits of the last position [1, vocab_size], or with `all` of every position [ids, vocab_size].
  Result<Matrix> logits(std::span<const TokenId> ids, bool all = false);
  Result<Matrix> logits(std::string_view text, bool all = false);
  /// One vector [1, n_embd]: the hidden state of the last or first position, or the mean of all. Layer 0 is
  /// the sum of the embeddings, layer i (up to n_layer) the output of block i, -1 that of the final layer
  /// norm.
  Result<Matrix> embed(std::span<const TokenId> ids, Pooling pooling = Pooling::Last, int64_t layer = -1);
  Result<Matrix> embed(std::string_view text, Pooling pooling = Pooling::Last, int64_t layer = -1);
  /// The state of every position [ids, n_embd], of a layer as in embed().
  Result<Matrix> hiddenStates(std::span<const TokenId> ids, int64_t layer = -1);
  /// One answer for each text, in order. Batches have up to config().max_batch texts of similar length.
  /// Errors: an empty text, an id outside [0, vocab_size), a score that is NaN. `progress` receives the
  /// finished fraction.
  using ProgressCallback = std::function<void(double fraction)>;
  Result<std::vector<Classification>> classify(std::span<const std::vector<TokenId>> texts,
                                               const ProgressCallback &progress = {});
  Result<std::vector<Classification>> classify(std::span<const std::string> texts,
                                               const ProgressCallback &progress = {});
  Result<Classification> classify(std::string_view text);
  /// Perplexity over windows as long as the context that start every `stride` tokens (0: windows do not
  /// overlap). Each token except a window's first is predicted once, from the tokens before it in its window
  /// (https://huggingface.co/docs/transformers/perplexity).
  Result<Perplexity> perplexity(std::span<const TokenId> ids, int64_t stride = 0);

  /// Ends the running call at its next token or chunk of the prompt. If no call is running, it ends the next
  /// one. May be called from any thread and from a signal handler.
  void cancel() noexcept;
  /// Removes all tokens, and a cancel() that has not ended a call yet.
  void reset();
  /// Keeps the first `tokens` tokens and removes the others; nothing if there are not more. The next
  /// generate() continues after them, and reuses their cached keys and values.
  void rewind(int64_t tokens);
  /// Number of tokens in the session.
  int64_t position() const;
  MemoryUse memory() const;
  /// Records later runs in `profiler`. Null stops recording.
  void setProfiler(std::shared_ptr<Profiler> profiler);

private:
  struct State;
  explicit Session(std::unique_ptr<State> s);
  std::unique_ptr<State> state;
};

} // namespace linnet
