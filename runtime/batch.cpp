// Continuous batching. Each text has a row of the KV cache. Texts that generate share one call of the model, in which
// the rows between them are fed tokens whose results are not read. Prompts are fed one row at a time and take turns.
#include "linnet/batch.h"
#include "runtime/generation.h"
#include "runtime/not_finite.h"
#include "runtime/session_state.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet {

struct Batch::State {
  /// A text that is running.
  struct Running {
    int64_t number;
    BatchRequest request;
    Sampler sampler;
    TextStream stream;
    int64_t turn = 0;   ///< prompts of lower turns are fed first
    bool begun = false; ///< a chunk of its prompt was fed
    int64_t shared = 0; ///< tokens of its prompt that were in the cache
    int64_t generated = 0;
  };

  /// A row of the cache. After its text has ended it keeps the text's keys and values for later prompts.
  struct Row {
    std::vector<TokenId> ids;    ///< the text: prompt and generated tokens
    int64_t cached = 0;          ///< number of ids in the cache
    int64_t prompt = 0;          ///< number of ids in the prompt
    int64_t used = 0;            ///< the step that used the row last
    std::optional<Running> text; ///< none: the row is free

    bool reads() const { return text && text->generated == 0; }
    bool generates() const { return text && text->generated > 0; }
    int64_t remaining() const { return static_cast<int64_t>(ids.size()) - cached; }
  };

  std::shared_ptr<LoadedModel> model; // outlives the runner, which points into its artifact
  std::unique_ptr<LanguageRunner> runner;
  const LanguageEntry *entry = nullptr;
  int logits = -1, token = -1; // outputs of the entry
  int64_t chunk = 0;           // most tokens of a prompt in a step
  std::vector<Row> rows;
  std::vector<BatchEvent> events;
  std::vector<RowChunk> chunks;
  BatchCounts counts;
  int64_t next_number = 0, next_turn = 0;
  std::vector<TokenId> tokens;  // of the last call
  std::optional<Error> failure; // of an earlier step

  static constexpr int64_t kWorthwhile = 8; ///< a copy of fewer tokens saves nothing
  static int64_t sharedTokens(const Row &row, std::span<const TokenId> prompt);
  int64_t context() const { return model->config.context; }
  size_t rowFor(std::span<const TokenId> prompt) const;
  void evict(Row &row);
  void end(Row &row);
  Result<void> makeCompact();
  Result<void> generate();
  Result<void> share(size_t row);
  Result<void> feedPrompts();
  Result<void> feed(size_t row, int64_t count);
  std::optional<TokenId> choose(Row &row, std::span<const float> logits, BatchEvent &event);
  Result<void> pick(Row &row, size_t number, std::optional<TokenId> chosen);
  void accept(Row &row, BatchEvent event);
};

/// A prompt is shared up to its last two tokens, which are fed as a prompt: see LanguageRunner::run. Generated
/// tokens are not shared: a prompt computes them with other rounding.
int64_t Batch::State::sharedTokens(const Row &row, std::span<const TokenId> prompt) {
  constexpr int64_t kFed = 2;
  const int64_t most = std::min({row.cached, row.prompt, static_cast<int64_t>(prompt.size()) - kFed});
  int64_t same = 0;
  while (same < most && row.ids[static_cast<size_t>(same)] == prompt[static_cast<size_t>(same)]) ++same;
  return same;
}

/// A free row whose text the prompt continues; else an empty one, else the one that was used least recently. share()
/// then copies what other rows have of the prompt.
size_t Batch::State::rowFor(std::span<const TokenId> prompt) const {
  size_t best = rows.size();
  std::pair<int64_t, int64_t> best_rank;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row &row = rows[i];
    if (row.text) continue;
    const int64_t shared = sharedTokens(row, prompt);
    const int64_t kept = std::min(row.cached, row.prompt); // tokens that later prompts could share
    std::pair<int64_t, int64_t> rank = {2, row.used};
    if (row.cached == 0) rank = {1, 0};
    if (shared > 0 && kept - shared < kWorthwhile) rank = {0, -shared};
    if (best == rows.size() || rank < best_rank) best = i, best_rank = rank;
  }
  return best;
}

void Batch::State::evict(Row &row) {
  counts.evicted_tokens += row.cached;
  row = Row();
}

/// Frees the row. If the row is full, its last entry is dropped: calls for other rows write after the cached tokens.
void Batch::State::end(Row &row) {
  row.text.reset();
  row.cached = std::min(row.cached, context() - 1);
}

/// While more than a third of the rows of a call would have no generating text, moves the last one into a free row
/// between the others.
Result<void> Batch::State::makeCompact() {
  while (true) {
    size_t count = 0, first = rows.size(), last = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i].generates()) continue;
      ++count, first = std::min(first, i), last = i;
    }
    if (count == 0 || 2 * (last - first + 1) <= 3 * count) return {};
    size_t hole = first + 1;
    while (hole < last && rows[hole].text) ++hole;
    if (hole == last) return {};
    LINNET_TRY(runner->copyRow(static_cast<int64_t>(last), static_cast<int64_t>(hole), rows[last].cached));
    counts.evicted_tokens += rows[hole].cached;
    rows[hole] = std::move(rows[last]);
    rows[last] = Row();
  }
}

Result<void> Batch::State::generate() {
  static constexpr TokenId kNothing = 0;
  LINNET_TRY(makeCompact());
  size_t first = rows.size(), last = 0;
  bool plain = token >= 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].generates()) continue;
    first = std::min(first, i), last = i;
    plain &= rows[i].text->sampler.isPlainArgmax() && rows[i].text->request.top_logprobs < 0;
  }
  if (first == rows.size()) return {};
  chunks.clear();
  for (size_t i = first; i <= last; ++i) {
    const Row &row = rows[i];
    if (row.generates())
      chunks.push_back({std::span<const TokenId>(row.ids).last(1), row.cached});
    else
      chunks.push_back({std::span(&kNothing, 1), row.cached});
  }
  LINNET_TRY(runner->selectRows(static_cast<int64_t>(first)));
  LINNET_TRY(runner->run(*entry, chunks, false, logits, plain ? token : -1));
  if (plain) { // copied: reading another output may end their life
    LINNET_ASSIGN(auto read, runner->ints(token));
    if (read.size() < chunks.size())
      return errorf("expected {} tokens, found {}", chunks.size(), read.size());
    tokens.assign(read.begin(), read.end());
  }
  for (size_t i = first; i <= last; ++i) {
    Row &row = rows[i];
    if (!row.generates()) continue;
    ++row.cached;
    row.used = counts.steps;
    LINNET_TRY(pick(row, i - first, plain ? std::optional<TokenId>(tokens[i - first]) : std::nullopt));
  }
  return {};
}

/// Copies what another row has of the prompt, if that is more than what this row has.
Result<void> Batch::State::share(size_t to) {
  Row &row = rows[to];
  row.text->begun = true;
  size_t from = to;
  int64_t shared = row.cached;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == to) continue;
    const int64_t same = sharedTokens(rows[i], row.ids);
    if (same >= shared + kWorthwhile) from = i, shared = same;
  }
  if (from != to) {
    LINNET_TRY(runner->copyRow(static_cast<int64_t>(from), static_cast<int64_t>(to), shared));
    rows[from].used = counts.steps;
  }
  row.cached = shared;
  row.text->shared = shared;
  counts.shared_tokens += shared;
  counts.prompt_tokens += row.remaining();
  return {};
}

/// Feeds at most a chunk of prompt tokens. The prompts take turns.
Result<void> Batch::State::feedPrompts() {
  for (int64_t left = chunk; left > 0;) {
    size_t next = rows.size();
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].reads() && (next == rows.size() || rows[i].text->turn < rows[next].text->turn)) next = i;
    if (next == rows.size()) return {};
    Row &row = rows[next];
    if (!row.text->begun) LINNET_TRY(share(next));
    // A step feeds at least one chunk, and further prompts only if they end in it.
    if (left < chunk && row.remaining() > left) return {};
    row.text->turn = next_turn++;
    const auto count =
        static_cast<int64_t>(promptChunk(static_cast<size_t>(row.remaining()), static_cast<size_t>(chunk)));
    LINNET_TRY(feed(next, count));
    left -= count;
  }
  return {};
}

Result<void> Batch::State::feed(size_t number, int64_t count) {
  Row &row = rows[number];
  const auto ids =
      std::span<const TokenId>(row.ids).subspan(static_cast<size_t>(row.cached), static_cast<size_t>(count));
  const bool last = count == row.remaining();
  const RowChunk part{ids, row.cached};
  LINNET_TRY(runner->selectRows(static_cast<int64_t>(number)));
  LINNET_TRY(runner->run(*entry, std::span(&part, 1), true, last ? logits : -1));
  row.cached += count;
  row.used = counts.steps;
  if (!last) return {};
  if (row.text->request.options.max_new_tokens > 0) return pick(row, 0, std::nullopt);
  events.push_back({.number = row.text->number,
                    .text = {},
                    .shared_tokens = row.text->shared,
                    .finished = FinishReason::Length});
  end(row);
  return {};
}

/// The token that the text's sampler chooses. Nothing if GenerateOptions::on_logits ended the text; `event` then has
/// the reason.
std::optional<TokenId> Batch::State::choose(Row &row, std::span<const float> logits, BatchEvent &event) {
  Running &text = *row.text;
  auto next = text.sampler.next(logits, {text.number, row.ids, text.request.copy});
  if (!next) {
    event.error = next.error();
    return {};
  }
  if (!*next) {
    event.finished = FinishReason::Cancelled;
    event.text = text.stream.flush();
  }
  return *next;
}

/// Chooses the new token of a row from row `number` of the logits; `chosen` is the device's choice.
Result<void> Batch::State::pick(Row &row, size_t number, std::optional<TokenId> chosen) {
  Running &text = *row.text;
  const auto vocab = static_cast<size_t>(model->config.vocab_size);
  LINNET_ASSIGN(auto all, runner->floats(logits));
  if (all.size() < (number + 1) * vocab)
    return errorf("expected {} rows of logits, found {}", number + 1, all.size() / vocab);
  const auto mine = all.subspan(number * vocab, vocab);
  // A generated token needs no check of all logits: the largest is finite unless all are NaN or one is infinite.
  if (!chosen && text.generated > 0 && text.sampler.isPlainArgmax()) chosen = argmax(mine);
  const bool valid = chosen && *chosen >= 0 && static_cast<size_t>(*chosen) < vocab;
  const size_t bad =
      valid && std::isfinite(mine[static_cast<size_t>(*chosen)]) ? vocab : firstNotFinite(mine);
  BatchEvent event{.number = text.number, .text = {}, .shared_tokens = text.generated ? 0 : text.shared};
  if (bad < vocab) {
    event.error =
        Error{fmt::format("the model's logit after {} tokens is {}, expected a finite number", row.cached,
                          std::isnan(mine[bad]) ? "nan"
                          : mine[bad] < 0       ? "-inf"
                                                : "inf")};
    events.push_back(std::move(event));
    evict(row); // the cache may hold such numbers, too
    return {};
  }
  if (!valid) chosen = choose(row, mine, event);
  if (!chosen) {
    events.push_back(std::move(event));
    end(row);
    return {};
  }
  event.id = *chosen;
  if (event.id < 0 || static_cast<size_t>(event.id) >= vocab)
    return errorf("the model chose token {}, its vocabulary has {}", event.id, vocab);
  if (const int64_t wanted = text.request.top_logprobs; wanted >= 0) {
    const double sum = logSumExp(mine);
    auto of = [&](TokenId id) {
      return static_cast<float>(static_cast<double>(mine[static_cast<size_t>(id)]) - sum);
    };
    event.logprob = of(event.id);
    std::vector<TokenId> order(vocab);
    for (size_t i = 0; i < vocab; ++i) order[i] = static_cast<TokenId>(i);
    const auto end = order.begin() + std::min<std::ptrdiff_t>(wanted, static_cast<std::ptrdiff_t>(vocab));
    std::partial_sort(order.begin(), end, order.end(), [&](TokenId a, TokenId b) {
      const float x = mine[static_cast<size_t>(a)], y = mine[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
    for (auto id = order.begin(); id != end; ++id) event.top.push_back({*id, of(*id)});
  }
  accept(row, std::move(event));
  return {};
}

/// Appends the event's token to the row's text, and ends the text where Generation would.
void Batch::State::accept(Row &row, BatchEvent event) {
  Running &text = *row.text;
  row.ids.push_back(event.id);
  text.sampler.seeGenerated(event.id);
  ++text.generated, ++counts.generated_tokens;
  const bool eos = isEndToken(model->config, text.request.options, event.id);
  if (!eos) event.text = text.stream.push(event.id);
  if (eos)
    event.finished = FinishReason::Eos;
  else if (text.stream.stopped())
    event.finished = FinishReason::Stop;
  else if (text.generated >= text.request.options.max_new_tokens)
    event.finished = FinishReason::Length;
  else if (row.cached >= context())
    event.finished = FinishReason::Context;
  if (event.finished) event.text += text.stream.flush();
  const bool ended = event.finished.has_value();
  events.push_back(std::move(event));
  if (ended) end(row);
}

Batch::Batch(std::unique_ptr<State> s) : state(std::move(s)) {}
Batch::Batch(Batch &&) noexcept = default;
Batch &Batch::operator=(Batch &&) noexcept = default;
Batch::~Batch() = default;

Result<Batch> Batch::open(const Model &model, const BatchOptions &options) {
  auto state = std::make_unique<State>();
  state->model = model.loaded();
  const ModelConfig &config = model.config();
  const std::string &path = state->model->file.artifact.path();
  if (config.classifies()) return errorf("{}: expected a language model, found a classifier", path);
  const int64_t rows = options.rows ? options.rows : config.max_batch;
  if (rows < 1 || rows > config.max_batch)
    return errorf("rows: expected from 1 to {}, which {} was compiled for, found {}", config.max_batch, path,
                  rows);
  const Artifact &artifact = state->model->file.artifact;
  const fb::Program &program = *state->model->file.program;
  LINNET_ASSIGN(const LanguageEntry entry, bindLanguageEntry(artifact, program, "generate"));
  if (entry.output("logits") < 0) return errorf("{}: entry 'generate' has no output 'logits'", path);
  const int64_t most = entry.max_seq, least = std::min<int64_t>(most, 2);
  state->chunk = options.prompt_chunk ? std::min(options.prompt_chunk, most) : most;
  if (state->chunk < least)
    return errorf("prompt_chunk: expected {} or more, found {}", least, options.prompt_chunk);
  LINNET_ASSIGN(auto executable, state->model->takeExecutable());
  state->runner = std::make_unique<LanguageRunner>(std::move(executable), artifact, program);
  LINNET_ASSIGN(state->entry, state->runner->entry("generate"));
  state->logits = entry.output("logits"), state->token = entry.output("token");
  // Whether the device can begin at each row is known before the first text.
  LINNET_TRY(state->runner->selectRows(rows - 1));
  state->rows.resize(static_cast<size_t>(rows));
  return Batch(std::move(state));
}

Result<int64_t> Batch::add(BatchRequest request) {
  const ModelConfig &config = state->model->config;
  LINNET_TRY(checkFor(*state->model, request.options));
  if (request.prompt.empty()) return Error{"empty prompt: expected at least one token"};
  LINNET_TRY(checkTokens(config, request.prompt, "prompt"));
  if (static_cast<int64_t>(request.prompt.size()) > config.context)
    return errorf("prompt of {} tokens is longer than the context of {}", request.prompt.size(),
                  config.context);
  const size_t number = state->rowFor(request.prompt);
  if (number == state->rows.size()) return errorf("no free row: all {} have a text", state->rows.size());
  State::Row &row = state->rows[number];
  const int64_t shared = State::sharedTokens(row, request.prompt);
  state->counts.evicted_tokens += row.cached - shared;
  row.ids = request.prompt;
  row.prompt = static_cast<int64_t>(row.ids.size());
  row.cached = shared;
  Sampler sampler(config.vocab_size, request.options);
  for (TokenId id : row.ids) sampler.see(id);
  TextStream stream(state->model->tokenizer, request.options.stop);
  row.text.emplace(state->next_number, std::move(request), std::move(sampler), std::move(stream),
                   state->next_turn++);
  return state->next_number++;
}

int64_t Batch::free() const {
  return std::count_if(state->rows.begin(), state->rows.end(),
                       [](const State::Row &row) { return !row.text; });
}
bool Batch::idle() const { return free() == static_cast<int64_t>(state->rows.size()); }

void Batch::remove(int64_t number) {
  for (State::Row &row : state->rows)
    if (row.text && row.text->number == number) state->end(row);
}

Result<std::span<const BatchEvent>> Batch::step() {
  state->events.clear();
  if (state->failure) return *state->failure;
  if (idle()) return std::span<const BatchEvent>();
  ++state->counts.steps;
  for (auto part : {&State::generate, &State::feedPrompts})
    if (auto done = (*state.*part)(); !done) {
      state->failure = done.error();
      return done.error();
    }
  return std::span<const BatchEvent>(state->events);
}

BatchCounts Batch::counts() const {
  BatchCounts counts = state->counts;
  counts.rows = static_cast<int64_t>(state->rows.size());
  counts.running = counts.rows - free();
  for (const State::Row &row : state->rows) counts.cached_tokens += row.cached;
  return counts;
}

MemoryUse Batch::memory() const { return state->runner->memory(); }

} // namespace linnet
