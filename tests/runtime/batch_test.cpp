// Batches over the fake device, whose logits depend on all earlier tokens of a row: a wrong row, past or chunk gives
// other tokens.
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <cmath>
#include <map>
#include <random>

using namespace fixtures;

namespace {

struct Toy {
  explicit Toy(const ToyModel &toy = {}) {
    useFakeDevice();
    writeToyModel(directory / "toy.linnet", toy);
    auto loaded = Model::load(directory / "toy.linnet");
    REQUIRE(loaded.ok());
    model.emplace(std::move(*loaded));
  }
  Batch open(const BatchOptions &options = {}) {
    auto batch = Batch::open(*model, options);
    INFO((batch ? "" : batch.error().message));
    REQUIRE(batch.ok());
    return std::move(*batch);
  }
  GenerateResult alone(const BatchRequest &request) {
    auto session = Session::open(*model);
    auto result = session->generate(request.prompt, request.options);
    INFO((result ? "" : result.error().message));
    REQUIRE(result.ok());
    return std::move(*result);
  }
  TemporaryDirectory directory;
  std::optional<Model> model;
};

std::vector<TokenId> prompt(size_t n, size_t seed = 1) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>((i * 37 + seed * 11) % 250));
  return ids;
}

struct Received {
  std::vector<TokenId> ids;
  std::string text;
  std::optional<FinishReason> finished;
  std::optional<Error> error;
};

/// Steps until the batch is idle.
void drain(Batch &batch, std::map<int64_t, Received> &received) {
  while (!batch.idle()) {
    auto events = batch.step();
    INFO((events ? "" : events.error().message));
    REQUIRE(events.ok());
    for (const BatchEvent &event : *events) {
      Received &to = received[event.number];
      REQUIRE(!to.finished);
      if (event.id >= 0) to.ids.push_back(event.id);
      to.text += event.text;
      to.finished = event.finished, to.error = event.error;
    }
  }
}

void requireSame(const Received &received, const GenerateResult &alone) {
  REQUIRE(received.finished.has_value());
  REQUIRE(received.ids == alone.ids);
  REQUIRE(received.text == alone.text);
  REQUIRE(*received.finished == alone.finish_reason);
}

} // namespace

TEST_CASE("texts that join and leave at any time give what they give alone") {
  std::mt19937 random(7);
  auto draw = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (int64_t chunk : {0, 2, 3}) {
    Toy toy(ToyModel{.max_seq = 5});
    Batch batch = toy.open({.prompt_chunk = chunk});
    std::map<int64_t, BatchRequest> requests;
    std::map<int64_t, Received> received;
    std::vector<int64_t> removed;
    for (int i = 0; i < 60; ++i) {
      if (batch.free() > 0) {
        BatchRequest request{.prompt = prompt(1 + draw(24), draw(3)),
                             .options = {.max_new_tokens = int64_t(draw(20))}};
        request.options.do_sample = draw(2), request.options.seed = draw(5);
        request.options.repetition_penalty = draw(2) ? 1.3f : 1.0f;
        request.options.frequency_penalty = draw(2) ? 0.5f : 0.0f;
        request.options.ignore_eos = true;
        auto number = batch.add(request);
        REQUIRE(number.ok());
        requests[*number] = request;
      }
      auto events = batch.step();
      REQUIRE(events.ok());
      for (const BatchEvent &event : *events) {
        Received &to = received[event.number];
        if (event.id >= 0) to.ids.push_back(event.id);
        to.text += event.text, to.finished = event.finished;
      }
      if (draw(5) == 0) {
        const auto number = static_cast<int64_t>(requests.size()) - 1;
        if (received[number].finished) continue;
        batch.remove(number);
        removed.push_back(number);
      }
    }
    drain(batch, received);
    REQUIRE(removed.size() > 1);
    REQUIRE(fake().largest_batch == 4);
    for (const auto &[number, request] : requests)
      if (std::find(removed.begin(), removed.end(), number) == removed.end())
        requireSame(received[number], toy.alone(request));
    const BatchCounts counts = batch.counts();
    REQUIRE(counts.rows == 4);
    REQUIRE(counts.running == 0);
    REQUIRE(counts.shared_tokens > 0);
    REQUIRE(counts.generated_tokens > 0);
  }
}

TEST_CASE("a prompt takes what it shares with earlier prompts from the cache") {
  Toy toy;
  Batch batch = toy.open();
  std::map<int64_t, Received> received;
  const BatchRequest first{.prompt = prompt(20), .options = {.max_new_tokens = 5}};
  REQUIRE(batch.add(first).ok());
  drain(batch, received);
  REQUIRE(batch.counts().prompt_tokens == 20);

  BatchRequest longer = first; // the same row, with no copy
  for (TokenId id : received[0].ids) longer.prompt.push_back(id);
  longer.prompt.push_back(3);
  REQUIRE(batch.add(longer).ok());
  drain(batch, received);
  REQUIRE(batch.counts().shared_tokens == 20);
  REQUIRE(fake().copies == 0);
  requireSame(received[1], toy.alone(longer));

  // Another prompt that begins like these takes an empty row, and what they share by a copy: both stay.
  BatchRequest other = first;
  other.prompt.resize(13), other.prompt.push_back(9);
  REQUIRE(batch.add(other).ok());
  drain(batch, received);
  REQUIRE(batch.counts().shared_tokens == 20 + 12);
  REQUIRE(fake().copies == 1);
  requireSame(received[2], toy.alone(other));

  // Two at once with a common prompt: one row has it, the other copies it. The last two tokens are fed.
  REQUIRE(batch.add(longer).ok());
  REQUIRE(batch.add(longer).ok());
  drain(batch, received);
  REQUIRE(batch.counts().shared_tokens == 20 + 12 + 24 + 24);
  REQUIRE(fake().copies == 2);
  requireSame(received[3], toy.alone(longer));
  requireSame(received[4], toy.alone(longer));
}

TEST_CASE("a long prompt is fed between the tokens of others") {
  Toy toy;
  Batch batch = toy.open({.prompt_chunk = 4});
  REQUIRE(batch.add({.prompt = prompt(2), .options = {.max_new_tokens = 30, .ignore_eos = true}}).ok());
  REQUIRE(batch.step().ok());
  REQUIRE(batch.add({.prompt = prompt(21, 2), .options = {.max_new_tokens = 1}}).ok());
  for (int i = 0; i < 5; ++i) { // 4 + 4 + 4 + 4 + 3 tokens and 2: none is fed alone
    auto events = batch.step();
    REQUIRE(events->size() == 1);
    REQUIRE((*events)[0].number == 0);
  }
  REQUIRE(batch.step()->size() == 2);
}

TEST_CASE("log probabilities are those of the model's logits") {
  const ToyModel model;
  Toy toy(model);
  Batch batch = toy.open();
  const std::vector<TokenId> ids = prompt(5);
  REQUIRE(batch
              .add({.prompt = ids,
                    .options = {.max_new_tokens = 1, .logit_bias = {{7, 100.0f}}},
                    .top_logprobs = 3})
              .ok());
  auto events = batch.step();
  REQUIRE(events->size() == 1);
  const BatchEvent &event = (*events)[0];
  REQUIRE(event.id == 7); // by its bias, which its probability does not contain
  const std::vector<float> logits = toyLogits(model, ids);
  double sum = 0;
  for (float x : logits) sum += std::exp(double(x));
  REQUIRE(event.logprob == Approx(double(logits[7]) - std::log(sum)).margin(1e-5));
  REQUIRE(event.top.size() == 3);
  const auto best = std::max_element(logits.begin(), logits.end());
  REQUIRE(event.top[0].first == best - logits.begin());
  REQUIRE(event.top[0].second == Approx(double(*best) - std::log(sum)).margin(1e-5));
  REQUIRE(event.top[1].second >= event.top[2].second);
}

TEST_CASE("a batch ends a text for the reasons that generate() has") {
  Toy toy;
  Batch batch = toy.open();
  const std::vector<TokenId> long_prompt = prompt(40);
  std::vector<BatchRequest> requests = {
      {.prompt = long_prompt, .options = {.max_new_tokens = 100, .ignore_eos = true}},
      {.prompt = prompt(3), .options = {.max_new_tokens = 0}},
      {.prompt = prompt(48, 3), .options = {.max_new_tokens = 4}},
      {.prompt = prompt(9, 4), .options = {.max_new_tokens = 30, .stop = {}, .eos_ids = {}}},
  };
  requests[3].options.eos_ids = {toy.alone(requests[3]).ids[4]};
  std::map<int64_t, Received> received;
  for (const BatchRequest &request : requests) REQUIRE(batch.add(request).ok());
  drain(batch, received);
  for (size_t i = 0; i < requests.size(); ++i) requireSame(received[int64_t(i)], toy.alone(requests[i]));
  REQUIRE(*received[0].finished == FinishReason::Context);
  REQUIRE(*received[3].finished == FinishReason::Eos);
}

TEST_CASE("a batch rejects what it cannot run, and goes on") {
  Toy toy;
  Batch batch = toy.open({.rows = 1});
  auto rejected = [&](BatchRequest request, const std::string &part) {
    auto added = batch.add(std::move(request));
    REQUIRE(!added.ok());
    INFO(added.error().message);
    REQUIRE(added.error().message.find(part) != std::string::npos);
  };
  rejected({.prompt = {}}, "empty prompt");
  rejected({.prompt = {300}}, "outside the vocabulary");
  rejected({.prompt = prompt(49)}, "longer than the context of 48");
  rejected({.prompt = prompt(2), .options = {.temperature = -1}}, "temperature");
  rejected({.prompt = prompt(2), .options = {.logit_bias = {{300, 1.0f}}}}, "logit_bias");
  rejected({.prompt = prompt(2), .options = {.frequency_penalty = NAN}}, "frequency_penalty");
  REQUIRE(batch.add({.prompt = prompt(2)}).ok());
  rejected({.prompt = prompt(2)}, "no free row");
  batch.remove(0);
  REQUIRE(batch.idle());
  REQUIRE(batch.step()->empty());
  REQUIRE(batch.add({.prompt = prompt(2)}).ok());
  for (int64_t rows : {int64_t(-1), int64_t(5)}) {
    auto opened = Batch::open(*toy.model, {.rows = rows});
    REQUIRE(!opened.ok());
    REQUIRE(opened.error().message.find("expected from 1 to 4") != std::string::npos);
  }
  REQUIRE(!Batch::open(*toy.model, {.prompt_chunk = 1}).ok());
}

TEST_CASE("logits that are not finite end their own text only") {
  Toy toy;
  Batch batch = toy.open();
  fake().nan_after = 250; // a token that no other prompt has
  std::map<int64_t, Received> received;
  const BatchRequest good{.prompt = prompt(8), .options = {.max_new_tokens = 6, .ignore_eos = true}};
  REQUIRE(batch.add(good).ok());
  REQUIRE(batch.add({.prompt = {1, 2, 250}, .options = {.max_new_tokens = 6}}).ok());
  while (!batch.idle()) {
    auto events = batch.step();
    REQUIRE(events.ok());
    for (const BatchEvent &event : *events) {
      Received &to = received[event.number];
      if (event.id >= 0) to.ids.push_back(event.id);
      to.text += event.text, to.finished = event.finished, to.error = event.error;
    }
  }
  REQUIRE(received[1].error.has_value());
  REQUIRE(received[1].error->message.find("nan") != std::string::npos);
  requireSame(received[0], toy.alone(good));
}
