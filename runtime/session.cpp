#include "linnet/session.h"
#include "runtime/generation.h"
#include "runtime/session_state.h"
#include "support/error.h"

#include <algorithm>
#include <numeric>

namespace linnet {
namespace {

GenerationRow makeRow(const LoadedModel &model, const GenerateOptions &options, std::vector<TokenId> ids,
                      int64_t cached) {
  GenerationRow row{.ids = std::move(ids),
                    .cached = cached,
                    .sampler = Sampler(model.config.vocab_size, options),
                    .text = TextStream(model.tokenizer, options.stop),
                    .result = {}};
  for (TokenId id : row.ids) row.sampler.see(id);
  row.prompt = row.ids.size();
  row.result.timings.prompt_tokens = row.remaining();
  // Reserves the largest size of the row, so that no step allocates memory.
  size_t most = static_cast<size_t>(std::min(options.max_new_tokens, model.config.context + 1));
  row.ids.reserve(row.ids.size() + most);
  return row;
}

GenerateResult takeResult(GenerationRow &row, std::vector<TokenId> prompt) {
  row.result.prompt = std::move(prompt);
  row.result.ids.assign(row.ids.begin() + static_cast<std::ptrdiff_t>(row.prompt), row.ids.end());
  return std::move(row.result);
}

} // namespace

const char *finishReasonName(FinishReason reason) {
  switch (reason) {
  case FinishReason::Length:
    return "length";
  case FinishReason::Stop:
    return "stop";
  case FinishReason::Eos:
    return "eos";
  case FinishReason::Cancelled:
    return "cancelled";
  case FinishReason::Context:
    return "context";
  }
  return "unknown";
}

Session::Session(std::unique_ptr<State> s) : state(std::move(s)) {}
Session::Session(Session &&) noexcept = default;
Session &Session::operator=(Session &&) noexcept = default;
Session::~Session() = default;

Result<std::unique_ptr<Session::State>> Session::State::open(std::shared_ptr<LoadedModel> model) {
  auto state = std::make_unique<State>();
  state->model = std::move(model);
  LINNET_ASSIGN(auto executable, state->model->takeExecutable());
  state->runner = std::make_unique<LanguageRunner>(std::move(executable), state->model->file.artifact,
                                                   *state->model->file.program);
  if (!state->model->config.classifies()) {
    LINNET_ASSIGN(const LanguageEntry *generate, state->runner->entry("generate"));
    LINNET_TRY(state->runner->prepareDecoding(*generate));
  }
  return state;
}

Result<Session> Session::open(const Model &model) {
  LINNET_ASSIGN(auto opened, State::open(model.loaded()));
  return Session(std::move(opened));
}

Result<Session> Session::fork() {
  LINNET_ASSIGN(auto made, State::open(state->model));
  if (state->cached > 0) {
    LINNET_ASSIGN(const std::vector<std::byte> row, state->runner->readRow(0, state->cached));
    LINNET_TRY(made->runner->writeRow(0, state->cached, row));
  }
  made->history = state->history;
  made->cached = state->cached;
  return Session(std::move(made));
}

Result<void> Session::State::requireLanguageModel() const {
  if (!model->config.classifies()) return {};
  return errorf("{}: expected a language model, found a classifier (labels: {}): it answers classify() and "
                "embed() only",
                model->file.artifact.path(), fmt::join(model->config.labels, ", "));
}

Result<std::vector<TokenId>> Session::State::encode(std::string_view text) const {
  if (!model->tokenizer)
    return errorf("{}: the model has no tokenizer: expected token ids, found a text",
                  model->file.artifact.path());
  LINNET_ASSIGN(Encoding encoding, model->tokenizer->encode(text));
  return std::move(encoding.ids);
}

Result<void> checkTokens(const ModelConfig &config, std::span<const TokenId> ids, const char *what) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= config.vocab_size)
      return errorf("{}: id {} at position {} is outside the vocabulary [0, {})", what, ids[i], i,
                    config.vocab_size);
  return {};
}

Result<void> checkFor(const LoadedModel &model, const GenerateOptions &options) {
  LINNET_TRY(checkOptions(options));
  if (!options.stop.empty() && !model.tokenizer)
    return Error{"stop: the model has no tokenizer, so its text is not known"};
  LINNET_TRY(checkTokens(model.config, options.eos_ids, "eos_ids"));
  for (auto [id, bias] : options.logit_bias)
    LINNET_TRY(checkTokens(model.config, std::span(&id, 1), "logit_bias"));
  return {};
}

Result<void> Session::State::checkIds(std::span<const TokenId> ids, const char *what) const {
  return checkTokens(model->config, ids, what);
}

Result<void> Session::State::checkCancelled() {
  if (cancelled.exchange(false)) return Error{"cancelled"};
  return {};
}

void Session::State::forget() {
  history.clear();
  cached = 0;
}

Result<GenerateResult> Session::generate(std::span<const TokenId> prompt, const GenerateOptions &options,
                                         const TokenCallback &callback) {
  CancelScope scope(state->cancelled);
  LINNET_TRY(state->requireLanguageModel());
  LINNET_TRY(checkFor(*state->model, options));
  LINNET_TRY(state->checkIds(prompt, "prompt"));
  std::vector<TokenId> ids = state->history;
  ids.insert(ids.end(), prompt.begin(), prompt.end());
  if (ids.empty()) return Error{"empty prompt: expected at least one token"};
  int64_t context = state->model->config.context, size = static_cast<int64_t>(ids.size());
  if (size > context && state->history.empty())
    return errorf("prompt of {} tokens is longer than the context of {}", size, context);
  if (size > context)
    return errorf("prompt of {} tokens is longer than what is left of the context: {} of {} are used",
                  prompt.size(), state->history.size(), context);
  // If the last token is cached, it is fed again: its logits determine the next token.
  int64_t cached = std::min(state->cached, size - 1);
  std::vector<GenerationRow> rows;
  rows.push_back(makeRow(*state->model, options, std::move(ids), cached));
  rows.back().continues = prompt.empty();
  BatchCallback forward;
  if (callback) forward = [&](int64_t, TokenId id, std::string_view text) { return callback(id, text); };
  LINNET_TRY(Generation(*state->runner, state->model->config, options, forward, state->cancelled).run(rows));
  state->history = rows[0].ids;
  state->cached = rows[0].cached;
  return takeResult(rows[0], {prompt.begin(), prompt.end()});
}

Result<std::vector<GenerateResult>> Session::generateBatch(std::span<const std::vector<TokenId>> prompts,
                                                           const GenerateOptions &options,
                                                           const BatchCallback &callback) {
  CancelScope scope(state->cancelled);
  LINNET_TRY(state->requireLanguageModel());
  LINNET_TRY(checkFor(*state->model, options));
  int64_t context = state->model->config.context;
  for (size_t i = 0; i < prompts.size(); ++i) {
    std::string what = fmt::format("prompt {}", i);
    if (prompts[i].empty()) return errorf("{}: empty prompt: expected at least one token", what);
    LINNET_TRY(state->checkIds(prompts[i], what.c_str()));
    if (static_cast<int64_t>(prompts[i].size()) > context)
      return errorf("{}: {} tokens are longer than the context of {}", what, prompts[i].size(), context);
  }
  state->forget();
  std::vector<size_t> order(prompts.size()); // longest first, so that a group has similar lengths
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return prompts[a].size() > prompts[b].size(); });
  std::vector<GenerateResult> results(prompts.size());
  size_t group = static_cast<size_t>(state->model->config.max_batch);
  for (size_t first = 0; first < order.size(); first += group) {
    std::vector<GenerationRow> rows;
    for (size_t i = first; i < std::min(order.size(), first + group); ++i) {
      size_t place = order[i];
      rows.push_back(makeRow(*state->model, options, prompts[place], 0));
      rows.back().sequence = static_cast<int64_t>(place);
      rows.back().copy = static_cast<uint32_t>(
          std::count(prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(place), prompts[place]));
    }
    LINNET_TRY(
        Generation(*state->runner, state->model->config, options, callback, state->cancelled).run(rows));
    for (size_t i = 0; i < rows.size(); ++i) {
      size_t place = order[first + i];
      results[place] = takeResult(rows[i], prompts[place]);
    }
  }
  return results;
}

void Session::cancel() noexcept { state->cancelled.store(true); }
void Session::reset() {
  state->forget();
  state->cancelled.store(false);
}
void Session::rewind(int64_t tokens) {
  const size_t kept = std::min(static_cast<size_t>(std::max<int64_t>(tokens, 0)), state->history.size());
  state->history.resize(kept);
  state->cached = std::min(state->cached, static_cast<int64_t>(kept));
}
int64_t Session::position() const { return static_cast<int64_t>(state->history.size()); }
MemoryUse Session::memory() const { return state->runner->memory(); }
void Session::setProfiler(std::shared_ptr<Profiler> profiler) {
  if (profiler) state->model->file.describeTo(*profiler);
  state->runner->setProfiler(std::move(profiler));
}

} // namespace linnet
