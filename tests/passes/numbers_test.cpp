// No pass changes the numbers: the interpreter runs each graph before and after, on drawn inputs and states.
#include "frontend/model/graph.h"
#include "passes/Passes.h"
#include "passes/Plan.h"
#include "tests/catch.h"
#include "tests/reference/fixtures.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tests/folders.h"
#include "tests/targets.h"

#include <algorithm>
#include <random>

using namespace linnet;
using linnet::testing::relativeError;
using mlir::ModuleOp;
using mlir::OwningOpRef;
using reference::Named;
using reference::Tensor;

namespace {

constexpr double kTolerance =
    1e-5; // of the largest value: f32 rounding between ops goes away where they fuse

Tensor drawFloats(std::mt19937_64 &random, std::vector<int64_t> shape) {
  std::normal_distribution<float> normal;
  Tensor tensor = Tensor::zeros(reference::Kind::f32, std::move(shape));
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.data()[i] = normal(random);
  return tensor;
}

/// A graph, its weights, and one call of an entry.
struct Subject {
  OwningOpRef<ModuleOp> module;
  reference::WeightProvider weights;
  std::string entry;
  Named inputs, states;

  /// Outputs and new states in one map.
  Named run(ModuleOp of) const {
    Named after = states;
    auto result = reference::run(of, entry, inputs, after, weights);
    if (!result) FAIL(result.error().message);
    for (auto &[name, tensor] : after) (*result)["state " + name] = tensor;
    return *result;
  }
};

void checkSame(const Named &found, const Named &expected) {
  REQUIRE(found.size() == expected.size());
  for (const auto &[name, tensor] : expected) {
    INFO("output " << name);
    REQUIRE(found.count(name));
    const Tensor &other = found.find(name)->second;
    if (tensor.isFloat())
      CHECK(relativeError(other, tensor) < kTolerance);
    else
      CHECK(*other.integers == *tensor.integers);
  }
}

/// The module after the passes, or a failed test.
OwningOpRef<ModuleOp> after(ModuleOp module, const PipelineSpec &spec) {
  OwningOpRef<ModuleOp> copy(module.clone());
  mlir::PassManager manager(module.getContext());
  auto built = buildPipeline(manager, spec);
  if (!built) FAIL(built.error().message);
  REQUIRE(mlir::succeeded(manager.run(*copy)));
  REQUIRE(mlir::succeeded(mlir::verify(*copy)));
  return copy;
}

OwningOpRef<ModuleOp> afterPass(ModuleOp module, const std::string &pass) {
  OwningOpRef<ModuleOp> copy(module.clone());
  mlir::PassManager manager(module.getContext());
  REQUIRE(mlir::succeeded(mlir::parsePassPipeline(pass, manager)));
  REQUIRE(mlir::succeeded(manager.run(*copy)));
  return copy;
}

/// Every op of a planned or optimized module says where it came from; constants do not, as MLIR's folder
/// joins equal ones from all places into one of unknown location.
void checkLocations(ModuleOp module) {
  module.walk([&](mlir::Operation *op) {
    if (llvm::isa<ModuleOp, mlir::func::FuncOp, mlir::func::ReturnOp, ir::YieldOp, ir::ConstantOp>(op))
      return;
    INFO(op->getName().getStringRef().str());
    CHECK_FALSE(llvm::isa<mlir::UnknownLoc>(op->getLoc()));
  });
}

void checkPlanned(ModuleOp module) {
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    CHECK(verifyPlan(function) == "");
    CHECK(arenaBytes(function) >= liveBytes(function));
  }
}

struct Golden {
  explicit Golden(const std::string &name) : checkpoint(*Checkpoint::open(linnet::testing::golden(name))) {
    linnet::testing::registerPassesAndTargets();
    weights = linnet::testing::weightsOf(checkpoint);
  }
  /// Two sequences of three tokens, after a few that the cache holds.
  Subject subject(const std::string &entry) {
    const ModelDescription &config = checkpoint.config();
    Subject made{buildGraph(context, config, {.max_batch = 2}), weights, entry, {}, {}};
    std::mt19937_64 random(7);
    std::vector<int32_t> ids;
    for (int i = 0; i < 6; ++i) ids.push_back(static_cast<int32_t>(random() % config.vocab_size));
    made.inputs = {{"ids", Tensor::of({2, 3}, ids)},
                   {"past", Tensor::of({2}, std::vector<int32_t>{4, 0})},
                   {"length", Tensor::of({2}, std::vector<int32_t>{3, 2})}};
    for (int64_t layer = 0; layer < config.n_layer; ++layer)
      for (const char *part : {"k.", "v."})
        made.states[part + std::to_string(layer)] =
            drawFloats(random, {2, config.n_head, config.n_positions, config.headSize()});
    return made;
  }

  mlir::MLIRContext context;
  Checkpoint checkpoint;
  reference::WeightProvider weights;
};

const std::vector<std::string> kEntries = {"generate", "score", "hidden"};

/// Small graphs with what GPT-2 has not: trees with broadcasts, weights read in several ways, states that
/// trade places, a cache whose old value is read, several results.
constexpr const char *kSmall = R"(
module attributes {linnet.bounds = {batch = 3}} {
func.func @trees(%x: tensor<?x4x8xf32, #linnet.dims<batch>> {linnet.name = "x"}, %y: tensor<8xf32> {linnet.name = "y"})
    -> (tensor<?x4x8xf32, #linnet.dims<batch>> {linnet.name = "a"}, tensor<?x4x8xf32, #linnet.dims<batch>> {linnet.name = "b"},
        tensor<?x32xf32, #linnet.dims<batch>> {linnet.name = "c"}, tensor<?x4x8xf32, #linnet.dims<batch>> {linnet.name = "d"}) {
  %half = linnet.constant dense<0.5> : tensor<8xf32>
  %0 = linnet.mul %y, %half : tensor<8xf32>, tensor<8xf32>
  %1 = linnet.add %x, %0 : tensor<?x4x8xf32, #linnet.dims<batch>>, tensor<8xf32>
  %2 = linnet.tanh %1 : tensor<?x4x8xf32, #linnet.dims<batch>>
  %3 = linnet.exp %2 : tensor<?x4x8xf32, #linnet.dims<batch>>
  %4 = linnet.max %3, %2 : tensor<?x4x8xf32, #linnet.dims<batch>>, tensor<?x4x8xf32, #linnet.dims<batch>>
  %5 = linnet.softmax %4 : tensor<?x4x8xf32, #linnet.dims<batch>>
  %6 = linnet.sub %5, %4 : tensor<?x4x8xf32, #linnet.dims<batch>>, tensor<?x4x8xf32, #linnet.dims<batch>>
  %7 = linnet.slice %6 dim 2 offset 3 size 1 : tensor<?x4x8xf32, #linnet.dims<batch>>
  %8 = linnet.mul %6, %7 : tensor<?x4x8xf32, #linnet.dims<batch>>, tensor<?x4x1xf32, #linnet.dims<batch>>
  %9 = linnet.reshape %8 : tensor<?x4x8xf32, #linnet.dims<batch>> to tensor<?x32xf32, #linnet.dims<batch>>
  return %8, %x, %9, %8 : tensor<?x4x8xf32, #linnet.dims<batch>>, tensor<?x4x8xf32, #linnet.dims<batch>>,
    tensor<?x32xf32, #linnet.dims<batch>>, tensor<?x4x8xf32, #linnet.dims<batch>>
}
func.func @weights(%x: tensor<?x8xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x8xf32, #linnet.dims<batch>> {linnet.name = "a"}) {
  %w = linnet.param "w" : tensor<8x8xf32>
  %c = linnet.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]> : tensor<1x8xf32>
  %b = linnet.reshape %c : tensor<1x8xf32> to tensor<8xf32>
  %0 = linnet.matmul %x, %w : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8x8xf32>
  %1 = linnet.add %0, %b : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8xf32>
  %2 = linnet.add %x, %1 : tensor<?x8xf32, #linnet.dims<batch>>, tensor<?x8xf32, #linnet.dims<batch>>
  %3 = linnet.relu %2 : tensor<?x8xf32, #linnet.dims<batch>>
  %4 = linnet.matmul %3, %w {transpose_rhs} : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8x8xf32>
  %5 = linnet.gelu erf %4 : tensor<?x8xf32, #linnet.dims<batch>>
  %6 = linnet.add %5, %b : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8xf32>
  %7 = linnet.matmul %6, %w : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8x8xf32>
  %8 = linnet.add %7, %7 : tensor<?x8xf32, #linnet.dims<batch>>, tensor<?x8xf32, #linnet.dims<batch>>
  return %8 : tensor<?x8xf32, #linnet.dims<batch>>
}
func.func @states(%new: tensor<1x1x2x2xf32> {linnet.name = "new"}, %past: tensor<1xi32> {linnet.name = "past"},
                  %p: tensor<1x2x4x2xf32> {linnet.state = "p"}, %q: tensor<1x2x4x2xf32> {linnet.state = "q"}, %r: tensor<1x2x4x2xf32> {linnet.state = "r"})
    -> (tensor<1x2x4x2xf32> {linnet.state = "p"}, tensor<1x2x4x2xf32> {linnet.state = "q"}, tensor<1x2x4x2xf32> {linnet.state = "r"},
        tensor<1x2x4x2xf32> {linnet.name = "old"}) {
  %r1 = linnet.cache_append %r, %new, %past : tensor<1x2x4x2xf32>, tensor<1x1x2x2xf32>, tensor<1xi32>
  %old = linnet.neg %r : tensor<1x2x4x2xf32>
  return %q, %p, %r1, %old : tensor<1x2x4x2xf32>, tensor<1x2x4x2xf32>, tensor<1x2x4x2xf32>, tensor<1x2x4x2xf32>
}
}
)";

std::vector<Subject> smallSubjects(mlir::MLIRContext &context) {
  linnet::testing::registerPassesAndTargets();
  context.getOrLoadDialect<ir::LinnetDialect>();
  context.getOrLoadDialect<mlir::func::FuncDialect>();
  std::mt19937_64 random(11);
  Tensor w = drawFloats(random, {8, 8});
  auto weights = [w](std::string_view) -> Result<Tensor> { return w; };
  auto parsed = [&] {
    auto module = mlir::parseSourceString<ModuleOp>(kSmall, &context);
    REQUIRE(module);
    return module;
  };
  std::vector<Subject> subjects;
  subjects.push_back({parsed(),
                      weights,
                      "trees",
                      {{"x", drawFloats(random, {3, 4, 8})}, {"y", drawFloats(random, {8})}},
                      {}});
  subjects.push_back({parsed(), weights, "weights", {{"x", drawFloats(random, {2, 8})}}, {}});
  subjects.push_back(
      {parsed(),
       weights,
       "states",
       {{"new", drawFloats(random, {1, 1, 2, 2})}, {"past", Tensor::of({1}, std::vector<int32_t>{2})}},
       {{"p", drawFloats(random, {1, 2, 4, 2})},
        {"q", drawFloats(random, {1, 2, 4, 2})},
        {"r", drawFloats(random, {1, 2, 4, 2})}}});
  return subjects;
}

} // namespace

TEST_CASE("each pass alone keeps the numbers") {
  const std::string passes[] = {"canonicalize",
                                "cse",
                                "linnet-fuse-epilogue",
                                "linnet-fuse-elementwise",
                                "linnet-assign-layout",
                                "linnet-wrap-elementwise",
                                "linnet-alias",
                                "linnet-alias{target=reference}",
                                "linnet-alias,linnet-plan-memory"};
  auto check = [&](const Subject &subject) {
    Named expected = subject.run(*subject.module);
    for (const std::string &pass : passes) {
      CAPTURE(pass, subject.entry);
      auto changed = afterPass(*subject.module, pass);
      checkSame(subject.run(*changed), expected);
    }
  };
  SECTION("GPT-2") {
    Golden golden(GENERATE(std::string("tiny"), std::string("odd")));
    for (const std::string &entry : kEntries) check(golden.subject(entry));
  }
  SECTION("small graphs") {
    mlir::MLIRContext context;
    for (const Subject &subject : smallSubjects(context)) check(subject);
  }
}

TEST_CASE("attention and the ops that it decomposes into compute the same") {
  const auto [heads, key_heads, attributes] = GENERATE(table<int, int, std::string>({
      {3, 3, "scale = 0.5 : f32"},
      {6, 2, "scale = 0.5 : f32"},
      {6, 1, "scale = 0.5 : f32, causal = false"},
      {2, 2, "scale = 0.5 : f32, window = 1 : i64"},
      {4, 2, "scale = 0.5 : f32, window = 3 : i64"},
      {2, 1, "scale = 0.5 : f32, window = 100 : i64"},
      {2, 2, "scale = 0.5 : f32, cap = 1.5 : f32"},
      {6, 3, "scale = 0.5 : f32, cap = 0.75 : f32, window = 4 : i64"},
  }));
  CAPTURE(heads, key_heads, attributes);
  const std::string q = fmt::format("tensor<2x3x{}x5xf32>", heads),
                    k = fmt::format("tensor<2x{}x9x5xf32>", key_heads);
  const std::string text = fmt::format(
      "func.func @main(%q: {0} {{linnet.name = \"q\"}}, %k: {1} {{linnet.name = \"k\"}}, %v: {1} "
      "{{linnet.name = "
      "\"v\"}}, %past: tensor<2xi32> {{linnet.name = \"past\"}}, %length: tensor<2xi32> {{linnet.name = "
      "\"length\"}}) -> ({0} {{linnet.name = \"y\"}}) {{\n  %y = linnet.attention %q, %k, %v past %past "
      "length "
      "%length {{{2}}} : {0}, {1}, {1} past tensor<2xi32> length tensor<2xi32>\n  return %y : {0}\n}}\n",
      q, k, attributes);
  linnet::testing::registerPassesAndTargets();
  mlir::MLIRContext context;
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<ModuleOp>(text, &context);
  REQUIRE(module);
  std::mt19937_64 random(5);
  // With the shortest window, each of the positions has at least one key: a decomposed empty row would be NaN.
  const Subject subject{std::move(module),
                        {},
                        "main",
                        {{"q", drawFloats(random, {2, 3, heads, 5})},
                         {"k", drawFloats(random, {2, key_heads, 9, 5})},
                         {"v", drawFloats(random, {2, key_heads, 9, 5})},
                         {"past", Tensor::of({2}, std::vector<int32_t>{4, 0})},
                         {"length", Tensor::of({2}, std::vector<int32_t>{3, 3})}},
                        {}};
  const Named expected = subject.run(*subject.module);
  auto decomposed = afterPass(*subject.module, "linnet-decompose-attention");
  int64_t left = 0;
  decomposed->walk([&](ir::AttentionOp) { ++left; });
  CHECK(left == 0);
  checkSame(subject.run(*decomposed), expected);
  if (heads == key_heads) checkSame(subject.run(*afterPass(*decomposed, "linnet-fuse-attention")), expected);
}

TEST_CASE("the default pipeline keeps the numbers, at every level and with any pass left out") {
  std::vector<PipelineSpec> specs;
  for (int level : {0, 1, 2}) specs.push_back({"cpu", level, {}, {}});
  specs.push_back({"reference", 2, {}, {}});
  for (const std::string &pass : defaultPasses(*findTarget("cpu"), 2))
    if (!llvm::is_contained(requiredPasses(), pass)) specs.push_back({"cpu", 2, {pass}, {}});
  REQUIRE(specs.size() >= 13);
  auto check = [&](const Subject &subject) {
    Named expected = subject.run(*subject.module);
    for (const PipelineSpec &spec : specs) {
      CAPTURE(spec.target, spec.opt_level, spec.disabled, subject.entry);
      auto changed = after(*subject.module, spec);
      checkSame(subject.run(*changed), expected);
      if (spec.target == "cpu") checkPlanned(*changed);
      checkLocations(*changed);
    }
  };
  SECTION("GPT-2") {
    Golden golden(GENERATE(std::string("tiny"), std::string("odd")));
    for (const std::string &entry : kEntries) check(golden.subject(entry));
  }
  SECTION("small graphs") {
    mlir::MLIRContext context;
    for (const Subject &subject : smallSubjects(context)) check(subject);
  }
}

TEST_CASE("drawn orders and subsets of the optimizing passes keep the numbers") {
  std::mt19937_64 random(3);
  std::vector<std::string> passes = {"canonicalize",
                                     "cse",
                                     "linnet-fuse-epilogue",
                                     "linnet-fuse-elementwise",
                                     "linnet-wrap-elementwise",
                                     "linnet-fuse-attention",
                                     "linnet-decompose-attention",
                                     "linnet-hoist-pool",
                                     "linnet-fold-weights",
                                     "linnet-schedule",
                                     "linnet-assign-layout"};
  mlir::MLIRContext context;
  Golden golden("odd");
  std::vector<Subject> subjects = smallSubjects(context);
  subjects.push_back(golden.subject("generate"));
  for (int round = 0; round < 120; ++round) {
    std::shuffle(passes.begin(), passes.end(), random);
    std::string pipeline = passes[0];
    for (size_t i = 1, n = random() % passes.size(); i <= n; ++i) pipeline += "," + passes[i % passes.size()];
    const Subject &subject = subjects[static_cast<size_t>(round) % subjects.size()];
    CAPTURE(pipeline, subject.entry);
    auto changed = after(*subject.module, {"cpu", 2, {}, pipeline});
    checkSame(subject.run(*changed), subject.run(*subject.module));
    checkPlanned(*changed);
  }
}

TEST_CASE("GPT-2's plan: one packed copy of the tied embedding, caches in place, the lower bound reached") {
  Golden golden(GENERATE(std::string("tiny"), std::string("odd")));
  Subject subject = golden.subject("generate");
  auto planned = after(*subject.module, {"cpu", 2, {}, {}});
  std::map<std::string, mlir::Type> stored;
  planned->walk([&](mlir::Operation *op) {
    if (auto param = llvm::dyn_cast<ir::ParamOp>(op)) {
      auto [found, fresh] = stored.try_emplace(param.getName().str(), param.getType());
      CHECK((fresh || found->second == param.getType())); // in all entries the same
    }
    if (auto append = llvm::dyn_cast<ir::CacheAppendOp>(op)) {
      CHECK(op->hasAttr("linnet.in_place"));
      CHECK(placementOf(storageOf(append.getResult()).base).kind == Placement::argument);
    }
    if (auto slice = llvm::dyn_cast<ir::SliceOp>(op)) CHECK(op->hasAttr("linnet.view"));
  });
  for (auto function : planned->getOps<mlir::func::FuncOp>()) {
    INFO(function.getName().str() << ": " << arenaBytes(function) << " of at least " << liveBytes(function));
    CHECK(arenaBytes(function) == liveBytes(function));
  }
}

TEST_CASE("a pipeline that cannot be built says why") {
  linnet::testing::registerPassesAndTargets();
  mlir::MLIRContext context;
  auto message = [&](const PipelineSpec &spec) {
    mlir::PassManager manager(&context);
    auto built = buildPipeline(manager, spec);
    return built ? std::string("built") : built.error().message;
  };
  CHECK(message({"abacus", 2, {}, {}}) == "unknown target 'abacus', expected cpu, vulkan, reference");
  CHECK(message({"cpu", 7, {}, {}}) == "optimization level 7: expected 0, 1 or 2");
  CHECK(message({"cpu", 2, {"linnet-alias"}, {}}) ==
        "--disable-pass=linnet-alias: no module can be lowered without this pass");
  CHECK(message({"cpu", 2, {"magic"}, {}}) == "--disable-pass=magic: there is no pass of that name");
  std::string wrong = message({"cpu", 2, {}, "canonicalize,magic"});
  CHECK(wrong.find("--pass-pipeline: ") == 0);
  CHECK(wrong.find("magic") != std::string::npos);
  CHECK(wrong.find('\n') == std::string::npos);
  CHECK(message({"cpu", 2, {}, "builtin.module(canonicalize,linnet-fuse-epilogue)"}) == "built");
}
