// Bounds that come from the types of the numbers: right pipelines are silent whatever numbers are stored in,
// and wrong passes are caught there as well, passes that round on purpose included.
#include "lab/numbers.h"
#include "lab/verify.h"
#include "tests/catch.h"
#include "tests/lab/faults.h"
#include "tests/lab/odd_model.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <array>
#include <fmt/format.h>
#include <map>

using namespace linnet;
using linnet::testing::Planted;
using reference::Tensor;

namespace {

struct Bench : linnet::testing::OddModel {
  lab::Verdict run(const std::function<void(mlir::PassManager &)> &fill, uint64_t seed = 3) {
    mlir::OwningOpRef<mlir::ModuleOp> module = graph();
    mlir::PassManager manager(&context);
    fill(manager);
    lab::Verdict verdict;
    manager.addInstrumentation(lab::verifyPasses(weights, {.seed = seed}, verdict));
    REQUIRE(mlir::succeeded(manager.run(*module)));
    return verdict;
  }
};

std::unique_ptr<mlir::Pass> make(const Planted &planted, const std::string &name) {
  return planted.make(name, std::make_shared<std::string>());
}

} // namespace

TEST_CASE("pipelines of every type of weights and caches are silent") {
  Bench bench;
  const std::string target = GENERATE(std::string("cpu"), std::string("vulkan"));
  for (const char *dtype : {"f32", "bf16", "f16", "int8", "int4", "int4a"})
    for (const char *cache : {"f32", "bf16", "f16"}) {
      CAPTURE(target, dtype, cache);
      lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
        REQUIRE(buildPipeline(manager, {target, 2, {}, {}, dtype, cache}));
      });
      CHECK(verdict.failed == "");
      CHECK(verdict.compared >= 4);
    }
}

TEST_CASE("rows are rounded to bytes in what is compared, whatever the batch") {
  Bench bench;
  const int64_t max_batch = GENERATE(1, 2, 5);
  const std::string dtype = GENERATE(std::string("int8"), std::string("int4"), std::string("int4a"));
  CAPTURE(max_batch, dtype);
  mlir::OwningOpRef<mlir::ModuleOp> module = bench.graph({}, max_batch);
  mlir::PassManager manager(&bench.context);
  REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, dtype, "f32"}));
  lab::Verdict verdict;
  std::map<std::string, double> moved;
  lab::VerifyOptions options{.seed = 3};
  options.progress = [&](const std::string &pass, double difference) { moved[pass] = difference; };
  manager.addInstrumentation(lab::verifyPasses(bench.weights, options, verdict));
  REQUIRE(mlir::succeeded(manager.run(*module)));
  CHECK(verdict.failed == "");
  CHECK(moved.at("linnet-quantize-rows") > 1e-5);
}

TEST_CASE("calls are drawn with eight rows where the bounds allow it") {
  Bench bench;
  auto shapes = [&](const char *text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &bench.context);
    REQUIRE(module);
    auto calls = lab::drawCalls(*module, 1);
    REQUIRE(calls.ok());
    std::map<std::string, std::vector<int64_t>> found;
    for (const auto &[name, tensor] : (*calls)[0].inputs) found[name] = tensor.shape;
    return found;
  };
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  CHECK(shapes(R"(func.func @main(%x: tensor<?x5xf32, #linnet.dims<rows>> {linnet.name = "x"}) ->
      (tensor<?x5xf32, #linnet.dims<rows>> {linnet.name = "y"}) attributes {linnet.bounds = {rows = 99}} {
    return %x : tensor<?x5xf32, #linnet.dims<rows>>
  })") == Shapes{{"x", {8, 5}}});
  auto two = [&](int64_t batch, int64_t seq) {
    return shapes(fmt::format(R"(
  func.func @main(%x: tensor<?x?xf32, #linnet.dims<batch, seq>> {{linnet.name = "x"}},
                  %c: tensor<?x?xf32, #linnet.dims<batch, context>> {{linnet.name = "c"}}) ->
      (tensor<?x?xf32, #linnet.dims<batch, seq>> {{linnet.name = "y"}})
      attributes {{linnet.bounds = {{batch = {}, seq = {}, context = 99}}}} {{
    return %x : tensor<?x?xf32, #linnet.dims<batch, seq>>
  }})",
                              batch, seq)
                      .c_str());
  };
  CHECK(two(1, 99) == Shapes{{"x", {1, 8}}, {"c", {1, 16}}});
  CHECK(two(2, 99) == Shapes{{"x", {2, 4}}, {"c", {2, 8}}});
  CHECK(two(50, 3) == Shapes{{"x", {2, 3}}, {"c", {2, 6}}});
}

TEST_CASE("every planted fault is caught whatever type the numbers are stored in") {
  Bench bench;
  const auto [dtype, cache] = GENERATE(std::array{std::string("bf16"), std::string("bf16")},
                                       std::array{std::string("int8"), std::string("f16")},
                                       std::array{std::string("int4"), std::string("f16")});
  for (const Planted &planted : linnet::testing::faults()) {
    if (!planted.planned) continue; // the others stand in front of what rounds
    CAPTURE(planted.name, dtype, cache);
    lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
      REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, dtype, cache}));
      manager.addPass(make(planted, "fault"));
    });
    CHECK(verdict.failed.find("fault: changes the numbers: @") == 0);
  }
}

TEST_CASE("a pass that rounds on purpose is caught with any other fault") {
  Bench bench;
  const std::string name =
      GENERATE(std::string("linnet-quantize"), std::string("linnet-mixed-precision"),
               std::string("linnet-quantize-rows"), std::string("linnet-round-attention"));
  for (const Planted &planted : linnet::testing::faults()) {
    if (planted.planned) continue;
    CAPTURE(planted.name, name);
    lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
      REQUIRE(appendPasses(manager, "canonicalize", "test"));
      manager.addPass(make(planted, name));
    });
    CHECK(verdict.failed.find(name + ": changes the numbers: @") == 0);
  }
}

TEST_CASE("integers that are not what the weights round to are caught") {
  Bench bench;
  const std::string bits = GENERATE(std::string("bits=8"), std::string("bits=4 group=32"),
                                    std::string("bits=4 group=32 asymmetric=true"));
  REQUIRE(linnet::testing::integerFaults().size() == 3);
  for (const Planted &planted : linnet::testing::integerFaults()) {
    // Both by a pass that may round, which is held to half a step, and by one that may not.
    for (const char *name : {"linnet-quantize", "another"}) {
      CAPTURE(planted.name, bits, name);
      lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
        REQUIRE(appendPasses(manager, "linnet-quantize{" + bits + "}", "test"));
        manager.addPass(make(planted, name));
      });
      CHECK(verdict.failed.find(std::string(name) + ": ") == 0);
    }
  }
}

namespace {

/// Numbers go through a narrow type and back.
struct Narrowing : mlir::PassWrapper<Narrowing, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Narrowing)
  llvm::StringRef getArgument() const override { return "narrowing"; }
  void runOnOperation() override {
    mlir::IRRewriter rewriter(&getContext());
    getOperation().walk([&](ir::LayerNormOp op) {
      auto wide = llvm::cast<mlir::RankedTensorType>(op.getOperand().getType());
      auto narrow = mlir::RankedTensorType::get(wide.getShape(), rewriter.getF16Type(), wide.getEncoding());
      rewriter.setInsertionPoint(op);
      mlir::Value cast = rewriter.create<ir::CastOp>(op.getLoc(), narrow, op.getOperand());
      op.setOperand(0, rewriter.create<ir::CastOp>(op.getLoc(), wide, cast));
    });
  }
};

} // namespace

TEST_CASE("a pass that rounds and is not known to is caught") {
  Bench bench;
  lab::Verdict verdict =
      bench.run([&](mlir::PassManager &manager) { manager.addPass(std::make_unique<Narrowing>()); });
  CHECK(verdict.failed.find("narrowing: rounds more than the types of its results explain: @") == 0);
}

TEST_CASE("a token may be one whose score is as good as the best") {
  const Tensor scores = Tensor::of({1, 4}, std::vector<float>{1, 0.999f, 0.5f, 1});
  auto outcome = [&](int32_t token) {
    lab::Outcome made;
    made.values["generate"]["token"] = Tensor::of({1}, std::vector<int32_t>{token});
    made.scores["generate"]["token"] = scores;
    return made;
  };
  lab::Bounds bounds;
  bounds.values["generate"]["token"] = 0;
  bounds.scores["generate"]["token"] = 1e-3; // both scores may be off by it
  CHECK(lab::compare(outcome(0), outcome(0), bounds).excess == 0);
  CHECK(lab::compare(outcome(3), outcome(0), bounds).excess == 0);
  CHECK(lab::compare(outcome(1), outcome(0), bounds).excess <= 1);
  CHECK(lab::compare(outcome(2), outcome(0), bounds).excess > 1);
  CHECK(lab::compare(outcome(4), outcome(0), bounds).excess > 1);
  CHECK(lab::compare(outcome(-1), outcome(0), bounds).excess > 1);
  lab::Outcome unknown = outcome(0);
  unknown.scores.clear();
  CHECK(lab::compare(outcome(1), unknown, bounds).excess > 1);
}
