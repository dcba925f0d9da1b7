// Faults planted after the passes, in the ops that the cpu's kernels are generated for and in the commands
// that call them. Bisection finds the passes correct and the target wrong, names the place, and cuts the
// graph down to a few ops.
#include "backends/cpu/lower.h"
#include "ir/Locations.h"
#include "lab/loaded_program.h"
#include "tests/catch.h"
#include "tests/lab/odd_model.h"
#include "tests/reference/provided_weights.h"

#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"

#include <cstring>

using namespace linnet;
using namespace linnet::ir;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

namespace {

struct KernelFault {
  const char *name, *op, *place;
  /// Changes the op before kernels are generated for it.
  std::function<void(mlir::Operation *)> generate;
  /// Changes the command that calls the kernels.
  std::function<void(fb::CommandT &, fb::ProgramT &)> call;
};

/// A matmul with a packed weight. Others, and what is left of it in a graph that was cut, stay right.
using ChangeMatmul = std::function<void(fb::PackedMatmulT &)>;
fb::KernelCallT &callOf(fb::CommandT &command) { return *command.body.AsKernelCall(); }

KernelFault generated(const char *name, const char *op, const char *place,
                      std::function<void(mlir::Operation *)> change) {
  return {name, op, place, std::move(change), {}};
}
KernelFault called(const char *name, const char *op, const char *place,
                   std::function<void(fb::CommandT &, fb::ProgramT &)> change) {
  return {name, op, place, {}, std::move(change)};
}

KernelFault matmul(const char *name, const char *place, ChangeMatmul change) {
  return called(name, "matmul", place, [change](fb::CommandT &command, fb::ProgramT &) {
    if (auto *call = command.body.AsPackedMatmul()) change(*call);
  });
}

std::vector<KernelFault> faults() {
  using mlir::Builder;
  using mlir::Operation;
  return {
      generated("no mask", "attention", "h.1.attn",
                [](Operation *op) { llvm::cast<AttentionOp>(op).setCausal(false); }),
      generated(
          "attention's scale", "attention", "h.0.attn",
          [](Operation *op) { llvm::cast<AttentionOp>(op).setScaleAttr(Builder(op).getF32FloatAttr(0.5f)); }),
      generated("epsilon", "layer_norm", "ln_f",
                [](Operation *op) {
                  llvm::cast<LayerNormOp>(op).setEpsilonAttr(Builder(op).getF32FloatAttr(0.5f));
                }),
      generated("gelu's form", "matmul", "h.0.mlp.c_fc",
                [](Operation *op) { llvm::cast<MatmulOp>(op).setActivation(Activation::relu); }),
      generated("the first position for the last", "pool", "pool",
                [](Operation *op) { llvm::cast<PoolOp>(op).setMode(PoolMode::first); }),
      generated("positions stop early", "positions", "wpe",
                [](Operation *op) { llvm::cast<PositionsOp>(op).setLimit(2); }),
      matmul("residual read where the result is written", "h.1.mlp.c_proj",
             [](fb::PackedMatmulT &call) {
               if (call.residual) *call.residual = *call.out;
             }),
      called("gain and bias swapped", "layer_norm", "h.1.ln_1",
             [](fb::CommandT &command, fb::ProgramT &) {
               auto &args = callOf(command).args;
               REQUIRE(args.size() == 4);
               std::swap(args[1], args[2]);
             }),
      called("written over its input, which is read again", "layer_norm", "h.0.ln_2",
             [](fb::CommandT &command, fb::ProgramT &program) {
               auto &args = callOf(command).args;
               const fb::RefT from = *args.back(), to = *args.front();
               if (from.space != fb::Space::arena || to.space != fb::Space::arena) return;
               // Its reader finds it there: only who needs the input afterwards is wronged.
               for (auto &entry : program.entries)
                 for (auto &other : entry->commands)
                   if (auto *matmul = other->body.AsPackedMatmul())
                     if (other->location.find("h.0.mlp.c_fc") == 0 && matmul->a->offset == from.offset)
                       matmul->a->offset = to.offset;
               args.back()->offset = to.offset;
             }),
  };
}

struct Bench : linnet::testing::OddModel {
  lab::Target faulty(const KernelFault &fault) {
    return [&fault](mlir::ModuleOp planned, const lab::Rounds &rounds,
                    const reference::WeightProvider &weights) -> Result<lab::TargetRun> {
      Module generated(planned.clone());
      if (fault.generate)
        generated->walk([&](mlir::Operation *op) {
          if (op->getName().stripDialect() == fault.op && locationName(op->getLoc()) == fault.place)
            fault.generate(op);
        });
      linnet::testing::ProvidedWeights source(*generated, weights);
      auto lower = [&](BlobSink &blobs) -> Result<fb::ProgramT> {
        CpuOptions options;
        options.isas = "native";
        LINNET_ASSIGN(fb::ProgramT program, lowerToCpu(*generated, source, blobs, options));
        if (fault.call)
          for (auto &entry : program.entries)
            for (auto &command : entry->commands)
              if (command->op == fault.op && command->location == fault.place) fault.call(*command, program);
        return program;
      };
      LINNET_ASSIGN(lab::LoadedProgram program, lab::LoadedProgram::make(lower, 1));
      return lab::runRounds(program, rounds);
    };
  }

  std::optional<lab::Finding> bisect(const KernelFault &fault) {
    Module module = graph({{"generate", {"logits", "token"}, 8}});
    mlir::PassManager manager(&context);
    REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}}));
    auto found = lab::bisect(*module, manager, weights, {.seed = 3, .target = faulty(fault), .progress = {}});
    if (!found) FAIL(found.error().message);
    return std::move(*found);
  }
};

} // namespace

TEST_CASE("there is nothing to find in right kernels") {
  Bench bench;
  CHECK_FALSE(bench.bisect({"none", "", "", {}, {}}));
}

TEST_CASE("a fault in a kernel or its call is named by its place and cut down to ten ops") {
  Bench bench;
  for (const KernelFault &fault : faults()) {
    CAPTURE(fault.name);
    auto found = bench.bisect(fault);
    REQUIRE(found);
    CHECK(found->kind == lab::Finding::target);
    CHECK(found->fault.text.find("the target gives other numbers") == 0);
    CHECK(found->reduced_fault.text.find("the target gives other numbers") == 0);
    CHECK(std::find(found->places.begin(), found->places.end(), fault.place) != found->places.end());
    CHECK(found->ops >= 1);
    CHECK(found->ops <= 10);
    CHECK_FALSE(found->commands.empty());
  }
}
