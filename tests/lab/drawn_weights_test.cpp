// Models whose parameters hide faults: what is drawn for them, and that faults show on every model that
// people verify with: fresh ones from linnet init and linnet train, golden ones, and the bundled one.
#include "frontend/checkpoint/init.h"
#include "lab/drawn_weights.h"
#include "lab/verify.h"
#include "support/scratch_directory.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/lab/faults.h"
#include "tests/lab/odd_model.h"

#include "mlir/Pass/PassManager.h"

#include <cmath>

using namespace linnet;
using linnet::testing::Planted;
using reference::Tensor;

namespace {

Tensor vectorOf(std::vector<float> values) {
  const auto size = static_cast<int64_t>(values.size());
  return Tensor::of({size}, std::move(values));
}

} // namespace

TEST_CASE("parameters that hide a fault are told from those that do not") {
  CHECK(lab::hidesFaults(vectorOf({0, 0, 0})));
  CHECK(lab::hidesFaults(vectorOf({1, 1, 1})));
  CHECK(lab::hidesFaults(vectorOf({1, 1.0001f, 0.9999f})));
  CHECK(lab::hidesFaults(vectorOf({1e-4f, -9e-4f, 5e-4f})));
  CHECK(lab::hidesFaults(vectorOf({0.5f, 2, 2, 0.5f})));
  CHECK(lab::hidesFaults(vectorOf({0, 0, 3, 0, 2, 1})));
  CHECK(lab::hidesFaults(vectorOf({1})));
  CHECK(lab::hidesFaults(Tensor::of({2, 2}, std::vector<float>{1, 0, 0, 1})));
  CHECK(lab::hidesFaults(Tensor::of({2, 2}, std::vector<float>{1, 3, 3, 2})));
  CHECK(lab::hidesFaults(Tensor::of({2, 3}, std::vector<float>{1, 2, 3, 1, 2, 3})));
  CHECK(lab::hidesFaults(Tensor::of({3, 2}, std::vector<float>{1, 1, 2, 2, 3, 3})));
  CHECK_FALSE(lab::hidesFaults(vectorOf({0.98f, 1.01f, 1.03f})));
  CHECK_FALSE(lab::hidesFaults(vectorOf({0.02f, -0.01f, 0.03f})));
  CHECK_FALSE(lab::hidesFaults(vectorOf({0.5f})));
  CHECK_FALSE(lab::hidesFaults(Tensor::of({2, 2}, std::vector<float>{1, 3, 4, 2})));
}

TEST_CASE("what hides a fault is drawn, what does not stays, and what was drawn stays as it was drawn") {
  const std::map<std::string, Tensor, std::less<>> stored = {
      {"bias", vectorOf(std::vector<float>(64, 0.0f))},
      {"gain", vectorOf(std::vector<float>(64, 1.0f))},
      {"gain2", vectorOf(std::vector<float>(64, 1.0f))},
      {"kept", vectorOf({1, -2, 3})},
      {"twin", vectorOf({1, -2, 3})}};
  auto provider = [&](std::string_view name) -> Result<Tensor> { return stored.find(name)->second; };
  const reference::WeightProvider drawn = lab::withDrawn(provider), again = lab::withDrawn(drawn);
  CHECK(*(*drawn("kept")).floats == *stored.at("kept").floats);
  CHECK(*(*drawn("twin")).floats != *stored.at("twin").floats);
  CHECK(*(*drawn("gain")).floats != *(*drawn("gain2")).floats);
  double of_gains = 0;
  for (float x : *(*drawn("gain")).floats) of_gains += x / 64;
  CHECK(of_gains == Approx(1).margin(0.2));
  for (const auto &[name, tensor] : stored) {
    INFO(name);
    CHECK_FALSE(lab::hidesFaults(*drawn(name)));
    CHECK(*(*again(name)).floats == *(*drawn(name)).floats);
  }
}

TEST_CASE("a pass that drops or swaps biases or gains is caught on every model") {
  auto scratch = ScratchDirectory::create("linnet-lab");
  REQUIRE(scratch);
  const std::string kind = GENERATE(std::string("golden/odd"), std::string("golden/tiny"),
                                    std::string("bundled"), std::string("init"), std::string("train"));
  std::string directory = linnet::testing::sourceFolder() + "/tests/" + kind;
  if (kind == "bundled") directory = linnet::testing::sourceFolder() + "/models/linnet-stories";
  if (kind == "init" || kind == "train") {
    directory = scratch->path();
    REQUIRE(initCheckpoint("tiny", 7, directory, kind == "init" ? Vectors::drawn : Vectors::constant));
  }
  linnet::testing::OddModel model(directory);
  REQUIRE(linnet::testing::parameterFaults().size() == 4);
  for (const Planted &planted : linnet::testing::parameterFaults()) {
    CAPTURE(kind, planted.name);
    mlir::OwningOpRef<mlir::ModuleOp> module = model.graph({{"generate", {"logits", "token"}, 8}});
    mlir::PassManager manager(&model.context);
    manager.addPass(planted.make(planted.name, std::make_shared<std::string>()));
    lab::Verdict verdict;
    manager.addInstrumentation(lab::verifyPasses(model.weights, {.seed = 3}, verdict));
    REQUIRE(mlir::succeeded(manager.run(*module)));
    CHECK(verdict.failed.find(std::string(planted.name) + ": changes the numbers: @") == 0);
  }
}
