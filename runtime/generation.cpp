#include "runtime/generation.h"
#include "runtime/not_finite.h"
#include "support/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace linnet {

double Generation::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool isEndToken(const ModelConfig &config, const GenerateOptions &options, TokenId id) {
  const auto &ends = options.eos_ids.empty() ? config.eos_ids : options.eos_ids;
  return !options.ignore_eos && std::find(ends.begin(), ends.end(), id) != ends.end();
}

Result<void> Generation::run(std::vector<GenerationRow> &rows) {
  LINNET_ASSIGN(entry, runner.entry("generate"));
  read_token = entry->output("token") >= 0 && rows.front().sampler.isPlainArgmax();
  logits = entry->output("logits");
  sees_logits = read_token && logits >= 0 && !runner.hasLoop();
  // The device changes no logits.
  draws = options.draws() && !options.changesLogits() && runner.canDraw();
  on_device = draws || (read_token && runner.canDecode());
  start = now();
  chunks.reserve(rows.size());
  copies.reserve(rows.size());
  LINNET_TRY(feedPrompts(rows));
  while (std::any_of(rows.begin(), rows.end(), [](const GenerationRow &row) { return !row.done; })) {
    if (cancelled.load(std::memory_order_relaxed)) {
      cancelAll(rows);
      break;
    }
    const int64_t steps = stepsAtOnce(rows);
    // The device samples every token of a row except the first, so the result does not depend on chunk
    // lengths.
    LINNET_TRY(steps > 1 || draws ? decode(rows, steps) : step(rows));
  }
  return on_device && logits >= 0 && !cancelled.load(std::memory_order_relaxed) ? checkLast(rows)
                                                                                : Result<void>();
}

size_t promptChunk(size_t left, size_t most) {
  return left == most + 1 && most > 1 ? most - 1 : std::min(left, most);
}

// Feeds chunks of at most the entry's bound. Rows are full until their last chunk, so only that one is
// padded. Rows are sorted by length, so finished rows are at the end of the batch and are dropped.
Result<void> Generation::feedPrompts(std::vector<GenerationRow> &rows) {
  while (true) {
    if (cancelled.load(std::memory_order_relaxed)) {
      cancelAll(rows);
      return {};
    }
    chunks.clear();
    for (GenerationRow &row : rows) {
      if (row.done || row.result.timings.generated_tokens > 0) break;
      auto left = std::span<const TokenId>(row.ids).subspan(static_cast<size_t>(row.cached));
      chunks.push_back(
          {left.first(promptChunk(left.size(), static_cast<size_t>(entry->max_seq))), row.cached});
    }
    if (chunks.empty()) return {};
    bool last = false;
    for (size_t i = 0; i < chunks.size(); ++i)
      last |= rows[i].remaining() == static_cast<int64_t>(chunks[i].ids.size());
    LINNET_TRY(runner.run(*entry, chunks, !rows.front().continues, last ? logits : -1));
    for (size_t i = 0; i < chunks.size(); ++i) {
      rows[i].cached += static_cast<int64_t>(chunks[i].ids.size());
      if (rows[i].remaining() > 0) continue;
      if (options.max_new_tokens == 0)
        finish(rows[i], FinishReason::Length);
      else
        LINNET_TRY(pickFromLogits(rows, i));
    }
  }
}

// The number of tokens that the device may decode before the host reads them: at most the remaining length of
// any row.
int64_t Generation::stepsAtOnce(const std::vector<GenerationRow> &rows) const {
  int64_t steps = on_device ? std::min(runner.mostAtOnce(), pace.steps()) : 1;
  for (const GenerationRow &row : rows)
    if (!row.done)
      steps = std::min(
          {steps, options.max_new_tokens - row.result.timings.generated_tokens, entry->context - row.cached});
  return steps;
}

// Binds the last token of each unfinished row. Finished rows between them are fed tokens whose results are
// not read.
void Generation::bindLast(const std::vector<GenerationRow> &rows) {
  static constexpr TokenId kNothing = 0;
  size_t batch = 0;
  for (size_t i = 0; i < rows.size(); ++i)
    if (!rows[i].done) batch = i + 1;
  chunks.clear();
  for (size_t i = 0; i < batch; ++i) {
    const GenerationRow &row = rows[i];
    if (row.done)
      chunks.push_back({std::span(&kNothing, 1), std::min(row.cached, entry->context - 1)});
    else
      chunks.push_back({std::span<const TokenId>(row.ids).last(1), row.cached});
  }
}

// Generates one more token for each unfinished row.
Result<void> Generation::step(std::vector<GenerationRow> &rows) {
  bindLast(rows);
  const double begin = now();
  LINNET_TRY(runner.run(*entry, chunks, false, read_token ? entry->output("token") : logits,
                        sees_logits ? logits : -1));
  pace.note(1, now() - begin);
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (rows[i].done) continue;
    ++rows[i].cached;
    LINNET_TRY(pick(rows, i));
  }
  return {};
}

// Equivalent to `steps` calls of step(). Tokens that the device decoded after a row's end are discarded: the
// row's `cached` does not count them, so the next turn's tokens overwrite them.
Result<void> Generation::decode(std::vector<GenerationRow> &rows, int64_t steps) {
  bindLast(rows);
  copies.clear();
  for (size_t i = 0; i < chunks.size(); ++i) copies.push_back(rows[i].copy);
  const Draw draw{options.temperature, options.top_p, options.top_k, options.seed, copies};
  const double begin = now();
  LINNET_ASSIGN(auto tokens, runner.decode(*entry, chunks, steps, draws ? &draw : nullptr));
  pace.note(steps, now() - begin);
  for (size_t first = 0; first < tokens.size(); first += chunks.size()) {
    if (first > 0 && cancelled.load(std::memory_order_relaxed)) return {};
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (rows[i].done) continue;
      ++rows[i].cached;
      LINNET_TRY(take(rows[i], tokens[first + i]));
    }
  }
  return {};
}

// Takes the new token of a row from the last run.
Result<void> Generation::pick(std::vector<GenerationRow> &rows, size_t i) {
  if (!read_token) return pickFromLogits(rows, i);
  LINNET_ASSIGN(auto tokens, runner.ints(entry->output("token")));
  const TokenId id = tokens[i];
  if (sees_logits && id >= 0 && id < config.vocab_size) {
    LINNET_ASSIGN(auto all, runner.floats(logits));
    // The largest logit is finite unless all are NaN or one is infinite.
    const auto chosen = all.subspan(i * static_cast<size_t>(config.vocab_size) + static_cast<size_t>(id), 1);
    if (!std::isfinite(chosen[0])) LINNET_TRY(checkLogits(rows[i], chosen));
  }
  return take(rows[i], id);
}

Result<void> Generation::pickFromLogits(std::vector<GenerationRow> &rows, size_t i) {
  GenerationRow &row = rows[i];
  LINNET_ASSIGN(auto all, runner.floats(logits));
  const size_t vocab = static_cast<size_t>(config.vocab_size);
  const auto mine = all.subspan(i * vocab, vocab);
  LINNET_TRY(checkLogits(row, mine));
  LINNET_ASSIGN(const std::optional<TokenId> id, row.sampler.next(mine, {row.sequence, row.ids, row.copy}));
  if (id) return take(row, *id);
  finish(row, FinishReason::Cancelled);
  return {};
}

// Without this check, a model with NaN logits would generate token 0 forever.
Result<void> Generation::checkLogits(const GenerationRow &row, std::span<const float> row_logits) {
  const size_t at = firstNotFinite(row_logits);
  if (at == row_logits.size()) return {};
  return notFinite(fmt::format("the model's logit after {} tokens", row.cached),
                   static_cast<double>(row_logits[at]), runner,
                   std::span<const TokenId>(row.ids).first(static_cast<size_t>(row.cached)));
}

// The host has not read the logits of tokens that the device chose. NaN in the cache makes all later logits
// NaN, so it is enough to recompute and check the logits of the last token.
Result<void> Generation::checkLast(const std::vector<GenerationRow> &rows) {
  chunks.clear();
  bool chosen = false;
  for (const GenerationRow &row : rows) {
    if (row.cached < 1) return {};
    chosen |= row.result.timings.generated_tokens > 1; // the host chose the first token
    const auto last = std::span<const TokenId>(row.ids).subspan(static_cast<size_t>(row.cached - 1), 1);
    chunks.push_back({last, row.cached - 1});
  }
  if (!chosen) return {};
  LINNET_TRY(runner.run(*entry, chunks, false, logits));
  LINNET_ASSIGN(auto all, runner.floats(logits));
  const size_t vocab = static_cast<size_t>(config.vocab_size);
  for (size_t i = 0; i < rows.size(); ++i) LINNET_TRY(checkLogits(rows[i], all.subspan(i * vocab, vocab)));
  return {};
}

Result<void> Generation::take(GenerationRow &row, TokenId id) {
  if (id < 0 || id >= config.vocab_size)
    return errorf("the model chose token {}, its vocabulary has {}", id, config.vocab_size);
  accept(row, id);
  return {};
}

void Generation::accept(GenerationRow &row, TokenId id) {
  Timings &timings = row.result.timings;
  row.ids.push_back(id);
  row.sampler.seeGenerated(id);
  double elapsed = now() - start;
  if (++timings.generated_tokens == 1)
    timings.prompt_seconds = elapsed;
  else
    timings.generate_seconds = elapsed - timings.prompt_seconds;
  bool eos = isEndToken(config, options, id);
  std::string piece = eos ? std::string() : row.text.push(id);
  row.result.text += piece;
  bool go_on = !callback || callback(row.sequence, id, piece);
  if (eos) return finish(row, FinishReason::Eos);
  if (row.text.stopped()) return finish(row, FinishReason::Stop);
  if (!go_on) return finish(row, FinishReason::Cancelled);
  if (timings.generated_tokens >= options.max_new_tokens) return finish(row, FinishReason::Length);
  if (row.cached >= entry->context) finish(row, FinishReason::Context);
}

void Generation::finish(GenerationRow &row, FinishReason reason) {
  row.done = true;
  row.result.finish_reason = reason;
  std::string rest = row.text.flush();
  if (rest.empty()) return;
  row.result.text += rest;
  if (callback) callback(row.sequence, -1, rest);
}

void Generation::cancelAll(std::vector<GenerationRow> &rows) {
  for (GenerationRow &row : rows)
    if (!row.done) finish(row, FinishReason::Cancelled);
}

} // namespace linnet
