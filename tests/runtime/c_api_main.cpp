// Writes the artifacts for the tests in C, and compares the C interface with the C++ one.
#include "tests/catch.h"
#include "tests/runtime/c_api.h"
#include "tests/runtime/cpu_artifact.h"

#include <cstdlib>
#include <thread>

using namespace fixtures;

namespace {

struct Files {
  Files() {
    useFakeDevice();
    writeToyModel(model);
    writeToyModel(without_tokenizer, {.tokenizer = false});
    writeToyModel(classifier, {.labels = {"eggs", "ham", "spam"}});
    writeChain(chain, {});
    writeCounter(counter);
  }
  TemporaryDirectory directory;
  std::string model = directory / "model.linnet", without_tokenizer = directory / "ids.linnet";
  std::string classifier = directory / "classifier.linnet";
  std::string chain = directory / "chain.linnet", counter = directory / "counter.linnet";
};

} // namespace

TEST_CASE("C: versions, NULL and devices") {
  CHECK(testVersions() == 0);
  CHECK(testNullArguments() == 0);
  CHECK(testDevices() == 0);
  setenv("LINNET_VULKAN_LOADER", "libno-such-vulkan.so.9", 1);
  CHECK(testNoLoader("no Vulkan loader: libno-such-vulkan.so.9 cannot be opened") == 0);
  unsetenv("LINNET_VULKAN_LOADER");
}

TEST_CASE("C: models and tokenizers") {
  Files files;
  CHECK(testModel(files.model.c_str(), files.classifier.c_str(), files.without_tokenizer.c_str()) == 0);
  CHECK(testStructSizes(files.model.c_str()) == 0);
  CHECK(testTokenizer(files.model.c_str(), files.without_tokenizer.c_str()) == 0);
}

TEST_CASE("C: sessions") {
  Files files;
  CHECK(testGenerate(files.model.c_str()) == 0);
  CHECK(testOptions(files.model.c_str()) == 0);
  CHECK(testFork(files.model.c_str()) == 0);
  CHECK(testOnLogits(files.model.c_str()) == 0);
  CHECK(testMatrices(files.model.c_str()) == 0);
  CHECK(testClassify(files.model.c_str(), files.classifier.c_str()) == 0);
}

TEST_CASE("C: batches") {
  Files files;
  CHECK(testBatch(files.model.c_str(), files.classifier.c_str()) == 0);
}

TEST_CASE("C: graphs") {
  Files files;
  CHECK(testGraph(files.chain.c_str(), files.counter.c_str()) == 0);
}

TEST_CASE("C: several threads give the tokens of the C++ interface") {
  Files files;
  auto model = Model::load(files.model);
  REQUIRE(model.ok());
  auto session = Session::open(*model);
  REQUIRE(session.ok());
  const std::vector<TokenId> prompt = {1, 2, 3};
  auto expected = session->generate(prompt, {.max_new_tokens = 12});
  REQUIRE(expected.ok());
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      failures +=
          generateSame(files.model.c_str(), expected->ids.data(), static_cast<int>(expected->ids.size()));
    });
  for (std::thread &thread : threads) thread.join();
  CHECK(failures == 0);
}

TEST_CASE("hidden states are the embeddings of each position") {
  Files files;
  auto model = Model::load(files.model);
  REQUIRE(model.ok());
  auto session = Session::open(*model);
  REQUIRE(session.ok());
  const std::vector<TokenId> ids = {5, 6, 7, 8, 9, 10, 11}; // more than a chunk
  for (int64_t layer = -1; layer <= 2; ++layer) {
    auto states = session->hiddenStates(ids, layer);
    REQUIRE(states.ok());
    CHECK(states->rows == 7);
    CHECK(states->columns == 6);
    REQUIRE(states->values.size() == 42);
    for (size_t t = 0; t < ids.size(); ++t)
      for (size_t c = 0; c < 6; ++c)
        CHECK(states->values[t * 6 + c] ==
              toyHidden(std::span(ids).first(t + 1), layer, static_cast<int64_t>(c)));
  }
  auto failed = session->hiddenStates(ids, 3);
  REQUIRE(!failed);
  CHECK(failed.error().message == "layer: expected from -1 (after the last norm) to 2, found 3");
}
