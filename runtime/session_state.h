// Inside of a Session.
#pragma once
#include "linnet/session.h"
#include "runtime/language_runner.h"
#include "runtime/loaded_model.h"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace linnet {

// Whatever way a call ends, it has answered the cancel() that came during it.
class CancelScope {
public:
  explicit CancelScope(std::atomic<bool> &flag) : flag(flag) {}
  ~CancelScope() { flag.store(false); }

private:
  std::atomic<bool> &flag;
};

struct Session::State {
  std::shared_ptr<LoadedModel> model; // outlives the runner, which points into its artifact
  std::unique_ptr<LanguageRunner> runner;
  std::vector<TokenId> history; // the text so far
  int64_t cached = 0;           // how many of them the cache holds
  std::atomic<bool> cancelled{false};

  Result<void> checkIds(std::span<const TokenId> ids, const char *what) const;
  /// An error where the model is a classifier, which does not predict tokens.
  Result<void> requireLanguageModel() const;
  /// By the model's tokenizer.
  Result<std::vector<TokenId>> encode(std::string_view text) const;
  /// An error if cancel() was called, which is thereby answered.
  Result<void> checkCancelled();
  /// Feeds `ids` behind `past` tokens of row 0, in chunks; calls `visit` after each with its first token's
  /// number in `ids` and its length. `output`: what visit reads, -1 for nothing.
  using Visit = std::function<Result<void>(int64_t first, int64_t count)>;
  Result<void> feed(const LanguageEntry &entry, std::span<const TokenId> ids, int64_t past, int output,
                    const Visit &visit);
  /// The entry, with an output of that name.
  Result<std::pair<const LanguageEntry *, int>> output(std::string_view entry, std::string_view name);
  void forget();
};

} // namespace linnet
