// Faults planted in passes: bisect names the pass, the change and its place, and cuts the graph down to a few
// ops that, printed and read again, still show it.
#include "ir/Locations.h"
#include "lab/bisect.h"
#include "lab/child_process.h"
#include "lab/reduce.h"
#include "passes/Counters.h"
#include "passes/Plan.h"
#include "passes/RewriteAction.h"
#include "tests/catch.h"
#include "tests/lab/faults.h"
#include "tests/lab/odd_model.h"

#include "mlir/Parser/Parser.h"

#include <atomic>
#include <cstdlib>

using namespace linnet;
using linnet::testing::Planted;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

namespace {

struct Bench : linnet::testing::OddModel {
  std::optional<lab::Finding> bisect(mlir::ModuleOp module, mlir::PassManager &manager) {
    auto found = lab::bisect(module, manager, weights, {.seed = 3, .target = {}, .progress = {}});
    if (!found) FAIL(found.error().message);
    return std::move(*found);
  }

  /// Reads the written graph again and checks that the pass alone shows the fault.
  void checkText(lab::Finding &found, mlir::PassManager &alone) {
    std::string text;
    llvm::raw_string_ostream out(text);
    found.graph->print(out, mlir::OpPrintingFlags().enableDebugInfo(true).useLocalScope());
    INFO(text);
    Module again = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    REQUIRE(again);
    auto repeated = bisect(*again, alone);
    REQUIRE(repeated);
    CHECK(repeated->fault.text == found.reduced_fault.text);
    CHECK(repeated->ops <= found.ops);
  }
};

} // namespace

TEST_CASE("there is nothing to find in the default pipelines") {
  Bench bench;
  const std::string target = GENERATE(std::string("cpu"), std::string("reference"));
  Module module = bench.graph();
  mlir::PassManager manager(&bench.context);
  REQUIRE(buildPipeline(manager, {target, 2, {}, {}}));
  CHECK_FALSE(bench.bisect(*module, manager));
}

TEST_CASE("every planted fault is named, with its place, and cut down to ten ops") {
  Bench bench;
  const std::vector<Planted> &all = linnet::testing::faults();
  REQUIRE(all.size() >= 30);
  for (const Planted &planted : all) {
    CAPTURE(planted.name);
    const std::string name = std::string("fault-") + planted.name;
    auto place = std::make_shared<std::string>();
    Module module = bench.graph();
    mlir::PassManager manager(&bench.context), alone(&bench.context);
    alone.addPass(planted.make(name, place));
    REQUIRE(appendPasses(manager, "canonicalize", "test"));
    if (!planted.planned) manager.addPass(planted.make(name, place));
    REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}}));
    if (planted.planned) manager.addPass(planted.make(name, place));
    auto found = bench.bisect(*module, manager);
    REQUIRE(found);
    CHECK(found->kind == lab::Finding::pass);
    CHECK(found->pass_name == name);
    REQUIRE(found->application);
    CHECK(found->application->name == name);
    CHECK(found->application->location == *place);
    CHECK(found->number <= found->applications);
    CHECK(found->fault.text.find("changes the numbers: @") == 0);
    CHECK(found->ops == lab::countOps(*found->graph));
    CHECK(found->ops >= 1);
    CHECK(found->ops <= 10);
    bench.checkText(*found, alone);
  }
}

namespace {

/// A buffer taken over one op too early: a layer norm writes over what it reads, which is read again.
struct EarlyReuse : mlir::PassWrapper<EarlyReuse, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EarlyReuse)
  llvm::StringRef getArgument() const override { return "early-reuse"; }
  void runOnOperation() override {
    getOperation().walk([&](ir::LayerNormOp op) {
      rewrite(op, "take over", [&] {
        Placement from = placementOf(op.getOperand()), to = placementOf(op.getResult());
        if (ir::locationName(op.getLoc()) == "h.0.ln_2" && from.kind == Placement::slot &&
            to.kind == Placement::slot)
          placeInSlot(llvm::cast<mlir::OpResult>(op.getResult()), from.offset, to.size);
      });
    });
  }
};

} // namespace

TEST_CASE("a buffer reused one op too early is found without a run of it") {
  Bench bench;
  Module module = bench.graph();
  mlir::PassManager manager(&bench.context);
  REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}}));
  manager.addPass(std::make_unique<EarlyReuse>());
  auto found = bench.bisect(*module, manager);
  REQUIRE(found);
  CHECK(found->kind == lab::Finding::pass);
  CHECK(found->fault.kind == lab::Fault::plan);
  CHECK(found->fault.text.find("breaks the memory plan: ") == 0);
  CHECK(found->reduced_fault.kind == lab::Fault::plan);
  CHECK(found->pass_name == "early-reuse");
  CHECK(found->pass_text.find("linnet-plan-memory{target=cpu}") != std::string::npos);
  REQUIRE(found->application);
  CHECK(found->application->location == "h.0.ln_2");
  CHECK(found->ops <= 10);
  CHECK(std::find(found->places.begin(), found->places.end(), "h.0.ln_2") != found->places.end());
}

namespace {

struct Ending {
  const char *name, *text;
  void (*act)();
};

int deeper(volatile int *from) {
  volatile int here[1024];
  here[0] = *from + 1;
  return deeper(here) + here[0];
}
const Ending kEndings[] = {
    {"null", "crashes: segmentation fault", [] { *static_cast<volatile int *>(nullptr) = 1; }},
    {"stack", "crashes: segmentation fault",
     [] {
       volatile int zero = 0;
       deeper(&zero);
     }},
    {"abort", "crashes: aborted; its last line: operand 3 has no type",
     [] {
       llvm::errs() << "looking\noperand 3 has no type\n\n";
       std::abort();
     }},
    {"exit", "ends the process with exit code 3", [] { std::exit(3); }},
};

/// Marks each layer norm; at h.0.ln_2 it ends the process.
struct Crashing : mlir::PassWrapper<Crashing, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Crashing)
  explicit Crashing(const Ending &ending) : ending(ending) {}
  llvm::StringRef getArgument() const override { return "crashing"; }
  void runOnOperation() override {
    getOperation().walk([&](ir::LayerNormOp op) {
      rewrite(op, "mark", [&] {
        if (ir::locationName(op.getLoc()) == "h.0.ln_2") ending.act();
        op->setAttr("marked", mlir::UnitAttr::get(&getContext()));
      });
    });
  }
  const Ending &ending;
};

} // namespace

TEST_CASE("a pass that crashes is named, with the change, and cut down; this process goes on") {
  Bench bench;
  for (const Ending &ending : kEndings) {
    CAPTURE(ending.name);
    Module module = bench.graph();
    mlir::PassManager manager(&bench.context), alone(&bench.context);
    REQUIRE(appendPasses(manager, "canonicalize", "test"));
    manager.addPass(std::make_unique<Crashing>(ending));
    alone.addPass(std::make_unique<Crashing>(ending));
    auto found = bench.bisect(*module, manager);
    REQUIRE(found);
    CHECK(found->kind == lab::Finding::pass);
    CHECK(found->fault.kind == lab::Fault::crash);
    CHECK(found->fault.text == ending.text);
    CHECK(found->pass_name == "crashing");
    REQUIRE(found->application);
    CHECK(found->application->name == "mark");
    CHECK(found->application->op == "linnet.layer_norm");
    CHECK(found->application->location == "h.0.ln_2");
    CHECK(found->number == 2); // h.0.ln_1 comes before it
    CHECK(found->ops <= 3);
    bench.checkText(*found, alone);
  }
}

TEST_CASE("work in a child process changes nothing here") {
  int value = 1;
  CHECK_FALSE(lab::crashOf([&] { value = 2; }));
  CHECK(value == 1);
  lab::SharedMemory<int> shared;
  REQUIRE(shared.get());
  CHECK_FALSE(lab::crashOf([&] { *shared.get() = 3; }));
  CHECK(*shared.get() == 3);
}

namespace {

struct ReadCounters : mlir::PassWrapper<ReadCounters, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ReadCounters)
  explicit ReadCounters(std::map<std::string, int64_t> &sums) : sums(sums) {}
  llvm::StringRef getArgument() const override { return "read-counters"; }
  void runOnOperation() override {
    markAllAnalysesPreserved();
    for (const auto &[name, times] : getAnalysis<Counters>().counts) sums[name.first] += times;
  }
  std::map<std::string, int64_t> &sums;
};

} // namespace

TEST_CASE("a run of a part of a pipeline counts the changes that the passes count") {
  Bench bench;
  std::map<std::string, int64_t> counted;
  {
    Module module = bench.graph();
    mlir::PassManager manager(&bench.context);
    REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, "int8", "f32"}));
    manager.addPass(std::make_unique<ReadCounters>(counted));
    REQUIRE(mlir::succeeded(manager.run(*module)));
  }
  mlir::PassManager manager(&bench.context);
  REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, "int8", "f32"}));
  lab::WindowedRun passes(manager);
  Module module = bench.graph();
  std::map<std::string, int64_t> found;
  for (size_t pass = 0; pass < passes.passes(); ++pass) {
    REQUIRE(passes.run(*module, {pass, pass}));
    found[passes.name(pass)] += passes.applications();
  }
  for (const char *pass : {"linnet-quantize", "linnet-fuse-epilogue", "linnet-quantize-rows",
                           "linnet-hoist-pool", "linnet-round-attention"}) {
    CAPTURE(pass);
    CHECK(counted[pass] > 0);
    CHECK(found[pass] == counted[pass]);
  }
}
