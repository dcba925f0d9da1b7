// Many tokens decoded at once: whatever the chunks, callers see what they see where tokens come one at a
// time.
#include "runtime/decode_pace.h"
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <optional>
#include <tuple>

using namespace fixtures;

namespace {

/// All that a caller sees of a call.
struct Seen {
  std::vector<std::tuple<int64_t, TokenId, std::string>> told;
  std::vector<GenerateResult> results;
  int64_t position = 0;

  Session::BatchCallback callback() {
    return [this](int64_t sequence, TokenId id, std::string_view piece) {
      told.emplace_back(sequence, id, piece);
      return true;
    };
  }
};

void checkSame(const Seen &one, const Seen &other) {
  CHECK(one.told == other.told);
  CHECK(one.position == other.position);
  REQUIRE(one.results.size() == other.results.size());
  for (size_t i = 0; i < one.results.size(); ++i) {
    const GenerateResult &a = one.results[i], &b = other.results[i];
    CHECK(a.ids == b.ids);
    CHECK(a.text == b.text);
    CHECK(a.finish_reason == b.finish_reason);
    CHECK(a.timings.prompt_tokens == b.timings.prompt_tokens);
    CHECK(a.timings.generated_tokens == b.timings.generated_tokens);
  }
}

std::vector<TokenId> prompt(size_t n) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>((i * 37 + n) % 250));
  return ids;
}

/// `scenario` on a device that decodes one token at a time and on some that decode many.
void everyWay(const ToyModel &toy, const std::function<Seen(Session)> &scenario) {
  TemporaryDirectory directory;
  useFakeDevice();
  writeToyModel(directory / "toy.linnet", toy);
  std::optional<Seen> alone;
  for (int64_t steps : {0, 2, 7, 64}) {
    CAPTURE(steps);
    useFakeDevice();
    fake().loop_steps = steps;
    auto model = Model::load(directory / "toy.linnet");
    REQUIRE(model.ok());
    auto session = Session::open(*model);
    REQUIRE(session.ok());
    Seen seen = scenario(std::move(*session));
    if (!alone) {
      CHECK(fake().largest_loop == 0);
      alone = std::move(seen);
      continue;
    }
    CHECK(fake().largest_loop > 1);
    CHECK(fake().largest_loop <= steps);
    checkSame(*alone, seen);
  }
}

Seen turn(Session &session, const std::vector<TokenId> &ids, const GenerateOptions &options) {
  Seen seen;
  auto result = session.generate(ids, options, [&](TokenId id, std::string_view piece) {
    seen.told.emplace_back(0, id, piece);
    return true;
  });
  REQUIRE(result.ok());
  seen.results.push_back(std::move(*result));
  seen.position = session.position();
  return seen;
}

void append(Seen &to, Seen more) {
  to.told.insert(to.told.end(), more.told.begin(), more.told.end());
  to.results.push_back(more.results.at(0));
  to.position = more.position;
}

} // namespace

TEST_CASE("many at once: up to max_new_tokens, and up to the end of the context") {
  everyWay({}, [](Session session) {
    Seen seen = turn(session, prompt(5), {.max_new_tokens = 23, .ignore_eos = true});
    append(seen, turn(session, prompt(1), {.max_new_tokens = 100, .ignore_eos = true}));
    CHECK(seen.results[1].finish_reason == FinishReason::Context);
    return seen;
  });
}

TEST_CASE("many at once: what lies behind an end of text in a chunk is forgotten by the next turn") {
  everyWay({}, [](Session session) {
    fake().script = {0, 'a', 'b', 'c', 'd', 'e', 'f', 256, 'x', 'y', 'z', 'x', 'y', 'z'};
    Seen seen = turn(session, {'x'}, {.max_new_tokens = 40});
    CHECK(seen.results[0].text == "abcdef");
    fake().script.clear(); // from here on tokens depend on all that is in the cache
    append(seen, turn(session, prompt(3), {.max_new_tokens = 20, .ignore_eos = true}));
    append(seen, turn(session, {}, {.max_new_tokens = 9, .ignore_eos = true}));
    return seen;
  });
}

TEST_CASE("many at once: a stop text in the middle of a chunk") {
  everyWay({}, [](Session session) {
    fake().script = {0};
    for (char c : std::string("one END two STOP three and four")) fake().script.push_back(c);
    Seen seen = turn(session, {'x'}, {.max_new_tokens = 30, .stop = {"STOP"}});
    CHECK(seen.results[0].text == "one END two ");
    CHECK(seen.results[0].finish_reason == FinishReason::Stop);
    fake().script.clear();
    append(seen, turn(session, prompt(2), {.max_new_tokens = 15, .ignore_eos = true}));
    return seen;
  });
}

TEST_CASE("many at once: rows of a batch that begin and end at different places") {
  ToyModel toy;
  toy.max_batch = 3;
  everyWay(toy, [](Session session) {
    std::vector<std::vector<TokenId>> prompts = {prompt(3), prompt(20), prompt(9), prompt(44), prompt(1)};
    fake().script.assign(30, 0);
    for (size_t i = 0; i < 30; ++i) fake().script[i] = static_cast<TokenId>('a' + i % 26);
    fake().script[26] = 256; // ends those that come by there
    Seen seen;
    auto results = session.generateBatch(prompts, {.max_new_tokens = 21}, seen.callback());
    REQUIRE(results.ok());
    seen.results = std::move(*results);
    CHECK(seen.results[0].finish_reason == FinishReason::Length);
    CHECK(seen.results[1].finish_reason == FinishReason::Eos);
    CHECK(seen.results[3].finish_reason == FinishReason::Context);
    return seen;
  });
}

TEST_CASE("many at once: a callback that ends or cancels hears of no token more") {
  for (bool cancel : {false, true})
    everyWay({}, [&](Session session) {
      Seen seen;
      auto halted = session.generate(prompt(3), {.max_new_tokens = 40, .ignore_eos = true},
                                     [&](TokenId id, std::string_view piece) {
                                       seen.told.emplace_back(0, id, piece);
                                       if (seen.told.size() == 12 && cancel) session.cancel();
                                       return seen.told.size() < 12 || cancel;
                                     });
      REQUIRE(halted.ok());
      CHECK(halted->finish_reason == FinishReason::Cancelled);
      CHECK(halted->ids.size() == 12);
      seen.results.push_back(*halted);
      append(seen, turn(session, {}, {.max_new_tokens = 12, .ignore_eos = true}));
      return seen;
    });
}

TEST_CASE("many at once: drawn on the device, in batches with copies, with the host's numbers") {
  ToyModel toy;
  toy.sample_entry = true;
  toy.max_batch = 3;
  everyWay(toy, [](Session session) {
    GenerateOptions options{.max_new_tokens = 18, .do_sample = true, .temperature = 1.3f, .top_k = 40};
    options.top_p = 0.9f, options.seed = (uint64_t(77) << 32) | 5;
    Seen seen = turn(session, prompt(4), options);
    append(seen, turn(session, prompt(2), options));
    CHECK(seen.results[0].ids != seen.results[1].ids);
    auto results = session.generateBatch(std::vector{prompt(9), prompt(3), prompt(9), prompt(31)}, options,
                                         seen.callback());
    REQUIRE(results.ok());
    CHECK((*results)[0].ids != (*results)[2].ids);
    seen.results.insert(seen.results.end(), results->begin(), results->end());
    return seen;
  });
}

namespace {

/// The most steps of a loop that generating so takes; 0: no loop was run.
int64_t largestLoop(bool sample_entry, const GenerateOptions &options) {
  ToyModel toy;
  toy.sample_entry = sample_entry;
  TemporaryDirectory directory;
  useFakeDevice();
  writeToyModel(directory / "toy.linnet", toy);
  fake().loop_steps = 64;
  auto model = Model::load(directory / "toy.linnet");
  auto session = Session::open(*model);
  REQUIRE(session->generate(prompt(3), options).ok());
  return fake().largest_loop;
}

} // namespace

TEST_CASE(
    "what the device draws does not depend on how long chunks are: single tokens are drawn there, too") {
  GenerateOptions options{.max_new_tokens = 2, .do_sample = true, .ignore_eos = true};
  CHECK(largestLoop(true, options) == 1); // the first token is the host's, of the prompt's logits
}

TEST_CASE("penalties, and drawing where the program has no entry for it, look at logits one at a time") {
  GenerateOptions options{.max_new_tokens = 20, .ignore_eos = true};
  CHECK(largestLoop(true, options) > 1);
  options.repetition_penalty = 1.1f;
  CHECK(largestLoop(true, options) == 0);
  options.do_sample = true;
  CHECK(largestLoop(true, options) == 0);
  options.repetition_penalty = 1;
  CHECK(largestLoop(true, options) > 1);
  CHECK(largestLoop(false, options) == 0);
}

TEST_CASE("a chunk grows at most twofold, to what takes a twentieth of a second, and shrinks at once") {
  DecodePace pace;
  CHECK(pace.steps() == 1);
  pace.note(1, 0.001);
  CHECK(pace.steps() == 2);
  pace.note(2, 0.002);
  CHECK(pace.steps() == 4);
  pace.note(40, 0.040);
  CHECK(pace.steps() == 50);
  pace.note(50, 0.5);
  CHECK(pace.steps() == 5);
  pace.note(5, 10);
  CHECK(pace.steps() == 1);
  pace.note(1, 0);
  CHECK(pace.steps() == 2);
}
