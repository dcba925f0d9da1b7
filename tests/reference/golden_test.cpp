// GPT-2 as we build it, run by the interpreter, against what PyTorch computed (tests/golden).
#include "frontend/model/graph.h"
#include "tests/catch.h"
#include "tests/compiler/families.h"
#include "tests/reference/fixtures.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "tests/folders.h"

using namespace linnet;
using linnet::testing::relativeError;
using linnet::testing::toTensor;
using reference::Named;
using reference::Tensor;

namespace {

struct Golden {
  explicit Golden(const std::string &name) {
    std::string directory = linnet::testing::golden(name);
    checkpoint = *Checkpoint::open(directory);
    expected = *SafetensorsFile::open(directory + "/expected.safetensors");
    module = buildGraph(context, checkpoint.config(), {.max_batch = 4, .max_context = 0, .entries = {}});
    REQUIRE(mlir::succeeded(mlir::verify(*module)));
  }
  Tensor want(const std::string &name) const {
    const TensorView *view = expected.find(name);
    REQUIRE(view);
    return toTensor(*view);
  }
  Named run(const std::string &entry, const Tensor &ids, const std::vector<int> &past,
            const std::vector<int> &length, Named &states) const {
    auto batch = static_cast<int64_t>(past.size());
    Named inputs = {{"ids", ids},
                    {"past", Tensor::of({batch}, std::vector<int32_t>(past.begin(), past.end()))},
                    {"length", Tensor::of({batch}, std::vector<int32_t>(length.begin(), length.end()))}};
    auto outputs = reference::run(*module, entry, inputs, states, linnet::testing::weightsOf(checkpoint));
    if (!outputs) FAIL(outputs.error().message);
    return *outputs;
  }
  /// Greedy continuation of `prompt` through the cache, `chunk` tokens of the prompt at a time.
  std::vector<int32_t> greedy(std::vector<int32_t> prompt, size_t chunk) const {
    Named states;
    auto limit = static_cast<size_t>(checkpoint.config().n_positions);
    std::vector<int32_t> tokens = prompt;
    size_t done = 0;
    while (tokens.size() < limit) {
      size_t n = std::min(chunk, tokens.size() - done);
      std::vector<int32_t> part(tokens.begin() + static_cast<long>(done),
                                tokens.begin() + static_cast<long>(done + n));
      Named out = run("generate", Tensor::of({1, static_cast<int64_t>(n)}, part), {static_cast<int>(done)},
                      {static_cast<int>(n)}, states);
      done += n;
      if (done == tokens.size()) tokens.push_back(out.at("token").ints()[0]);
    }
    return tokens;
  }

  mlir::MLIRContext context;
  Checkpoint checkpoint;
  SafetensorsFile expected;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

constexpr double kTolerance = 1e-4;

} // namespace

TEST_CASE("hidden states and logits equal PyTorch's", "[golden]") {
  auto name = GENERATE(std::string("tiny"), std::string("odd"));
  CAPTURE(name);
  Golden golden(name);
  Tensor ids = golden.want("input_ids");
  auto batch = static_cast<size_t>(ids.shape[0]);
  std::vector<int> past(batch, 0), length(batch, static_cast<int>(ids.shape[1]));
  Named states;
  Named hidden = golden.run("hidden", ids, past, length, states);
  double worst = 0;
  for (int64_t i = 0; i <= golden.checkpoint.config().n_layer; ++i)
    worst = std::max(worst, relativeError(hidden.at("hidden." + std::to_string(i)),
                                          golden.want("hidden_states." + std::to_string(i))));
  worst = std::max(worst, relativeError(hidden.at("ln_f"), golden.want("ln_f")));
  Named other_states;
  double logits =
      relativeError(golden.run("score", ids, past, length, other_states).at("logits"), golden.want("logits"));
  WARN(name << ": worst relative error: hidden states " << worst << ", logits " << logits);
  CHECK(worst < kTolerance);
  CHECK(logits < kTolerance);
}

TEST_CASE("hidden states of all families equal those of transformers", "[golden]") {
  const std::string name = GENERATE(from_range(linnet::testing::kFamilyCheckpoints));
  CAPTURE(name);
  Golden golden(name);
  const Tensor ids = golden.want("input_ids");
  const auto batch = static_cast<size_t>(ids.shape[0]);
  const int64_t layers = golden.checkpoint.config().n_layer;
  Named states;
  Named hidden = golden.run("hidden", ids, std::vector<int>(batch, 0),
                            std::vector<int>(batch, static_cast<int>(ids.shape[1])), states);
  // The last one of transformers is behind the last norm.
  for (int64_t i = 0; i < layers; ++i)
    CHECK(relativeError(hidden.at("hidden." + std::to_string(i)),
                        golden.want("hidden_states." + std::to_string(i))) < kTolerance);
  hidden.erase("hidden." + std::to_string(layers));
  for (int64_t i = 0; i < layers; ++i) hidden.erase("hidden." + std::to_string(i));
  REQUIRE(hidden.size() == 1);
  CHECK(relativeError(hidden.begin()->second, golden.want("hidden_states." + std::to_string(layers))) <
        kTolerance);
}

TEST_CASE("the greedy continuation is PyTorch's, whatever the chunks", "[golden]") {
  auto name = GENERATE(std::string("tiny"), std::string("odd"));
  auto chunk = GENERATE(size_t(1), size_t(2), size_t(5));
  CAPTURE(name, chunk);
  Golden golden(name);
  Tensor want = golden.want("greedy_from_first_5");
  std::vector<int32_t> expected(want.ints(), want.ints() + want.size());
  CHECK(golden.greedy({expected.begin(), expected.begin() + 5}, chunk) == expected);
}

TEST_CASE("rows of different lengths give what each gives alone", "[golden]") {
  Golden golden("odd");
  Tensor ids = golden.want("input_ids");
  std::vector<int> lengths = {7, 1, 3};
  std::vector<int32_t> padded(3 * 7, 0);
  for (int row = 0; row < 3; ++row)
    for (int t = 0; t < lengths[static_cast<size_t>(row)]; ++t)
      padded[static_cast<size_t>(row * 7 + t)] = ids.ints()[row + t];
  Named together_states;
  Named together = golden.run("generate", Tensor::of({3, 7}, padded), {0, 0, 0}, lengths, together_states);
  // One more token for each row, at its own position.
  std::vector<int32_t> next = {together.at("token").ints()[0], together.at("token").ints()[1],
                               together.at("token").ints()[2]};
  Named second = golden.run("generate", Tensor::of({3, 1}, next), lengths, {1, 1, 1}, together_states);
  int64_t vocab = golden.checkpoint.config().vocab_size;
  for (int row = 0; row < 3; ++row) {
    CAPTURE(row);
    auto n = lengths[static_cast<size_t>(row)];
    std::vector<int32_t> alone(ids.ints() + row, ids.ints() + row + n);
    Named states;
    Named first_alone = golden.run("generate", Tensor::of({1, n}, alone), {0}, {n}, states);
    Named second_alone = golden.run(
        "generate", Tensor::of({1, 1}, std::vector{next[static_cast<size_t>(row)]}), {n}, {1}, states);
    for (auto [batch, single] : {std::pair(&together, &first_alone), std::pair(&second, &second_alone)}) {
      CHECK(single->at("token").ints()[0] == batch->at("token").ints()[row]);
      const float *found = batch->at("logits").data() + row * vocab;
      CHECK(std::vector(found, found + vocab) == *single->at("logits").floats);
    }
  }
}

TEST_CASE("run-time errors name the op and the reason", "[golden]") {
  Golden golden("odd");
  Named states;
  Named inputs = {{"ids", Tensor::of({1, 2}, std::vector<int32_t>{3, 101})},
                  {"past", Tensor::of({1}, std::vector<int32_t>{0})},
                  {"length", Tensor::of({1}, std::vector<int32_t>{2})}};
  auto weights = linnet::testing::weightsOf(golden.checkpoint);
  auto message = [&](const char *entry) {
    auto result = reference::run(*golden.module, entry, inputs, states, weights);
    return result ? std::string() : result.error().message;
  };
  CHECK(message("generate") ==
        "linnet.embed at loc(\"wte\"): id 101 at position 1 is outside the table's 101 rows");
  CHECK(message("nothing") == "the module has no entry \"nothing\"");
  inputs["ids"] = Tensor::of({5, 1}, std::vector<int32_t>(5, 0));
  CHECK(message("generate") == "input \"ids\": batch is 5, its bound is 4");
  inputs.erase("ids");
  CHECK(message("generate") == "input \"ids\" is missing");
}
