// A text's tokens do not depend on the other texts of a batch, on the chunks of its prompt, or on what it shares with
// earlier ones: the bundled model in each type of weights.
#include "frontend/checkpoint/safetensors.h"
#include "linnet/batch.h"
#include "tests/compiler/scratch.h"
#include "tests/folders.h"

#include <map>
#include <random>

using namespace linnet;
using namespace linnet::testing;

namespace {

struct Text {
  std::vector<TokenId> ids;
  std::string text;
};

/// Steps until `number` has ended; `before` is called before each step.
Text finish(Batch &batch, int64_t number, const std::function<void()> &before) {
  Text found;
  for (bool ended = false; !ended;) {
    before();
    auto events = batch.step();
    if (!events) FAIL(events.error().message);
    for (const BatchEvent &event : *events) {
      if (event.number != number) continue;
      REQUIRE(!event.error);
      if (event.id >= 0) found.ids.push_back(event.id);
      found.text += event.text;
      ended |= event.finished.has_value();
    }
  }
  return found;
}

} // namespace

TEST_CASE("a text gives the same tokens with 32 neighbours as alone, in each type") {
  const std::string dtype = GENERATE(as<std::string>(), "f32", "bf16", "f16", "int8", "int4");
  CAPTURE(dtype);
  constexpr int64_t kNeighbours = 32;
  Scratch scratch;
  CompileOptions options;
  options.input = std::string(testing::sourceFolder()) + "/models/linnet-stories";
  options.output = scratch.file("model.linnet");
  options.targets = {"cpu:native"};
  options.dtype = dtype;
  options.max_batch = kNeighbours + 1;
  auto report = api().compile(options);
  if (!report) FAIL(report.error().message);
  auto model = Model::load(options.output, {.threads = 2});
  if (!model) FAIL(model.error().message);
  std::string story = "Once upon a time, a small dog and a big cat went to the park. The dog said: ";
  for (int i = 0; i < 9; ++i) story += "I see a red ball and a tree, but I do not see my friend. ";
  auto prompt = model->tokenizer()->encode(story);
  REQUIRE(prompt.ok());
  REQUIRE(prompt->ids.size() > 130); // more than two blocks of keys
  int64_t most_running = 0;
  BatchRequest request{.prompt = prompt->ids, .options = {.max_new_tokens = 24, .ignore_eos = true}};
  std::mt19937 random(11);
  for (bool sampled : {false, true}) {
    CAPTURE(sampled);
    request.options.do_sample = sampled, request.options.seed = 5;
    auto session = Session::open(*model);
    auto alone = session->generate(request.prompt, request.options);
    if (!alone) FAIL(alone.error().message);
    for (int64_t chunk : {0, 37}) {
      CAPTURE(chunk);
      auto batch = Batch::open(*model, {.prompt_chunk = chunk});
      if (!batch) FAIL(batch.error().message);
      auto neighbour = [&] {
        BatchRequest other{.prompt = {},
                           .options = {.max_new_tokens = 1 + int64_t(random() % 30), .ignore_eos = true}};
        for (size_t n = 1 + random() % 40; n; --n) other.prompt.push_back(TokenId(random() % 500));
        REQUIRE(batch->add(other).ok());
      };
      for (int i = 0; i < kNeighbours; ++i) neighbour();
      REQUIRE(batch->step().ok());
      const auto number = batch->add(request);
      REQUIRE(number.ok());
      const Text among = finish(*batch, *number, [&] {
        while (batch->free() > 0) neighbour(); // they join and leave all the time
        most_running = std::max(most_running, batch->counts().running);
      });
      CHECK(among.ids == alone->ids);
      CHECK(among.text == alone->text);
      // Once more, behind the same prompt in the cache.
      const int64_t shared = batch->counts().shared_tokens;
      while (batch->free() == 0) REQUIRE(batch->step().ok());
      const auto again = batch->add(request);
      REQUIRE(again.ok());
      CHECK(finish(*batch, *again, [] {}).ids == alone->ids);
      CHECK(batch->counts().shared_tokens >= shared + int64_t(request.prompt.size()) - 2);
      // Behind a part of the prompt: its chunk begins at another position.
      BatchRequest part = request;
      part.prompt.resize(71);
      auto fresh = Batch::open(*model, {.prompt_chunk = chunk});
      if (!fresh) FAIL(fresh.error().message);
      REQUIRE(fresh->add(part).ok());
      while (!fresh->idle()) REQUIRE(fresh->step().ok());
      const auto behind = fresh->add(request);
      REQUIRE(behind.ok());
      CHECK(finish(*fresh, *behind, [] {}).ids == alone->ids);
      CHECK(fresh->counts().shared_tokens == 71);
    }
  }
  CHECK(most_running == kNeighbours + 1);
}
