// Sampling against transformers' definitions written down plainly, and the random numbers against published
// vectors.
#include "runtime/philox.h"
#include "runtime/sampler.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

using namespace linnet;

namespace {

std::vector<float> randomLogits(std::mt19937 &random, size_t n) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(n);
  for (float &x : logits) x = std::round(normal(random) * 8) / 8; // ties are common
  return logits;
}

std::map<TokenId, double> softmax(const std::map<TokenId, double> &scores) {
  double sum = 0;
  for (auto &[id, s] : scores) sum += std::exp(s);
  std::map<TokenId, double> out;
  for (auto &[id, s] : scores) out[id] = std::exp(s) / sum;
  return out;
}

// Repetition penalty, temperature, top_k, top_p, softmax: one step after the other, in double.
std::map<TokenId, double> reference(const std::vector<float> &logits, const std::vector<TokenId> &seen,
                                    const GenerateOptions &o) {
  std::map<TokenId, double> scores;
  for (size_t i = 0; i < logits.size(); ++i) {
    double s = static_cast<double>(logits[i]);
    if (std::count(seen.begin(), seen.end(), static_cast<TokenId>(i)))
      s = s < 0 ? s * static_cast<double>(o.repetition_penalty)
                : s / static_cast<double>(o.repetition_penalty);
    scores[static_cast<TokenId>(i)] = s / static_cast<double>(o.temperature);
  }
  if (o.top_k > 0 && o.top_k < static_cast<int64_t>(scores.size())) {
    std::vector<double> sorted;
    for (auto &[id, s] : scores) sorted.push_back(s);
    std::sort(sorted.rbegin(), sorted.rend());
    double least = sorted[static_cast<size_t>(o.top_k - 1)];
    std::erase_if(scores, [&](auto &entry) { return entry.second < least - 1e-6; });
  }
  if (o.top_p < 1) {
    auto p = softmax(scores);
    std::vector<TokenId> order;
    for (auto &[id, s] : scores) order.push_back(id);
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { // least likely first
      return scores[a] != scores[b] ? scores[a] < scores[b] : a > b;
    });
    double sum = 0;
    for (size_t i = 0; i + 1 < order.size(); ++i) {
      sum += p[order[i]];
      if (sum <= 1 - static_cast<double>(o.top_p)) scores.erase(order[i]);
    }
  }
  return softmax(scores);
}

} // namespace

TEST_CASE("Philox4x32-10 gives the published numbers") { // Random123, kat_vectors
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform numbers depend on seed, position and copy, and on all bits of the seed") {
  CHECK(uniformAt(0, 0, 0) == static_cast<float>(0x6627e8d5 >> 8) / 16777216.0f);
  CHECK(uniformAt(1, 5, 0) != uniformAt(2, 5, 0));
  CHECK(uniformAt(1, 5, 0) != uniformAt(1 + (uint64_t(1) << 32), 5, 0));
  CHECK(uniformAt(1, 5, 0) != uniformAt(1, 6, 0));
  CHECK(uniformAt(1, 5, 0) != uniformAt(1, 5, 1));
  double sum = 0;
  for (uint32_t i = 0; i < 20000; ++i) sum += static_cast<double>(uniformAt(9, i, 0));
  CHECK(sum / 20000 == Approx(0.5).margin(0.01));
}

TEST_CASE("the distribution is the reference's") {
  std::mt19937 random(4);
  const GenerateOptions cases[] = {
      {.do_sample = true, .top_k = 0},
      {.do_sample = true, .temperature = 0.7f, .top_k = 0},
      {.do_sample = true, .top_k = 1},
      {.do_sample = true, .top_k = 7},
      {.do_sample = true, .top_k = 1000},
      {.do_sample = true, .top_k = 0, .top_p = 0.9f},
      {.do_sample = true, .top_k = 0, .top_p = 0.01f},
      {.do_sample = true, .temperature = 1.7f, .top_k = 20, .top_p = 0.5f, .repetition_penalty = 1.3f},
      {.do_sample = true, .temperature = 0.5f, .top_k = 0, .top_p = 0.95f, .repetition_penalty = 0.8f},
  };
  for (const GenerateOptions &options : cases)
    for (size_t n : {1, 2, 13, 100}) {
      auto logits = randomLogits(random, n);
      std::vector<TokenId> seen;
      for (int i = 0; i < 6; ++i) seen.push_back(static_cast<TokenId>(random() % n));
      Sampler sampler(static_cast<int64_t>(n), options);
      for (TokenId id : seen) sampler.see(id);
      auto expected = reference(logits, seen, options);
      auto found = sampler.distribution(logits);
      REQUIRE(found.size() == expected.size());
      TokenId before = -1;
      for (auto &candidate : found) {
        CHECK(candidate.id > before); // by id, so that a random number means one token
        before = candidate.id;
        REQUIRE(expected.count(candidate.id));
        CHECK(candidate.probability == Approx(expected[candidate.id]).epsilon(1e-5).margin(1e-12));
      }
    }
}

TEST_CASE("tokens come as often as they are likely") {
  std::vector<float> logits = {0.f, 1.f, 2.f, -1.f, 0.5f};
  GenerateOptions options{.do_sample = true, .top_k = 0, .seed = 12};
  Sampler sampler(5, options);
  auto expected = reference(logits, {}, options);
  std::vector<int> count(5);
  constexpr int kDraws = 40000;
  for (uint32_t i = 0; i < kDraws; ++i) ++count[static_cast<size_t>(sampler.sample(logits, i, 0))];
  for (TokenId id = 0; id < 5; ++id)
    CHECK(count[static_cast<size_t>(id)] / double(kDraws) == Approx(expected[id]).margin(0.01));
  Sampler again(5, options);
  for (uint32_t i = 0; i < 100; ++i) CHECK(again.sample(logits, i, 0) == sampler.sample(logits, i, 0));
}

TEST_CASE("the chosen token is the first whose probabilities sum to more than the random number") {
  std::vector<float> logits = {1.f, 3.f, 2.f, 2.5f};
  GenerateOptions options{.do_sample = true, .top_k = 3, .seed = 99};
  auto p = reference(logits, {}, options);
  Sampler sampler(4, options);
  for (uint32_t position = 0; position < 200; ++position) {
    double u = static_cast<double>(uniformAt(99, position, 2)), sum = 0;
    TokenId expected = -1;
    for (auto &[id, q] : p)
      if (expected < 0 && (sum += q) > u) expected = id;
    CHECK(sampler.sample(logits, position, 2) == expected);
  }
}

TEST_CASE("temperature 0 and top_p 0 are greedy, and ranges are checked") {
  std::mt19937 random(5);
  auto logits = randomLogits(random, 50);
  for (const GenerateOptions &options :
       {GenerateOptions{.do_sample = true, .temperature = 0}, GenerateOptions{.do_sample = true, .top_p = 0},
        GenerateOptions{.do_sample = true, .temperature = 0, .repetition_penalty = 1.5f}}) {
    CHECK(checkOptions(options).ok());
    CHECK_FALSE(options.draws());
    GenerateOptions greedy = options;
    greedy.do_sample = false;
    Sampler drawn(50, options), likeliest(50, greedy);
    for (uint32_t position = 0; position < 20; ++position) {
      const TokenId id = drawn.sample(logits, position, 0);
      CHECK(id == likeliest.sample(logits, position, 0));
      drawn.see(id), likeliest.see(id);
    }
  }
  auto refused = [](const GenerateOptions &options) { return checkOptions(options).error().message; };
  CHECK(refused({.temperature = -1}) == "temperature: expected 0 (the likeliest tokens) or more, found -1");
  CHECK(refused({.temperature = NAN}).starts_with("temperature: "));
  CHECK(refused({.top_p = 1.5f}) == "top_p: expected a number from 0 to 1, found 1.5");
}

TEST_CASE("greedy: lowest of equals, penalty counts, NaN does not") {
  std::vector<float> logits = {1, 5, 5, 2};
  CHECK(Sampler(4, {}).sample(logits, 0, 0) == 1);
  Sampler penalized(4, {.repetition_penalty = 2.0f});
  penalized.see(1);
  penalized.see(1); // once is enough
  CHECK(penalized.sample(logits, 0, 0) == 2);
  std::vector<float> negative = {-1, -3, -2, -1.5f};
  Sampler pushed(4, {.repetition_penalty = 4.0f});
  pushed.see(0);
  CHECK(pushed.sample(negative, 0, 0) == 3);
  std::vector<float> broken = {NAN, 1, NAN, 0};
  CHECK(argmax(broken) == 1);
  Sampler sampled(4, {.do_sample = true, .top_k = 2});
  for (uint32_t i = 0; i < 50; ++i) CHECK(sampled.sample(broken, i, 0) % 2 == 1);
  std::vector<float> hopeless(4, NAN);
  CHECK(sampled.sample(hopeless, 0, 0) == 0);
}
