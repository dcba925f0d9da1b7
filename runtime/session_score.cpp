// Session's logits, embeddings and perplexity of a text.
#include "linnet/session.h"
#include "runtime/generation.h"
#include "runtime/not_finite.h"
#include "runtime/session_state.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet {
namespace {

// -log softmax(row)[target]
double negativeLogLikelihood(std::span<const float> row, TokenId target) {
  return logSumExp(row) - static_cast<double>(row[static_cast<size_t>(target)]);
}

} // namespace

Result<void> Session::State::feed(const LanguageEntry &entry, std::span<const TokenId> ids, int64_t past,
                                  int output, const Visit &visit) {
  for (int64_t first = 0, size = static_cast<int64_t>(ids.size()); first < size;) {
    LINNET_TRY(checkCancelled());
    const auto count = static_cast<int64_t>(
        promptChunk(static_cast<size_t>(size - first), static_cast<size_t>(entry.max_seq)));
    RowChunk chunk{ids.subspan(static_cast<size_t>(first), static_cast<size_t>(count)), past + first};
    LINNET_TRY(runner->run(entry, std::span(&chunk, 1), true, output));
    if (visit) LINNET_TRY(visit(first, count));
    first += count;
  }
  return {};
}

Result<std::pair<const LanguageEntry *, int>> Session::State::output(std::string_view name,
                                                                     std::string_view wanted) {
  LINNET_ASSIGN(const LanguageEntry *entry, runner->entry(name));
  int number = entry->output(wanted);
  if (number < 0)
    return errorf("{}: entry '{}' has no output '{}'", model->file.artifact.path(), name, wanted);
  return std::pair(entry, number);
}

Result<Matrix> Session::logits(std::span<const TokenId> ids, bool all) {
  CancelScope scope(state->cancelled);
  LINNET_TRY(state->requireLanguageModel());
  state->forget();
  LINNET_TRY(state->checkIds(ids, "ids"));
  int64_t size = static_cast<int64_t>(ids.size()), context = state->model->config.context;
  if (ids.empty()) return Error{"empty prompt: expected at least one token"};
  if (size > context) return errorf("{} tokens are longer than the context of {}", size, context);
  LINNET_ASSIGN(auto source, state->output(all ? "score" : "generate", "logits"));
  auto [entry, output] = source;
  Matrix matrix;
  matrix.rows = all ? size : 1;
  matrix.columns = state->model->config.vocab_size;
  matrix.values.reserve(static_cast<size_t>(matrix.rows * matrix.columns));
  auto keep = [&, output = output](int64_t first, int64_t count) -> Result<void> {
    if (!all && first + count < size) return {};
    const size_t expected = static_cast<size_t>((all ? count : 1) * matrix.columns);
    LINNET_ASSIGN(auto values, state->runner->floats(output, expected));
    if (const size_t at = firstNotFinite(values); at < values.size()) {
      const auto row = static_cast<int64_t>(at) / matrix.columns;
      return notFinite(fmt::format("the logit of token {} after {} tokens",
                                   static_cast<int64_t>(at) % matrix.columns, all ? first + row + 1 : size),
                       static_cast<double>(values[at]), *state->runner, ids);
    }
    matrix.values.insert(matrix.values.end(), values.begin(), values.end());
    return {};
  };
  LINNET_TRY(state->feed(*entry, ids, 0, output, keep));
  return matrix;
}

Result<Matrix> Session::logits(std::string_view text, bool all) {
  LINNET_ASSIGN(const std::vector<TokenId> ids, state->encode(text));
  return logits(ids, all);
}

Result<void> Session::State::feedHidden(std::span<const TokenId> ids, size_t fed, int64_t layer,
                                        const HiddenVisit &visit) {
  forget();
  LINNET_TRY(checkIds(ids, "ids"));
  const ModelConfig &config = model->config;
  if (ids.empty()) return Error{"empty prompt: expected at least one token"};
  if (static_cast<int64_t>(ids.size()) > config.context)
    return errorf("{} tokens are longer than the context of {}", ids.size(), config.context);
  if (layer < -1 || layer > config.n_layer)
    return errorf("layer: expected from -1 (after the last norm) to {}, found {}", config.n_layer, layer);
  LINNET_ASSIGN(const LanguageEntry *hidden, runner->entry("hidden"));
  LINNET_ASSIGN(auto source,
                output("hidden", layer < 0 ? hidden->last_output : fmt::format("hidden.{}", layer)));
  auto [entry, number] = source;
  auto read = [&, number = number](int64_t first, int64_t count) -> Result<void> {
    LINNET_ASSIGN(auto values, runner->floats(number, static_cast<size_t>(count * config.n_embd)));
    visit(first, values);
    return {};
  };
  return feed(*entry, ids.first(fed), 0, number, read);
}

Result<Matrix> Session::embed(std::span<const TokenId> ids, Pooling pooling, int64_t layer) {
  CancelScope scope(state->cancelled);
  const size_t width = static_cast<size_t>(state->model->config.n_embd), size = ids.size();
  const size_t fed = pooling == Pooling::First ? std::min<size_t>(size, 1) : size;
  std::vector<double> sum(width, 0.0);
  auto pool = [&](int64_t first, std::span<const float> values) {
    for (size_t t = 0; t < values.size() / width; ++t) {
      if (pooling == Pooling::Last && static_cast<size_t>(first) + t != size - 1) continue;
      for (size_t c = 0; c < width; ++c) sum[c] += values[t * width + c];
    }
  };
  LINNET_TRY(state->feedHidden(ids, fed, layer, pool));
  Matrix matrix{1, static_cast<int64_t>(width), {}};
  double scale = pooling == Pooling::Mean ? 1.0 / static_cast<double>(size) : 1.0;
  for (double value : sum) matrix.values.push_back(static_cast<float>(value * scale));
  if (const size_t at = firstNotFinite(matrix.values); at < matrix.values.size())
    return notFinite(fmt::format("element {} of the embedding", at), static_cast<double>(matrix.values[at]),
                     *state->runner, ids.first(fed));
  return matrix;
}

Result<Matrix> Session::hiddenStates(std::span<const TokenId> ids, int64_t layer) {
  CancelScope scope(state->cancelled);
  Matrix matrix{static_cast<int64_t>(ids.size()), state->model->config.n_embd, {}};
  auto keep = [&](int64_t, std::span<const float> values) {
    matrix.values.insert(matrix.values.end(), values.begin(), values.end());
  };
  LINNET_TRY(state->feedHidden(ids, ids.size(), layer, keep));
  if (const size_t at = firstNotFinite(matrix.values); at < matrix.values.size())
    return notFinite(fmt::format("element {} of the hidden states", at),
                     static_cast<double>(matrix.values[at]), *state->runner, ids);
  return matrix;
}

Result<Matrix> Session::embed(std::string_view text, Pooling pooling, int64_t layer) {
  LINNET_ASSIGN(const std::vector<TokenId> ids, state->encode(text));
  return embed(ids, pooling, layer);
}

Result<Perplexity> Session::perplexity(std::span<const TokenId> ids, int64_t stride) {
  CancelScope scope(state->cancelled);
  LINNET_TRY(state->requireLanguageModel());
  state->forget();
  LINNET_TRY(state->checkIds(ids, "ids"));
  int64_t size = static_cast<int64_t>(ids.size()), window = state->model->config.context;
  if (size < 2) return errorf("perplexity: expected at least 2 tokens, found {}", size);
  if (stride == 0) stride = window;
  if (stride < 1 || stride > window) return errorf("stride: expected from 1 to {}, found {}", window, stride);
  LINNET_ASSIGN(auto source, state->output("score", "logits"));
  LINNET_ASSIGN(const LanguageEntry *skip, state->runner->entry("generate"));
  auto [entry, output] = source;
  size_t vocab = static_cast<size_t>(state->model->config.vocab_size);
  double sum = 0;
  int64_t predicted = 0, previous_end = 0;
  for (int64_t begin = 0; begin < size && previous_end < size; begin += stride) {
    int64_t end = std::min(begin + window, size);
    int64_t first_target = std::max(begin + 1, previous_end);
    // Earlier tokens only fill the cache. The logits of the token before the first target are the first ones
    // needed.
    auto known = ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(first_target - 1 - begin));
    LINNET_TRY(state->feed(*skip, known, 0, -1, {}));
    auto rest = ids.subspan(static_cast<size_t>(first_target - 1), static_cast<size_t>(end - first_target));
    auto add = [&, output = output](int64_t first, int64_t count) -> Result<void> {
      LINNET_ASSIGN(auto logits, state->runner->floats(output, static_cast<size_t>(count) * vocab));
      for (int64_t t = 0; t < count; ++t) {
        const int64_t target = first_target + first + t;
        const double loss = negativeLogLikelihood(logits.subspan(static_cast<size_t>(t) * vocab, vocab),
                                                  ids[static_cast<size_t>(target)]);
        if (!std::isfinite(loss))
          return notFinite(fmt::format("the loss of the token at position {}", target), loss, *state->runner,
                           ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), begin);
        sum += loss;
      }
      predicted += count;
      return {};
    };
    LINNET_TRY(state->feed(*entry, rest, first_target - 1 - begin, output, add));
    previous_end = end;
  }
  Perplexity result;
  result.tokens = predicted;
  result.nll = sum / static_cast<double>(std::max<int64_t>(predicted, 1));
  result.perplexity = std::exp(result.nll);
  if (!std::isfinite(result.perplexity))
    return errorf("the perplexity, e to the power of {}, is beyond the largest number", result.nll);
  return result;
}

} // namespace linnet
