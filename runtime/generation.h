// Generation over several rows at once: feeds prompts in chunks, then samples and feeds tokens until every
// row has finished.
#pragma once
#include "linnet/session.h"
#include "runtime/decode_pace.h"
#include "runtime/language_runner.h"
#include "runtime/sampler.h"
#include "runtime/text_stream.h"

#include <atomic>
#include <vector>

namespace linnet {

/// One sequence. Its row in the cache is its index in `rows`.
struct GenerationRow {
  std::vector<TokenId> ids; ///< prompt and generated tokens
  int64_t cached = 0;       ///< number of ids in the cache
  size_t prompt = 0;        ///< number of ids in the prompt
  int64_t sequence = 0;     ///< number for the callback
  uint32_t copy = 0;        ///< see GenerateOptions::seed
  Sampler sampler;
  TextStream text;
  GenerateResult result;
  bool done = false;

  int64_t remaining() const { return static_cast<int64_t>(ids.size()) - cached; }
};

class Generation {
public:
  Generation(LanguageRunner &runner, const ModelConfig &config, const GenerateOptions &options,
             const Session::BatchCallback &callback, const std::atomic<bool> &cancelled)
      : runner(runner), config(config), options(options), callback(callback), cancelled(cancelled) {}

  /// `rows` are sorted by remaining(), largest first. Each has at least one token, and the cache has room for
  /// all.
  Result<void> run(std::vector<GenerationRow> &rows);

private:
  Result<void> feedPrompts(std::vector<GenerationRow> &rows);
  int64_t stepsAtOnce(const std::vector<GenerationRow> &rows) const;
  void bindLast(const std::vector<GenerationRow> &rows);
  Result<void> step(std::vector<GenerationRow> &rows);
  Result<void> decode(std::vector<GenerationRow> &rows, int64_t steps);
  Result<void> pick(std::vector<GenerationRow> &rows, size_t row);
  Result<void> pickFromLogits(std::vector<GenerationRow> &rows, size_t row);
  Result<void> checkLogits(const GenerationRow &row, std::span<const float> row_logits);
  Result<void> checkLast(const std::vector<GenerationRow> &rows);
  Result<void> take(GenerationRow &row, TokenId id);
  void accept(GenerationRow &row, TokenId id);
  void finish(GenerationRow &row, FinishReason reason);
  void cancelAll(std::vector<GenerationRow> &rows);
  bool isEos(TokenId id) const;
  double now() const;

  LanguageRunner &runner;
  const ModelConfig &config;
  const GenerateOptions &options;
  const Session::BatchCallback &callback;
  const std::atomic<bool> &cancelled;
  const LanguageEntry *entry = nullptr;
  int logits = -1; // index of the output
  bool read_token = false;
  bool sees_logits = false; // the host can read the logits of a token that the device chose
  double start = 0;
  bool on_device = false, draws = false; // the device decodes many tokens at once, and samples them
  std::vector<RowChunk> chunks;
  std::vector<uint32_t> copies; // by chunk
  DecodePace pace;
};

} // namespace linnet
