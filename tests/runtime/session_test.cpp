// Sessions over the fake device: what they feed, in which rows and chunks, and what they make of the answers.
#include "runtime/text_stream.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <atomic>
#include <cmath>
#include <thread>

using namespace fixtures;

namespace {

struct Toy {
  explicit Toy(ToyModel toy = {}) : toy(toy) {
    useFakeDevice();
    writeToyModel(directory / "toy.linnet", toy);
    auto loaded = Model::load(directory / "toy.linnet");
    INFO((loaded ? "" : loaded.error().message));
    REQUIRE(loaded.ok());
    model.emplace(std::move(*loaded));
  }
  Session open() {
    auto session = Session::open(*model);
    REQUIRE(session.ok());
    return std::move(*session);
  }
  // Greedy continuation from the definition.
  std::vector<TokenId> greedy(std::vector<TokenId> ids, int64_t count, bool stop_at_eos = false) const {
    size_t first = ids.size();
    for (int64_t i = 0; i < count; ++i) {
      auto logits = toyLogits(toy, ids);
      ids.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      if (stop_at_eos && ids.back() == toy.eos) break;
    }
    return {ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end()};
  }
  ToyModel toy;
  TemporaryDirectory directory;
  std::optional<Model> model;
};

std::vector<TokenId> prompt(size_t n, int seed = 1) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < n; ++i)
    ids.push_back(static_cast<TokenId>((i * 37 + static_cast<size_t>(seed) * 11) % 250));
  return ids;
}

template <class T> std::string message(const Result<T> &result) {
  return result ? "" : result.error().message;
}

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

bool isUtf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    unsigned char c = static_cast<unsigned char>(s[i]);
    size_t n = c < 0x80                ? 1
               : c >= 0xC2 && c < 0xE0 ? 2
               : c >= 0xE0 && c < 0xF0 ? 3
               : c >= 0xF0 && c < 0xF5 ? 4
                                       : 0;
    if (n == 0 || i + n > s.size()) return false;
    for (size_t k = 1; k < n; ++k)
      if ((static_cast<unsigned char>(s[i + k]) & 0xC0) != 0x80) return false;
    i += n;
  }
  return true;
}

} // namespace

TEST_CASE("greedy generation gives the model's own continuation, whatever the chunks") {
  for (int64_t max_seq : {1, 2, 5, 17, 48}) {
    ToyModel toy;
    toy.max_seq = max_seq;
    for (bool token_output : {true, false}) {
      toy.token_output = token_output;
      Toy t(toy);
      for (size_t n : {1, 4, 5, 6, 17, 30}) {
        auto session = t.open();
        auto result = session.generate(prompt(n), {.max_new_tokens = 12, .ignore_eos = true});
        INFO(message(result));
        REQUIRE(result.ok());
        CHECK(result->ids == t.greedy(prompt(n), 12));
        CHECK(result->finish_reason == FinishReason::Length);
        CHECK(result->timings.prompt_tokens == static_cast<int64_t>(n));
        CHECK(result->timings.generated_tokens == 12);
        CHECK(session.position() == static_cast<int64_t>(n) + 12);
      }
      CHECK(fake().largest_seq <= max_seq);
    }
  }
}

TEST_CASE("a session continues where it stopped") {
  Toy t;
  auto session = t.open();
  REQUIRE(session.generate(prompt(7), {.max_new_tokens = 5, .ignore_eos = true}).ok());
  auto second = session.generate(prompt(3, 2), {.max_new_tokens = 6, .ignore_eos = true});
  REQUIRE(second.ok());
  std::vector<TokenId> all = prompt(7);
  for (TokenId id : t.greedy(all, 5)) all.push_back(id);
  for (TokenId id : prompt(3, 2)) all.push_back(id);
  CHECK(second->ids == t.greedy(all, 6));
  for (TokenId id : t.greedy(all, 6)) all.push_back(id);
  auto third = session.generate({}, {.max_new_tokens = 2, .ignore_eos = true}); // no new words: just go on
  REQUIRE(third.ok());
  CHECK(third->ids == t.greedy(all, 2));
  session.rewind(1000);
  CHECK(session.position() == static_cast<int64_t>(all.size()) + 2);
  session.rewind(7); // the first prompt, with other words after it
  CHECK(session.position() == 7);
  std::vector<TokenId> other = prompt(7);
  for (TokenId id : prompt(4, 5)) other.push_back(id);
  CHECK(session.generate(prompt(4, 5), {.max_new_tokens = 6, .ignore_eos = true})->ids == t.greedy(other, 6));
  session.reset();
  CHECK(session.position() == 0);
  CHECK(session.generate(prompt(7), {.max_new_tokens = 5, .ignore_eos = true})->ids ==
        t.greedy(prompt(7), 5));
}

TEST_CASE("no new tokens wanted: the prompt is fed and nothing comes") {
  Toy t;
  auto session = t.open();
  auto result = session.generate(prompt(7), {.max_new_tokens = 0});
  REQUIRE(result.ok());
  CHECK(result->ids.empty());
  CHECK(result->finish_reason == FinishReason::Length);
  auto next = session.generate({}, {.max_new_tokens = 3, .ignore_eos = true});
  REQUIRE(next.ok());
  CHECK(next->ids == t.greedy(prompt(7), 3));
}

TEST_CASE("the context ends generation after its last token") {
  Toy t;
  for (size_t n : {40, 47, 48}) {
    auto session = t.open();
    auto result = session.generate(prompt(n), {.max_new_tokens = 100, .ignore_eos = true});
    REQUIRE(result.ok());
    CHECK(result->finish_reason == FinishReason::Context);
    CHECK(result->ids == t.greedy(prompt(n), static_cast<int64_t>(48 - n + 1)));
    auto more = session.generate(prompt(1), {});
    REQUIRE(!more.ok());
    CHECK(contains(more.error().message, "longer than what is left of the context"));
  }
}

TEST_CASE("clear errors, after which the session is as before") {
  Toy t;
  auto session = t.open();
  CHECK(contains(message(session.generate({}, {})), "empty prompt"));
  CHECK(contains(message(session.generate(prompt(49), {})),
                 "prompt of 49 tokens is longer than the context of 48"));
  std::vector<TokenId> outside = {1, 300, 2}, negative = {-1};
  CHECK(contains(message(session.generate(outside, {})),
                 "id 300 at position 1 is outside the vocabulary [0, 300)"));
  CHECK(contains(message(session.generate(negative, {})), "id -1 at position 0"));
  CHECK(contains(message(session.generate(prompt(1), {.temperature = -1})), "temperature"));
  CHECK(contains(message(session.generate(prompt(1), {.temperature = NAN})), "temperature"));
  CHECK(contains(message(session.generate(prompt(1), {.top_k = -1})), "top_k"));
  CHECK(contains(message(session.generate(prompt(1), {.top_p = 1.5})), "top_p"));
  CHECK(contains(message(session.generate(prompt(1), {.top_p = -1})), "top_p"));
  CHECK(contains(message(session.generate(prompt(1), {.repetition_penalty = -2})), "repetition_penalty"));
  CHECK(contains(message(session.generate(prompt(1), {.max_new_tokens = -1})), "max_new_tokens"));
  CHECK(contains(message(session.generate(prompt(1), {.stop = {""}})), "stop"));
  CHECK(contains(message(session.logits(std::vector<TokenId>())), "empty prompt"));
  CHECK(contains(message(session.logits(prompt(60))), "60 tokens are longer than the context of 48"));
  CHECK(contains(message(session.embed(prompt(3), Pooling::Mean, 3)), "layer: expected from -1"));
  CHECK(contains(message(session.perplexity(prompt(1))), "at least 2 tokens"));
  CHECK(contains(message(session.perplexity(prompt(9), 49)), "stride: expected from 1 to 48, found 49"));
  CHECK(session.position() == 0);
  CHECK(session.generate(prompt(5), {.max_new_tokens = 3, .ignore_eos = true})->ids ==
        t.greedy(prompt(5), 3));
}

TEST_CASE("a batch of different lengths gives what each prompt gives alone") {
  ToyModel toy;
  toy.max_batch = 3;
  Toy t(toy);
  std::vector<std::vector<TokenId>> prompts;
  for (size_t n : {3, 17, 1, 30, 8, 5, 44}) prompts.push_back(prompt(n, static_cast<int>(n)));
  for (bool sampled : {false, true}) {
    GenerateOptions options{
        .max_new_tokens = 11, .do_sample = sampled, .temperature = 2, .top_p = 0.9f, .seed = 7};
    auto session = t.open();
    auto together = session.generateBatch(prompts, options);
    INFO(message(together));
    REQUIRE(together.ok());
    REQUIRE(together->size() == prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      auto alone = t.open().generate(prompts[i], options);
      CHECK((*together)[i].ids == alone->ids);
      CHECK((*together)[i].text == alone->text);
      CHECK((*together)[i].finish_reason == alone->finish_reason);
      CHECK((*together)[i].prompt == prompts[i]);
      if (!sampled)
        CHECK(alone->ids ==
              t.greedy(prompts[i], std::min<int64_t>(11, 49 - int64_t(prompts[i].size())), true));
    }
    CHECK(session.position() == 0);
  }
  CHECK(fake().largest_batch == 3);
}

TEST_CASE("sampled copies of a prompt in one batch differ, the first is as alone") {
  Toy t;
  std::vector<std::vector<TokenId>> prompts = {prompt(4), prompt(4), prompt(4)};
  GenerateOptions options{.max_new_tokens = 12, .do_sample = true, .top_k = 0, .seed = 3, .ignore_eos = true};
  auto together = t.open().generateBatch(prompts, options);
  REQUIRE(together.ok());
  CHECK((*together)[0].ids == t.open().generate(prompts[0], options)->ids);
  CHECK((*together)[0].ids != (*together)[1].ids);
  CHECK((*together)[1].ids != (*together)[2].ids);
}

TEST_CASE("end of text: stops, is in the ids and not in the text, and can be ignored") {
  Toy t;
  fake().script = {0, 'a', 'b', 'c', 256, 'd', 'e'};
  std::vector<TokenId> start = {'x'};
  auto result = t.open().generate(start, {.max_new_tokens = 6});
  REQUIRE(result.ok());
  CHECK(result->finish_reason == FinishReason::Eos);
  CHECK(result->ids == std::vector<TokenId>{'a', 'b', 'c', 256});
  CHECK(result->text == "abc");
  auto on = t.open().generate(start, {.max_new_tokens = 6, .ignore_eos = true});
  CHECK(on->finish_reason == FinishReason::Length);
  CHECK(on->ids == std::vector<TokenId>{'a', 'b', 'c', 256, 'd', 'e'});
}

TEST_CASE("any of several end tokens ends a text, the model's or the caller's") {
  ToyModel toy;
  toy.generation = R"({"eos_token_id":[65,66]})";
  Toy t(toy);
  CHECK(t.model->config().eos_ids == std::vector<TokenId>{65, 66});
  fake().script.assign(48, 90);
  fake().script[5] = 67;
  fake().script[6] = 66;
  auto session = t.open();
  auto ended = session.generate(prompt(3), {.max_new_tokens = 20});
  REQUIRE(ended.ok());
  CHECK(ended->finish_reason == FinishReason::Eos);
  CHECK(ended->ids == std::vector<TokenId>{90, 90, 67, 66});
  session.reset();
  CHECK(session.generate(prompt(3), {.max_new_tokens = 20, .eos_ids = {1, 67}})->ids ==
        std::vector<TokenId>{90, 90, 67});
  session.reset();
  CHECK(session.generate(prompt(3), {.max_new_tokens = 6, .eos_ids = {1}})->finish_reason ==
        FinishReason::Length);
  CHECK(contains(message(session.generate(prompt(3), {.eos_ids = {5, 300}})),
                 "eos_ids: id 300 at position 1 is outside the vocabulary [0, 300)"));
}

TEST_CASE("what a checkpoint says of generation comes with its artifact") {
  auto loaded = [](const std::string &generation) {
    ToyModel toy;
    toy.generation = generation;
    useFakeDevice();
    TemporaryDirectory directory;
    writeToyModel(directory / "toy.linnet", toy);
    return Model::load(directory / "toy.linnet");
  };
  auto named = loaded(R"({"do_sample":true,"temperature":0.5,"top_k":7,"top_p":0.25,"repetition_penalty":2,)"
                      R"("max_new_tokens":9})");
  REQUIRE(named.ok());
  const GenerateOptions &options = named->generation();
  CHECK(options.draws());
  CHECK(options.temperature == 0.5f);
  CHECK(options.top_k == 7);
  CHECK(options.top_p == 0.25f);
  CHECK(options.repetition_penalty == 2.0f);
  CHECK(options.max_new_tokens == 9);
  CHECK(named->config().eos_ids == std::vector<TokenId>{256}); // config.json's

  auto silent = loaded(""); // as an older compiler wrote them
  REQUIRE(silent.ok());
  CHECK_FALSE(silent->generation().draws());
  CHECK(silent->generation().max_new_tokens == GenerateOptions().max_new_tokens);

  CHECK(contains(message(loaded("[1]")), "its generation settings are no JSON object"));
  CHECK(contains(message(loaded(R"({"top_k":1.5})")), "its generation settings: top_k is 1.5"));
  CHECK(contains(message(loaded(R"({"top_p":2})")), "its generation settings: top_p: expected a number"));
}

TEST_CASE("text streams in whole characters and adds up") {
  Toy t;
  std::string text = "a\xE2\x82\xAC-\xF0\x9F\x98\x80 \xC3\xA9\xF0\x9F\x98"; // the last character is cut
  fake().script = {0};
  for (char c : text) fake().script.push_back(static_cast<unsigned char>(c));
  std::string joined;
  std::vector<TokenId> start = {'x'}, told;
  auto result = t.open().generate(start, {.max_new_tokens = static_cast<int64_t>(text.size())},
                                  [&](TokenId id, std::string_view piece) {
                                    CHECK(isUtf8(piece));
                                    joined += piece;
                                    if (id >= 0) told.push_back(id);
                                    return true;
                                  });
  REQUIRE(result.ok());
  CHECK(joined == result->text);
  CHECK(told == result->ids);
  CHECK(result->text == *t.model->tokenizer()->decode(result->ids));
  CHECK(result->text.ends_with("\xEF\xBF\xBD"));
}

TEST_CASE("stop texts that span tokens end the text before them") {
  Toy t;
  std::string text = "one END two STOP three";
  fake().script = {0};
  for (char c : text) fake().script.push_back(static_cast<unsigned char>(c));
  std::vector<TokenId> start = {'x'};
  auto run = [&](std::vector<std::string> stops, std::string *streamed = nullptr) {
    GenerateOptions options{.max_new_tokens = static_cast<int64_t>(text.size())};
    options.stop = std::move(stops);
    auto result = t.open().generate(start, options, [&](TokenId, std::string_view piece) {
      if (streamed) *streamed += piece;
      return true;
    });
    REQUIRE(result.ok());
    return *result;
  };
  std::string streamed;
  auto result = run({"STOP", "ENDING", "E T"}, &streamed);
  CHECK(result.text == "one END two ");
  CHECK(streamed == result.text);
  CHECK(result.finish_reason == FinishReason::Stop);
  CHECK(run({"END", "STOP"}).text == "one ");
  CHECK(run({"three!"}).text == text); // held back, then shown as it did not come
  CHECK(run({"three!"}).finish_reason == FinishReason::Length);
  CHECK(run({"two STOP", "o S"}).text == "one END tw");
}

TEST_CASE("a stop text needs a tokenizer") {
  ToyModel toy;
  toy.tokenizer = false;
  Toy t(toy);
  CHECK(contains(message(t.open().generate(prompt(2), {.stop = {"x"}})), "no tokenizer"));
  auto result = t.open().generate(prompt(2), {.max_new_tokens = 3, .ignore_eos = true});
  CHECK(result->ids == t.greedy(prompt(2), 3));
  CHECK(result->text.empty());
}

TEST_CASE("a stop matcher holds back no more than it must") {
  StopMatcher matcher({"abc", "bd"});
  CHECK(matcher.push("xa") == "x");
  CHECK(matcher.push("b") == "");
  CHECK(matcher.push("x") == "abx");
  CHECK(matcher.push("ab") == "");
  CHECK(matcher.push("d...") == "a");
  CHECK(matcher.stopped());
  CHECK(matcher.push("more") == "");
}

TEST_CASE("cancel from another thread, from the callback, and before the call") {
  Toy t;
  auto session = t.open();
  std::atomic<bool> running{false};
  fake().on_run = [&] {
    running = true;
    std::this_thread::yield();
  };
  // The context has room for 40 tokens: a generation of it may end before the cancel. Repeat until one is
  // met.
  bool met = false;
  for (int i = 0; i < 200 && !met; ++i) {
    session.reset();
    running = false;
    std::thread other([&] {
      while (!running) std::this_thread::yield();
      session.cancel();
    });
    auto result = session.generate(prompt(3), {.max_new_tokens = 45, .ignore_eos = true});
    other.join();
    REQUIRE(result.ok());
    met = result->finish_reason == FinishReason::Cancelled;
  }
  CHECK(met);
  session.reset();
  auto halted = session.generate(prompt(3), {.max_new_tokens = 20, .ignore_eos = true},
                                 [n = 0](TokenId, std::string_view) mutable { return ++n < 4; });
  CHECK(halted->finish_reason == FinishReason::Cancelled);
  CHECK(halted->ids == t.greedy(prompt(3), 4));
  session.reset();
  session.cancel();
  auto early = session.generate(prompt(3), {.max_new_tokens = 5});
  CHECK(early->finish_reason == FinishReason::Cancelled);
  CHECK(early->ids.empty());
  session.reset();
  CHECK(session.generate(prompt(3), {.max_new_tokens = 4, .ignore_eos = true})->ids ==
        t.greedy(prompt(3), 4));
  session.cancel();
  CHECK(message(session.logits(prompt(3))) == "cancelled");
  CHECK(session.logits(prompt(3)).ok());
}

TEST_CASE("a cancelled prompt leaves a session that can go on") {
  Toy t;
  auto session = t.open();
  int runs = 0;
  fake().on_run = [&] {
    if (++runs == 2) session.cancel();
  };
  auto result = session.generate(prompt(20), {.max_new_tokens = 4});
  REQUIRE(result.ok());
  CHECK(result->finish_reason == FinishReason::Cancelled);
  fake().on_run = {};
  CHECK(session.generate({}, {.max_new_tokens = 4, .ignore_eos = true})->ids == t.greedy(prompt(20), 4));
}

TEST_CASE("logits of the last and of all positions") {
  Toy t;
  auto session = t.open();
  auto ids = prompt(19);
  auto last = session.logits(ids);
  REQUIRE(last.ok());
  CHECK(last->values == toyLogits(t.toy, ids));
  auto all = session.logits(ids, true);
  REQUIRE(all.ok());
  CHECK(all->rows == 19);
  CHECK(all->columns == 300);
  for (size_t i = 0; i < ids.size(); ++i) {
    auto expected = toyLogits(t.toy, std::span(ids).first(i + 1));
    CHECK(std::equal(expected.begin(), expected.end(),
                     all->values.begin() + static_cast<std::ptrdiff_t>(i * 300)));
  }
}

TEST_CASE("embeddings: layers and pooling") {
  Toy t;
  auto session = t.open();
  auto ids = prompt(13);
  for (int64_t layer = -1; layer <= 2; ++layer)
    for (int64_t c = 0; c < 6; ++c) {
      double mean = 0;
      for (size_t i = 0; i < ids.size(); ++i) mean += toyHidden(std::span(ids).first(i + 1), layer, c) / 13.0;
      auto at = static_cast<size_t>(c);
      CHECK(session.embed(ids, Pooling::Last, layer)->values.at(at) == toyHidden(ids, layer, c));
      CHECK(session.embed(ids, Pooling::First, layer)->values.at(at) ==
            toyHidden(std::span(ids).first(1), layer, c));
      CHECK(session.embed(ids, Pooling::Mean, layer)->values.at(at) == Approx(mean).epsilon(1e-6));
    }
}

TEST_CASE("perplexity over sliding windows is the definition's") {
  ToyModel toy;
  toy.context = 16;
  Toy t(toy);
  auto session = t.open();
  auto ids = prompt(50);
  for (int64_t stride : {0, 1, 5, 8, 15, 16}) {
    int64_t step = stride ? stride : 16;
    double sum = 0;
    int64_t count = 0;
    // transformers' loop: labels outside a window's new part are ignored, and the first label is never
    // predicted.
    for (int64_t begin = 0, previous = 0; previous < 50; begin += step) {
      int64_t end = std::min<int64_t>(begin + 16, 50);
      for (int64_t p = std::max(previous, begin + 1); p < end; ++p) {
        auto window = std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(p - begin));
        auto logits = toyLogits(toy, window);
        double total = 0;
        for (float x : logits) total += std::exp(static_cast<double>(x));
        sum +=
            std::log(total) - static_cast<double>(logits[static_cast<size_t>(ids[static_cast<size_t>(p)])]);
        ++count;
      }
      previous = end;
    }
    auto found = session.perplexity(ids, stride);
    REQUIRE(found.ok());
    CHECK(found->tokens == count);
    CHECK(found->nll == Approx(sum / static_cast<double>(count)).epsilon(1e-9));
    CHECK(found->perplexity == Approx(std::exp(sum / static_cast<double>(count))).epsilon(1e-9));
  }
}

TEST_CASE("sessions of one model do not disturb each other") {
  Toy t;
  auto a = t.open(), b = t.open();
  REQUIRE(a.generate(prompt(5), {.max_new_tokens = 3, .ignore_eos = true}).ok());
  REQUIRE(b.generate(prompt(9, 4), {.max_new_tokens = 3, .ignore_eos = true}).ok());
  auto all = prompt(5);
  for (TokenId id : t.greedy(all, 3)) all.push_back(id);
  CHECK(a.generate({}, {.max_new_tokens = 5, .ignore_eos = true})->ids == t.greedy(all, 5));
}

TEST_CASE("loading says what is wrong") {
  Toy t;
  auto failure = [](const std::string &path, const LoadOptions &options = {}) {
    return message(Model::load(path, options));
  };
  CHECK(contains(failure(t.directory / "none.linnet"), "none.linnet: cannot open"));
  CHECK(contains(failure(t.directory / "toy.linnet", {.device = "cpu"}),
                 "has no program for target 'cpu', only for: fake"));
  CHECK(contains(failure(t.directory.path), "expected a regular file"));
  CHECK(t.model->targets() == std::vector<std::string>{"fake"});
  CHECK(t.model->config().context == 48);
  CHECK(t.model->config().max_batch == 4);
  CHECK(t.model->config().eos_ids == std::vector<TokenId>{256});
  CHECK(openDevice("nothing").ok() == false);
  CHECK(contains(message(openDevice("nothing")),
                 "unknown device 'nothing', expected one of: cpu, fake, vulkan"));
}
