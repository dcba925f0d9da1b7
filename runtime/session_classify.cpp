// Session::classify: a classifier's scores and probabilities.
#include "linnet/session.h"
#include "runtime/not_finite.h"
#include "runtime/session_state.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace linnet {
namespace {

/// e^(x_i - max) / sum
std::vector<double> softmax(std::span<const float> scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> out;
  double sum = 0;
  for (float x : scores) {
    out.push_back(std::exp(static_cast<double>(x) - largest));
    sum += out.back();
  }
  for (double &x : out) x /= sum;
  return out;
}

std::vector<double> probabilitiesOf(std::span<const float> scores, ProblemType type) {
  if (type == ProblemType::SingleLabel && scores.size() > 1) return softmax(scores);
  std::vector<double> out(scores.begin(), scores.end());
  if (type == ProblemType::Regression) return out;
  for (double &x : out) x = 1 / (1 + std::exp(-x)); // also for a single label, whose softmax would be 1
  return out;
}

// The part of a text that the classifier reads: at most `most` tokens, without padding at the end, at least
// one token.
std::span<const TokenId> readPart(const ModelConfig &config, std::span<const TokenId> ids, int64_t most) {
  ids = ids.first(std::min(static_cast<size_t>(most), ids.size()));
  while (ids.size() > 1 && config.pad_id && ids.back() == *config.pad_id) ids = ids.first(ids.size() - 1);
  return ids;
}

Classification classificationOf(const ModelConfig &config, std::span<const float> scores) {
  Classification made;
  made.label = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  made.scores.assign(scores.begin(), scores.end());
  made.probabilities = probabilitiesOf(scores, config.problem_type);
  return made;
}

} // namespace

Result<std::vector<Classification>> Session::classify(std::span<const std::vector<TokenId>> texts,
                                                      const ProgressCallback &progress) {
  CancelScope scope(state->cancelled);
  const ModelConfig &config = state->model->config;
  if (!config.classifies())
    return errorf("{}: expected a classifier (as linnet finetune --task "
                  "classify writes it), found a model without labels",
                  state->model->file.artifact.path());
  state->forget();
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) return errorf("text {}: expected at least one token", i);
    LINNET_TRY(state->checkIds(texts[i], fmt::format("text {}", i).c_str()));
  }
  LINNET_ASSIGN(auto source, state->output("classify", "scores"));
  auto [entry, output] = source;
  std::vector<RowChunk> parts;
  for (const std::vector<TokenId> &text : texts) parts.push_back({readPart(config, text, entry->max_seq), 0});
  std::vector<size_t> order(texts.size()); // by length: less padding
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return parts[a].ids.size() < parts[b].ids.size(); });
  std::vector<Classification> answers(texts.size());
  const size_t group = static_cast<size_t>(entry->max_batch);
  for (size_t first = 0; first < order.size(); first += group) {
    LINNET_TRY(state->checkCancelled());
    const auto batch = std::span(order).subspan(first, std::min(group, order.size() - first));
    std::vector<RowChunk> rows;
    for (size_t i : batch) rows.push_back(parts[i]);
    LINNET_TRY(state->runner->run(*entry, rows, true, output));
    LINNET_ASSIGN(std::span<const float> scores, state->runner->floats(output));
    const size_t labels = config.labels.size();
    if (scores.size() != rows.size() * labels)
      return errorf("expected {} scores, found {}", rows.size() * labels, scores.size());
    for (size_t row = 0; row < batch.size(); ++row) {
      const size_t text = batch[row];
      const auto of_text = scores.subspan(row * labels, labels);
      if (const size_t at = firstNotFinite(of_text); at < labels)
        return notFinite(fmt::format("text {}: the score of '{}'", text, config.labels[at]),
                         static_cast<double>(of_text[at]), *state->runner, parts[text].ids);
      answers[text] = classificationOf(config, of_text);
      answers[text].truncated = texts[text].size() > static_cast<size_t>(entry->max_seq);
    }
    if (progress) progress(static_cast<double>(first + batch.size()) / static_cast<double>(order.size()));
  }
  return answers;
}

Result<std::vector<Classification>> Session::classify(std::span<const std::string> texts,
                                                      const ProgressCallback &progress) {
  std::vector<std::vector<TokenId>> rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto ids = state->encode(texts[i]);
    if (!ids) return errorf("text {}: {}", i, ids.error().message);
    rows.push_back(std::move(*ids));
  }
  return classify(rows, progress);
}

Result<Classification> Session::classify(std::string_view text) {
  const std::string texts[] = {std::string(text)};
  LINNET_ASSIGN(std::vector<Classification> answers, classify(std::span<const std::string>(texts)));
  return std::move(answers.front());
}

} // namespace linnet
