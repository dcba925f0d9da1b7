#include "runtime/sampler.h"
#include "runtime/philox.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace linnet {

Result<void> checkOptions(const GenerateOptions &o) {
  if (o.max_new_tokens < 0) return errorf("max_new_tokens: expected 0 or more, found {}", o.max_new_tokens);
  if (!(o.temperature >= 0) || !std::isfinite(o.temperature))
    return errorf("temperature: expected 0 (the likeliest tokens) or more, found {}", o.temperature);
  if (o.top_k < 0) return errorf("top_k: expected 0 (all) or more, found {}", o.top_k);
  if (!(o.top_p >= 0 && o.top_p <= 1))
    return errorf("top_p: expected a number from 0 to 1, found {}", o.top_p);
  if (!(o.repetition_penalty > 0) || !std::isfinite(o.repetition_penalty))
    return errorf("repetition_penalty: expected a number above 0, found {}", o.repetition_penalty);
  for (auto [name, penalty] :
       {std::pair("frequency_penalty", o.frequency_penalty), {"presence_penalty", o.presence_penalty}})
    if (!std::isfinite(penalty)) return errorf("{}: expected a number, found {}", name, penalty);
  for (auto [id, bias] : o.logit_bias)
    if (!std::isfinite(bias)) return errorf("logit_bias: token {}: expected a number, found {}", id, bias);
  for (const std::string &stop : o.stop)
    if (stop.empty()) return Error{"stop: an empty text would end generation at once"};
  return {};
}

double logSumExp(std::span<const float> values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (float x : values) sum += std::exp(static_cast<double>(x) - largest);
  return std::log(sum) + largest;
}

TokenId argmax(std::span<const float> values) {
  size_t best = 0;
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] > largest) {
      largest = values[i];
      best = i;
    }
  return static_cast<TokenId>(best);
}

Sampler::Sampler(int64_t vocab_size, const GenerateOptions &o) : options(o) {
  if (isPlainArgmax()) return;
  size_t n = static_cast<size_t>(vocab_size);
  scores.resize(n);
  if (o.repetition_penalty != 1.0f) {
    seen.resize(n);
    seen_ids.reserve(n);
  }
  if (o.frequency_penalty != 0 || o.presence_penalty != 0) {
    counts.resize(n);
    counted.reserve(n);
  }
  if (!o.draws()) return;
  candidates.reserve(n);
  order.reserve(n);
}

void Sampler::see(TokenId id) {
  if (seen.empty() || seen[static_cast<size_t>(id)]) return;
  seen[static_cast<size_t>(id)] = 1;
  seen_ids.push_back(id);
}

void Sampler::seeGenerated(TokenId id) {
  see(id);
  if (counts.empty()) return;
  if (counts[static_cast<size_t>(id)]++ == 0) counted.push_back(id);
}

void Sampler::penalize(std::span<const float> logits) {
  std::copy(logits.begin(), logits.end(), scores.begin());
  for (auto [id, bias] : options.logit_bias) scores[static_cast<size_t>(id)] += bias;
  for (TokenId id : counted)
    scores[static_cast<size_t>(id)] -=
        options.presence_penalty +
        options.frequency_penalty * static_cast<float>(counts[static_cast<size_t>(id)]);
  for (TokenId id : seen_ids) {
    float &s = scores[static_cast<size_t>(id)];
    s = s < 0 ? s * options.repetition_penalty : s / options.repetition_penalty;
  }
}

// Removes scores below the k-th largest one. Scores equal to it stay.
void Sampler::keepTopK() {
  float threshold = -std::numeric_limits<float>::infinity();
  size_t k = static_cast<size_t>(options.top_k);
  if (k > 0 && k < scores.size()) {
    order.assign(scores.begin(), scores.end());
    for (float &s : order)
      if (std::isnan(s)) s = -std::numeric_limits<float>::infinity(); // NaN cannot be ordered
    auto nth = order.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(order.begin(), nth, order.end(), std::greater<float>());
    threshold = *nth;
  }
  candidates.clear();
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] >= threshold) candidates.push_back({static_cast<TokenId>(i), scores[i], 0});
}

double Sampler::toProbabilities() {
  float largest = -std::numeric_limits<float>::infinity();
  for (const Candidate &c : candidates) largest = std::max(largest, c.score);
  double sum = 0;
  for (Candidate &c : candidates) sum += c.probability = std::exp(static_cast<double>(c.score) - largest);
  for (Candidate &c : candidates) c.probability /= sum;
  return sum;
}

// Removes the least likely tokens whose probabilities sum to at most 1 - top_p. The likeliest always stays.
void Sampler::keepTopP() {
  if (options.top_p >= 1.0f) return;
  toProbabilities();
  std::sort(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
  double sum = 0;
  size_t keep = candidates.size();
  while (keep > 1) {
    sum += candidates[keep - 1].probability;
    if (sum > 1.0 - static_cast<double>(options.top_p)) break;
    --keep;
  }
  candidates.resize(keep);
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate &a, const Candidate &b) { return a.id < b.id; });
}

std::span<const Sampler::Candidate> Sampler::distribution(std::span<const float> logits) {
  penalize(logits);
  return select();
}

/// The candidates by scores that penalize() has computed.
std::span<const Sampler::Candidate> Sampler::select() {
  if (options.draws() && options.temperature != 1.0f)
    for (float &s : scores) s /= options.temperature;
  keepTopK();
  keepTopP();
  toProbabilities();
  return candidates;
}

/// Draws one of the candidates. Nothing if their probabilities are not finite.
std::optional<TokenId> Sampler::draw(uint32_t position, uint32_t copy) {
  select();
  double u = uniformAt(options.seed, position, copy), sum = 0;
  for (const Candidate &c : candidates)
    if ((sum += c.probability) > u) return c.id;
  if (candidates.empty() || !std::isfinite(sum)) return {};
  return candidates.back().id;
}

TokenId Sampler::sample(std::span<const float> logits, uint32_t position, uint32_t copy) {
  if (isPlainArgmax()) return argmax(logits);
  penalize(logits);
  if (!options.draws()) return argmax(scores);
  const std::optional<TokenId> drawn = draw(position, copy);
  return drawn ? *drawn : argmax(logits);
}

Result<void> Sampler::checkScores() const {
  bool finite = false;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i]) || scores[i] == std::numeric_limits<float>::infinity())
      return errorf("on_logits: token {}: expected a finite number or -inf, found {}", i, scores[i]);
    finite |= std::isfinite(scores[i]);
  }
  if (!finite) return Error{"on_logits: expected a finite number for at least one token, found -inf for all"};
  return {};
}

Result<std::optional<TokenId>> Sampler::next(std::span<const float> logits, const Text &text) {
  const auto position = static_cast<uint32_t>(text.ids.size());
  if (!options.on_logits) return std::optional(sample(logits, position, text.copy));
  penalize(logits);
  if (!options.on_logits(text.sequence, text.ids, scores)) return std::optional<TokenId>();
  LINNET_TRY(checkScores());
  const TokenId likeliest = argmax(scores);
  if (!options.draws()) return std::optional(likeliest);
  const std::optional<TokenId> drawn = draw(position, text.copy);
  return drawn ? drawn : std::optional(likeliest);
}

} // namespace linnet
