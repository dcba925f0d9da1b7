// One model in several threads. scripts/check-threads runs these tests under the thread sanitizer, with a compiled
// model that LINNET_THREADS_MODEL names.
#include "linnet/batch.h"
#include "tests/catch.h"
#include "tests/runtime/cpu_artifact.h"

#include <atomic>
#include <cstdlib>
#include <optional>
#include <thread>

using namespace fixtures;

namespace {

constexpr int kThreads = 4;

/// Calls work(0) to work(kThreads - 1) at the same time. Whether all return true.
template <class Work> bool atOnce(const Work &work) {
  std::atomic<int> missing{kThreads}, good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      --missing;
      while (missing > 0) std::this_thread::yield();
      good += work(i);
    });
  for (std::thread &thread : threads) thread.join();
  return good == kThreads;
}

Model loaded(const std::string &path, int threads) {
  auto model = Model::load(path, {.threads = threads});
  INFO((model ? "" : model.error().message));
  REQUIRE(model.ok());
  return std::move(*model);
}

const std::vector<TokenId> kText = {1, 2, 3, 4, 5, 6, 7};
const GenerateOptions kGreedy{.max_new_tokens = 8, .ignore_eos = true};

/// What one thread computes alone.
struct Alone {
  explicit Alone(const Model &model) {
    auto session = std::move(*Session::open(model));
    ids = session.generate(kText, kGreedy)->ids;
    logits = session.logits(kText)->values;
    vector = session.embed(kText)->values;
    if (model.tokenizer()) text = *model.tokenizer()->decode(kText);
  }
  std::vector<TokenId> ids;
  std::vector<float> logits, vector;
  std::string text;
};

/// The results of `alone` from a session, a fork of it, and a batch.
bool givesTheSame(const Model &model, const Alone &alone, bool profiled) {
  auto session = Session::open(model);
  if (!session) return false;
  if (profiled) session->setProfiler(std::make_shared<Profiler>());
  GenerateOptions half = kGreedy;
  half.max_new_tokens = 4;
  const std::vector<TokenId> begin(alone.ids.begin(), alone.ids.begin() + 4),
      end(alone.ids.begin() + 4, alone.ids.end());
  bool good = session->generate(kText, half)->ids == begin;
  auto fork = session->fork();
  if (!fork) return false;
  good &= fork->generate({}, half)->ids == end;
  good &= session->generate({}, half)->ids == end;
  half.on_logits = [&](int64_t, std::span<const TokenId> ids, std::span<float> logits) {
    logits[0] = 1e9f;
    return ids.size() < kText.size() + 2;
  };
  fork->rewind(0);
  good &= fork->generate(kText, half)->ids == std::vector<TokenId>{0, 0};
  good &= session->logits(kText)->values == alone.logits;
  good &= session->embed(kText)->values == alone.vector;
  if (model.tokenizer()) good &= *model.tokenizer()->decode(kText) == alone.text;
  auto batch = Batch::open(model);
  if (!batch || !batch->add({.prompt = kText, .options = kGreedy})) return false;
  std::vector<TokenId> ids;
  while (!batch->idle()) {
    auto events = batch->step();
    if (!events) return false;
    for (const BatchEvent &event : *events) ids.push_back(event.id);
  }
  return good && ids == alone.ids;
}

void checkSharedModel(const std::string &path) {
  for (int threads : {1, 3}) {
    CAPTURE(threads);
    const Model model = loaded(path, threads);
    const Alone alone(model);
    CHECK(atOnce([&](int number) {
      const Model copy(model); // copies share data
      bool good = true;
      for (int round = 0; round < 2; ++round) good &= givesTheSame(copy, alone, number == 0);
      return good;
    }));
  }
}

void checkCancel(const std::string &path) {
  const Model model = loaded(path, 2);
  const Alone alone(model);
  auto session = std::move(*Session::open(model));
  std::atomic<bool> ended{false};
  std::thread other([&] {
    for (int i = 0; !ended; ++i) {
      if (i % 4 == 0) session.cancel();
      std::this_thread::yield();
    }
  });
  bool good = true;
  int cancelled = 0;
  for (int round = 0; round < 500 && (round < 20 || cancelled == 0); ++round) {
    session.reset();
    auto result = session.generate(kText, kGreedy);
    good &= result.ok() && std::equal(result->ids.begin(), result->ids.end(), alone.ids.begin());
    cancelled += result->finish_reason == FinishReason::Cancelled;
  }
  ended = true;
  other.join();
  CHECK(good);
  CHECK(cancelled > 0);
  session.reset();
  CHECK(session.generate(kText, kGreedy)->ids == alone.ids);
}

struct ToyFile {
  ToyFile() {
    useFakeDevice();
    writeToyModel(path);
  }
  TemporaryDirectory directory;
  std::string path = directory / "toy.linnet";
};

} // namespace

TEST_CASE("threads: sessions, forks and batches of one model") {
  ToyFile toy;
  checkSharedModel(toy.path);
  fake().loop_steps = 7;
  checkSharedModel(toy.path);
}

TEST_CASE("threads: a session is cancelled from another thread") {
  ToyFile toy;
  checkCancel(toy.path);
}

TEST_CASE("threads: models are loaded and devices are opened at once") {
  ToyFile toy;
  const Alone alone(loaded(toy.path, 1));
  CHECK(atOnce([&](int number) {
    registerDevice("fake-" + std::to_string(number),
                   [](std::string_view) -> Result<std::unique_ptr<Device>> { return Error{"none"}; });
    auto model = Model::load(toy.path);
    auto failed = Model::load(toy.path + ".none");
    return model && !failed && !openDevice("nothing") && givesTheSame(*model, alone, false);
  }));
}

TEST_CASE("threads: graphs of one file, each with a team of threads") {
  TemporaryDirectory directory;
  const std::string path = directory / "chain.linnet";
  writeChain(path, {});
  std::vector<float> x(64 * 8);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 13);
  const std::vector<float> expected = chainReference({}, x);
  CHECK(atOnce([&](int number) {
    auto graph = Graph::load(path, {.device = "cpu", .threads = 1 + number});
    if (!graph) return false;
    if (number == 1) graph->setProfiler(std::make_shared<Profiler>());
    bool good = true;
    for (int run = 0; run < 200; ++run) {
      const NamedTensor input = {"x", Tensor::fromFloats({64, 8}, x)};
      auto outputs = graph->run("main", std::span(&input, 1));
      good &= outputs.ok() && std::ranges::equal(outputs->at(0).tensor.floats(), expected);
    }
    return good;
  }));
}

TEST_CASE("threads: a compiled model", "[compiled]") {
  const char *path = std::getenv("LINNET_THREADS_MODEL");
  if (!path) return; // scripts/check-threads compiles one
  checkSharedModel(path);
  checkCancel(path);
}
