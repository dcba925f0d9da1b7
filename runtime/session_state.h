// The implementation of a Session.
#pragma once
#include "linnet/session.h"
#include "runtime/language_runner.h"
#include "runtime/loaded_model.h"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace linnet {

// Resets the cancel flag when a call ends in any way.
class CancelScope {
public:
  explicit CancelScope(std::atomic<bool> &flag) : flag(flag) {}
  ~CancelScope() { flag.store(false); }

private:
  std::atomic<bool> &flag;
};

/// An error if an id is outside the vocabulary; `what` names the list.
Result<void> checkTokens(const ModelConfig &config, std::span<const TokenId> ids, const char *what);
/// An error if an option is out of range, needs a tokenizer that the model lacks, or names a token outside the
/// vocabulary.
Result<void> checkFor(const LoadedModel &model, const GenerateOptions &options);

struct Session::State {
  std::shared_ptr<LoadedModel> model; // outlives the runner, which points into its artifact
  std::unique_ptr<LanguageRunner> runner;
  std::vector<TokenId> history; // the text so far
  int64_t cached = 0;           // number of its tokens in the cache
  std::atomic<bool> cancelled{false};

  /// An empty session of the model.
  static Result<std::unique_ptr<State>> open(std::shared_ptr<LoadedModel> model);
  Result<void> checkIds(std::span<const TokenId> ids, const char *what) const;
  /// An error if the model is a classifier, which does not predict tokens.
  Result<void> requireLanguageModel() const;
  /// Encodes with the model's tokenizer; an error if there is none.
  Result<std::vector<TokenId>> encode(std::string_view text) const;
  /// An error if cancel() was called. Resets the flag.
  Result<void> checkCancelled();
  /// Feeds `ids` in chunks after the `past` tokens of row 0. After each chunk it calls `visit` with the index
  /// of the chunk's first token in `ids` and its length. `output` is the output that `visit` reads; -1: none.
  using Visit = std::function<Result<void>(int64_t first, int64_t count)>;
  Result<void> feed(const LanguageEntry &entry, std::span<const TokenId> ids, int64_t past, int output,
                    const Visit &visit);
  /// Feeds the first `fed` of `ids`. `visit` receives the layer's states of each chunk, [tokens, n_embd], and the index
  /// of its first token. Starts from an empty session; see Session::embed for errors.
  using HiddenVisit = std::function<void(int64_t first, std::span<const float> values)>;
  Result<void> feedHidden(std::span<const TokenId> ids, size_t fed, int64_t layer, const HiddenVisit &visit);
  /// The entry `entry`, and the index of its output `name`.
  Result<std::pair<const LanguageEntry *, int>> output(std::string_view entry, std::string_view name);
  void forget();
};

} // namespace linnet
