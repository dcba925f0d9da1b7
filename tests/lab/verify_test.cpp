// Checks --verify-passes on correct pipelines, and with faults planted between their passes: it finds each
// fault and names the pass that contains it.
#include "lab/verify.h"
#include "tests/catch.h"
#include "tests/lab/faults.h"
#include "tests/lab/odd_model.h"

#include "mlir/Pass/PassManager.h"

using namespace linnet;
using linnet::testing::Planted;

namespace {

struct Bench : linnet::testing::OddModel {
  lab::Verdict run(const std::function<void(mlir::PassManager &)> &fill) {
    mlir::OwningOpRef<mlir::ModuleOp> module = graph();
    mlir::PassManager manager(&context);
    fill(manager);
    lab::Verdict verdict;
    manager.addInstrumentation(lab::verifyPasses(weights, {.seed = 3}, verdict));
    REQUIRE(mlir::succeeded(manager.run(*module)));
    return verdict;
  }
};

} // namespace

TEST_CASE("the default pipelines change no numbers") {
  Bench bench;
  const int level = GENERATE(0, 1, 2);
  const std::string target = GENERATE(std::string("cpu"), std::string("reference"));
  lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
    REQUIRE(buildPipeline(manager, {target, level, {}, {}}));
  });
  CHECK(verdict.failed == "");
  CHECK(verdict.compared >= (target == "cpu" ? 4 : 0));
}

TEST_CASE("weights rounded on purpose are no fault") {
  Bench bench;
  const std::string dtype =
      GENERATE(std::string("bf16"), std::string("int8"), std::string("int4"), std::string("int4a"));
  lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
    REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, dtype}));
  });
  CHECK(verdict.failed == "");
}

TEST_CASE("every planted fault is caught, and its pass named") {
  Bench bench;
  const std::vector<Planted> &all = linnet::testing::faults();
  REQUIRE(all.size() >= 30);
  for (const Planted &planted : all) {
    CAPTURE(planted.name);
    const std::string name = std::string("fault-") + planted.name;
    lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
      auto fault = [&] { manager.addPass(planted.make(name, std::make_shared<std::string>())); };
      REQUIRE(appendPasses(manager, "canonicalize", "test"));
      if (!planted.planned) fault();
      REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}}));
      if (planted.planned) fault();
    });
    CHECK(verdict.failed.find(name + ": changes the numbers: @") == 0);
  }
}
