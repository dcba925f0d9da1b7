// GenerateOptions::on_logits: callbacks that read and change the logits before a token is chosen.
#include "linnet/batch.h"
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

using namespace fixtures;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct LogitsToy {
  explicit LogitsToy(int64_t loop_steps = 0) {
    useFakeDevice();
    fake().loop_steps = loop_steps;
    toy.sample_entry = loop_steps > 0;
    writeToyModel(directory / "toy.linnet", toy);
    auto loaded = Model::load(directory / "toy.linnet");
    REQUIRE(loaded.ok());
    model.emplace(std::move(*loaded));
  }
  Session open() { return std::move(*Session::open(*model)); }
  ToyModel toy;
  TemporaryDirectory directory;
  std::optional<Model> model;
};

const std::vector<TokenId> kStart = {1, 2, 3, 4, 5, 6, 7};

/// Only tokens of `allowed` stay.
LogitsCallback only(std::vector<TokenId> allowed) {
  return [allowed](int64_t, std::span<const TokenId>, std::span<float> logits) {
    for (size_t i = 0; i < logits.size(); ++i)
      if (std::ranges::find(allowed, static_cast<TokenId>(i)) == allowed.end()) logits[i] = -kInfinity;
    return true;
  };
}

} // namespace

TEST_CASE("a callback sees the text and the logits of each position") {
  for (int64_t loop_steps : {0, 64}) {
    LogitsToy t(loop_steps);
    auto session = t.open();
    const GenerateOptions plain{.max_new_tokens = 9, .ignore_eos = true};
    const auto expected = session.generate(kStart, plain);
    REQUIRE(expected.ok());
    session.reset();
    std::vector<TokenId> text = kStart;
    size_t calls = 0;
    GenerateOptions options = plain;
    options.on_logits = [&](int64_t sequence, std::span<const TokenId> ids, std::span<float> logits) {
      CHECK(sequence == 0);
      CHECK(std::ranges::equal(ids, text));
      CHECK(std::ranges::equal(logits, toyLogits(t.toy, ids)));
      text.push_back(expected->ids[calls++]);
      return true;
    };
    fake().largest_loop = 0;
    const auto found = session.generate(kStart, options);
    REQUIRE(found.ok());
    CHECK(found->ids == expected->ids);
    CHECK(calls == 9);
    CHECK(fake().largest_loop == 0); // the host chooses every token
  }
}

TEST_CASE("changed logits decide, greedy and drawn, after penalties and before the temperature") {
  for (int64_t loop_steps : {0, 64}) {
    LogitsToy t(loop_steps);
    auto session = t.open();
    GenerateOptions options{.max_new_tokens = 20, .ignore_eos = true};
    options.on_logits = only({65, 66});
    for (bool sampled : {false, true}) {
      options.do_sample = sampled, options.temperature = 5, options.top_k = 0;
      session.reset();
      const auto found = session.generate(kStart, options);
      REQUIRE(found.ok());
      CHECK(found->ids.size() == 20);
      for (TokenId id : found->ids) CHECK((id == 65 || id == 66));
      if (sampled) CHECK(std::ranges::count(found->ids, 65) % 20 != 0); // both are drawn
    }
    // The callback gets logits that bias and penalties have changed, and no temperature.
    options = {.max_new_tokens = 1, .do_sample = true, .temperature = 0.5f, .repetition_penalty = 2};
    options.logit_bias = {{9, 100.0f}};
    const auto raw = toyLogits(t.toy, kStart);
    options.on_logits = [&](int64_t, std::span<const TokenId>, std::span<float> logits) {
      CHECK(logits[9] == raw[9] + 100);
      CHECK(logits[5] == (raw[5] < 0 ? raw[5] * 2 : raw[5] / 2));
      CHECK(logits[200] == raw[200]);
      return true;
    };
    session.reset();
    CHECK(session.generate(kStart, options)->ids == std::vector<TokenId>{9});
  }
}

TEST_CASE("a callback that changes nothing leaves the tokens of a seed") {
  LogitsToy t;
  auto session = t.open();
  GenerateOptions options{
      .max_new_tokens = 15, .do_sample = true, .temperature = 2, .top_k = 40, .top_p = 0.9f, .seed = 3};
  const auto expected = session.generate(kStart, options);
  options.on_logits = [](int64_t, std::span<const TokenId>, std::span<float>) { return true; };
  session.reset();
  CHECK(session.generate(kStart, options)->ids == expected->ids);
}

TEST_CASE("a callback ends the text before a token, and the session goes on") {
  LogitsToy t;
  auto session = t.open();
  const auto whole = session.generate(kStart, {.max_new_tokens = 8, .ignore_eos = true});
  session.reset();
  GenerateOptions options{.max_new_tokens = 8, .ignore_eos = true};
  options.on_logits = [](int64_t, std::span<const TokenId> ids, std::span<float>) {
    return ids.size() < kStart.size() + 3;
  };
  const auto part = session.generate(kStart, options);
  REQUIRE(part.ok());
  CHECK(part->finish_reason == FinishReason::Cancelled);
  CHECK(part->ids == std::vector<TokenId>(whole->ids.begin(), whole->ids.begin() + 3));
  const auto rest = session.generate({}, {.max_new_tokens = 5, .ignore_eos = true});
  CHECK(rest->ids == std::vector<TokenId>(whole->ids.begin() + 3, whole->ids.end()));
  options.on_logits = [](int64_t, std::span<const TokenId>, std::span<float>) { return false; };
  session.reset();
  CHECK(session.generate(kStart, options)->ids.empty());
  CHECK(session.position() == static_cast<int64_t>(kStart.size()));
}

TEST_CASE("numbers from which no token can be chosen are an error in one line") {
  LogitsToy t;
  auto session = t.open();
  auto message = [&](float value, bool all) {
    for (bool sampled : {false, true}) {
      GenerateOptions options{.do_sample = sampled};
      options.on_logits = [&](int64_t, std::span<const TokenId>, std::span<float> logits) {
        if (all)
          std::ranges::fill(logits, value);
        else
          logits[17] = value;
        return true;
      };
      const auto result = session.generate(kStart, options);
      REQUIRE(!result.ok());
      CHECK(session.position() == 0);
      if (sampled) return result.error().message;
    }
    return std::string();
  };
  CHECK(message(NAN, false) == "on_logits: token 17: expected a finite number or -inf, found nan");
  CHECK(message(kInfinity, false) == "on_logits: token 17: expected a finite number or -inf, found inf");
  CHECK(message(-kInfinity, true) ==
        "on_logits: expected a finite number for at least one token, found -inf for all");
  CHECK(session.generate(kStart, {.max_new_tokens = 3, .ignore_eos = true})->ids.size() == 3);
}

TEST_CASE("a callback gets the index of each prompt") {
  LogitsToy t;
  auto session = t.open();
  const std::vector<std::vector<TokenId>> prompts = {{1}, {2, 3, 4}, {5, 6}, {7, 8}, {9}, {10, 11, 12, 13}};
  GenerateOptions options{.max_new_tokens = 4, .ignore_eos = true};
  options.on_logits = [&](int64_t sequence, std::span<const TokenId> ids, std::span<float> logits) {
    const auto &prompt = prompts[static_cast<size_t>(sequence)];
    CHECK(std::equal(prompt.begin(), prompt.end(), ids.begin()));
    logits[static_cast<size_t>(50 + sequence)] = 1000;
    return sequence != 4 || ids.size() < 2;
  };
  const auto results = session.generateBatch(prompts, options);
  REQUIRE(results.ok());
  for (size_t i = 0; i < prompts.size(); ++i)
    CHECK((*results)[i].ids == std::vector<TokenId>(i == 4 ? 1 : 4, static_cast<TokenId>(50 + i)));
  CHECK((*results)[4].finish_reason == FinishReason::Cancelled);
}

TEST_CASE("texts of a batch have callbacks of their own") {
  LogitsToy t;
  auto batch = Batch::open(*t.model);
  REQUIRE(batch.ok());
  auto request = [](LogitsCallback callback) {
    BatchRequest made{
        .prompt = kStart, .options = {.max_new_tokens = 6, .ignore_eos = true}, .top_logprobs = 1};
    made.options.on_logits = std::move(callback);
    return made;
  };
  const int64_t plain = *batch->add(request({})), forced = *batch->add(request(only({77})));
  const int64_t halted =
      *batch->add(request([&](int64_t number, std::span<const TokenId> ids, std::span<float>) {
        CHECK(number == 2);
        return ids.size() < kStart.size() + 2;
      }));
  const int64_t failed = *batch->add(request([](int64_t, std::span<const TokenId>, std::span<float> logits) {
    logits[0] = NAN;
    return true;
  }));
  std::map<int64_t, std::vector<TokenId>> ids;
  std::map<int64_t, BatchEvent> last;
  while (!batch->idle()) {
    auto events = batch->step();
    REQUIRE(events.ok());
    for (const BatchEvent &event : *events) {
      if (event.id >= 0) ids[event.number].push_back(event.id);
      last[event.number] = event;
    }
  }
  auto session = t.open();
  const auto alone = session.generate(kStart, {.max_new_tokens = 6, .ignore_eos = true});
  CHECK(ids[plain] == alone->ids);
  CHECK(ids[forced] == std::vector<TokenId>(6, 77));
  CHECK(last[forced].top.at(0).first != 77); // log probabilities are the model's
  CHECK(ids[halted] == std::vector<TokenId>(alone->ids.begin(), alone->ids.begin() + 2));
  CHECK(last[halted].finished == FinishReason::Cancelled);
  CHECK(ids[failed].empty());
  REQUIRE(last[failed].error);
  CHECK(last[failed].error->message == "on_logits: token 0: expected a finite number or -inf, found nan");
}
