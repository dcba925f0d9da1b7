// Generates many texts at once. Texts join and leave between two steps.
//
//   auto batch = linnet::Batch::open(model);
//   auto number = batch->add({.prompt = ids, .options = {.max_new_tokens = 64}});
//   while (!batch->idle()) {
//     auto events = batch->step();
//     if (!events) return fail(events.error().message);
//     for (const linnet::BatchEvent &event : *events) std::cout << event.text;
//   }
#pragma once
#include "linnet/session.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace linnet {

struct BatchOptions {
  int64_t rows = 0; ///< most texts at once, in [1, config().max_batch]; 0: max_batch
  int64_t prompt_chunk =
      0; ///< most tokens of a prompt in a step, at least 2; 0: as many as the artifact allows
};

struct BatchRequest {
  std::vector<TokenId> prompt; ///< at least one token, at most config().context
  GenerateOptions options = {};
  uint32_t copy = 0;         ///< see GenerateOptions::seed
  int64_t top_logprobs = -1; ///< how many of the likeliest tokens each event lists; -1: no log probabilities
};

/// The result of one step for one text.
struct BatchEvent {
  int64_t number = 0; ///< the text, as add() returned it
  TokenId id = -1;    ///< the new token; -1: there is none, the event ends the text
  std::string text;   ///< the text that the token completes; see TokenCallback
  /// Natural logarithms of softmax(logits), before penalties, bias, temperature, top_k and top_p. With top_logprobs.
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top = {}; ///< likeliest first
  int64_t shared_tokens = 0; ///< with a text's first event: tokens of the prompt that were in the cache
  /// One of the two is set with the last event of a text. A text fails if its logits are not finite, or if
  /// GenerateOptions::on_logits leaves none that is.
  std::optional<FinishReason> finished = {};
  std::optional<Error> error = {};
};

/// How full the batch is, and what it did since it was opened.
struct BatchCounts {
  int64_t rows = 0, running = 0; ///< rows, and those of them that have a text
  int64_t steps = 0;             ///< step() calls that ran the model
  int64_t prompt_tokens = 0;     ///< tokens of prompts, without the shared ones
  int64_t shared_tokens = 0;     ///< tokens of prompts that were in the cache already
  int64_t generated_tokens = 0;
  int64_t cached_tokens = 0;  ///< tokens in the cache now, those of ended texts included
  int64_t evicted_tokens = 0; ///< tokens of ended and failed texts that were removed from the cache
};

/// Not thread-safe. Batches and Sessions of one model are independent.
///
/// On a processor a text's tokens depend on its prompt and options only. They are those of Session::generate on the
/// same artifact, for any other texts in the batch. A Vulkan device chooses kernels by the number of rows, so tokens
/// may differ in the last bits and flip near-ties. It also draws tokens itself in a Session, but not in a Batch.
///
/// Long prompts are fed in chunks, each between two tokens of the others, and take turns. A prompt reuses the keys and
/// values of an earlier text for the tokens that both prompts begin with. The earlier text may run, or be in the cache
/// still. The last two tokens of a prompt are always computed. Generated tokens are not reused.
class LINNET_API Batch {
public:
  /// Errors: the model is a classifier; options out of range; memory is insufficient.
  static Result<Batch> open(const Model &model, const BatchOptions &options = {});
  Batch(Batch &&) noexcept;
  Batch &operator=(Batch &&) noexcept;
  ~Batch();

  /// Adds a text and returns its number; numbers are not reused. Errors leave the batch unchanged. Errors: no row is
  /// free(); the prompt is empty, longer than the context or has an id outside the vocabulary; options are out of
  /// range.
  Result<int64_t> add(BatchRequest request);
  /// Number of texts that can be added now.
  int64_t free() const;
  /// Whether no text is running.
  bool idle() const;
  /// Ends a text without an event; nothing if it has ended. Its row is free afterwards. The last step's events may
  /// still contain some of the text.
  void remove(int64_t number);
  /// Generates one token for each text whose prompt was fed, and feeds at most a chunk of prompts. Returns what
  /// happened, empty if nothing did; valid until the next call. After an error (a lost device) all later steps
  /// return it.
  Result<std::span<const BatchEvent>> step();
  BatchCounts counts() const;
  MemoryUse memory() const;

private:
  struct State;
  explicit Batch(std::unique_ptr<State> s);
  std::unique_ptr<State> state;
};

} // namespace linnet
