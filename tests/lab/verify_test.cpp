// Faults planted between the passes of the default pipeline: each is caught, and the pass that holds it
// named.
#include "frontend/gpt2/builder.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "lab/verify.h"
#include "passes/Passes.h"
#include "tests/catch.h"
#include "tests/reference/fixtures.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

#include <functional>

using namespace linnet;
using namespace linnet::ir;
using mlir::IRRewriter;
using mlir::ModuleOp;
using mlir::Value;

namespace {

/// Changes one op of the module; false where there is none to change.
using Fault = std::function<bool(ModuleOp, IRRewriter &)>;

/// A fault in the `nth` op of a kind.
template <class Op> Fault in(std::function<void(Op, IRRewriter &)> change, int nth = 0) {
  return [change, nth](ModuleOp module, IRRewriter &rewriter) {
    llvm::SmallVector<Op> ops;
    module.walk([&](Op op) { ops.push_back(op); });
    if (int(ops.size()) <= nth) return false;
    rewriter.setInsertionPoint(ops[nth]);
    change(ops[nth], rewriter);
    return true;
  };
}

struct FaultyPass : mlir::PassWrapper<FaultyPass, mlir::OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FaultyPass)
  FaultyPass(std::string name, Fault fault) : name(std::move(name)), fault(std::move(fault)) {}
  llvm::StringRef getArgument() const override { return name; }
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    if (!fault(getOperation(), rewriter)) {
      getOperation().emitError("nothing to plant the fault in");
      signalPassFailure();
    }
  }
  std::string name;
  Fault fault;
};

Value doubled(IRRewriter &rewriter, Value x) {
  rewriter.setInsertionPointAfterValue(x);
  return rewriter.create<AddOp>(x.getLoc(), x, x);
}

struct Planted {
  const char *name;
  bool planned; ///< behind the whole pipeline instead of in front of fusion
  Fault fault;
};

std::vector<Planted> faults() {
  std::vector<Planted> all;
  auto early = [&](const char *name, Fault fault) { all.push_back({name, false, std::move(fault)}); };
  auto late = [&](const char *name, Fault fault) { all.push_back({name, true, std::move(fault)}); };
  // Written as an author of a pass would get them wrong.
  early("dropped-bias", in<AddOp>([](AddOp op, IRRewriter &r) { r.replaceOp(op, op.getLhs()); }, 1));
  early("dropped-residual", in<AddOp>([](AddOp op, IRRewriter &r) { r.replaceOp(op, op.getLhs()); }, 3));
  early("add-became-sub",
        in<AddOp>([](AddOp op, IRRewriter &r) { r.replaceOpWithNewOp<SubOp>(op, op.getLhs(), op.getRhs()); },
                  2));
  early("residual-twice", in<AddOp>(
                              [](AddOp op, IRRewriter &r) {
                                Value twice = doubled(r, op.getRhs());
                                r.modifyOpInPlace(op, [&] { op.setOperand(1, twice); });
                              },
                              3));
  early("gelu-became-relu",
        in<GeluOp>([](GeluOp op, IRRewriter &r) { r.replaceOpWithNewOp<ReluOp>(op, op.getOperand()); }));
  early("gelu-twice", in<GeluOp>([](GeluOp op, IRRewriter &r) {
          auto again = r.create<GeluOp>(op.getLoc(), op.getOperand(), op.getForm());
          r.modifyOpInPlace(op, [&] { op.setOperand(again); });
        }));
  early("epsilon", in<LayerNormOp>([](LayerNormOp op, IRRewriter &) {
          op.setEpsilonAttr(mlir::Builder(op).getF32FloatAttr(0.1f));
        }));
  early("gain-and-bias-swapped", in<LayerNormOp>([](LayerNormOp op, IRRewriter &) {
          Value gain = op.getGain();
          op.setOperand(1, op.getBias());
          op.setOperand(2, gain);
        }));
  early("layer-norm-dropped",
        in<LayerNormOp>([](LayerNormOp op, IRRewriter &r) { r.replaceOp(op, op.getOperand()); }, 2));
  early("scale-missing", in<AttentionOp>([](AttentionOp op, IRRewriter &) {
          op.setScaleAttr(mlir::Builder(op).getF32FloatAttr(1));
        }));
  early("scale-squared", in<AttentionOp>([](AttentionOp op, IRRewriter &) {
          float scale = op.getScale().convertToFloat();
          op.setScaleAttr(mlir::Builder(op).getF32FloatAttr(scale * scale));
        }));
  early("mask-dropped", in<AttentionOp>([](AttentionOp op, IRRewriter &) { op.setCausal(false); }));
  early("past-forgotten", in<AttentionOp>([](AttentionOp op, IRRewriter &) { op.getPastMutable().clear(); }));
  early("keys-for-values",
        in<AttentionOp>([](AttentionOp op, IRRewriter &) { op.setOperand(2, op.getK()); }));
  early("queries-for-keys", in<CacheAppendOp>([](CacheAppendOp op, IRRewriter &) {
          for (mlir::Operation *user : op.getResult().getUsers())
            if (auto attention = llvm::dyn_cast<AttentionOp>(user)) return op.setOperand(1, attention.getQ());
        }));
  early("old-cache-read", in<AttentionOp>([](AttentionOp op, IRRewriter &) {
          op.setOperand(1, op.getK().getDefiningOp<CacheAppendOp>().getCache());
        }));
  early("append-dropped",
        in<CacheAppendOp>([](CacheAppendOp op, IRRewriter &r) { r.replaceOp(op, op.getCache()); }));
  early("slice-off-by-one", in<SliceOp>([](SliceOp op, IRRewriter &) { op.setOffset(op.getOffset() + 1); }));
  early("slice-at-zero", in<SliceOp>([](SliceOp op, IRRewriter &) { op.setOffset(0); }, 2));
  early("first-for-last", in<PoolOp>([](PoolOp op, IRRewriter &) { op.setMode(PoolMode::first); }));
  early("positions-limit", in<PositionsOp>([](PositionsOp op, IRRewriter &) { op.setLimit(2); }));
  early("other-weight", [](ModuleOp module, IRRewriter &) {
    bool changed = false;
    module.walk([&](ParamOp op) {
      if (changed || op.getName() != "h.0.attn.c_proj.weight") return;
      op.setName("h.1.attn.c_proj.weight");
      changed = true;
    });
    return changed;
  });
  early("squared-table", in<EmbedOp>(
                             [](EmbedOp op, IRRewriter &r) {
                               r.setInsertionPointAfter(op);
                               auto square = r.create<MulOp>(op.getLoc(), op, op);
                               r.replaceAllUsesExcept(op, square, square);
                             },
                             1));
  late("epilogue-bias-lost", in<MatmulOp>([](MatmulOp op, IRRewriter &) { op.getBiasMutable().clear(); }));
  late("epilogue-residual-lost",
       in<MatmulOp>([](MatmulOp op, IRRewriter &) { op.getResidualMutable().clear(); }, 1));
  late("epilogue-activation-lost",
       in<MatmulOp>([](MatmulOp op, IRRewriter &) { op.setActivation(Activation::none); }, 2));
  late("epilogue-activation-other",
       in<MatmulOp>([](MatmulOp op, IRRewriter &) { op.setActivation(Activation::relu); }, 2));
  late("bias-of-another",
       in<MatmulOp>(
           [](MatmulOp op, IRRewriter &) {
             LayerNormOp norm;
             op->getParentOp()->walk([&](LayerNormOp found) { norm = norm ? norm : found; });
             op.getBiasMutable().assign(norm.getBias());
           },
           1));
  late("argmax-of-part", in<ArgmaxOp>([](ArgmaxOp op, IRRewriter &r) {
         auto type = llvm::cast<mlir::RankedTensorType>(op.getOperand().getType());
         int64_t last = type.getRank() - 1;
         Value rest = r.create<SliceOp>(op.getLoc(), op.getOperand(), last, 1, type.getShape()[last] - 1);
         op.setOperand(rest);
       }));
  late("attention-scale-in-plan",
       in<AttentionOp>(
           [](AttentionOp op, IRRewriter &) { op.setScaleAttr(mlir::Builder(op).getF32FloatAttr(0.01f)); },
           1));
  late("group-of-fused-yields-input", in<FusedOp>([](FusedOp op, IRRewriter &) {
         op.getBody().front().getTerminator()->setOperand(0, op.getBody().getArgument(0));
       }));
  return all;
}

struct Bench {
  Bench() : checkpoint(*Checkpoint::open(std::string(LINNET_GOLDEN_DIR) + "/odd")) {
    registerPasses();
    weights = linnet::testing::weightsOf(checkpoint);
  }

  lab::Verdict run(const std::function<void(mlir::PassManager &)> &fill) {
    mlir::OwningOpRef<ModuleOp> module = buildGpt2(context, checkpoint.config(), {.max_batch = 2});
    mlir::PassManager manager(&context);
    fill(manager);
    lab::Verdict verdict;
    manager.addInstrumentation(lab::verifyPasses(weights, {.seed = 3}, verdict));
    REQUIRE(mlir::succeeded(manager.run(*module)));
    return verdict;
  }

  mlir::MLIRContext context;
  Checkpoint checkpoint;
  reference::WeightProvider weights;
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
  const std::string dtype = GENERATE(std::string("bf16"), std::string("int8"), std::string("int4"));
  lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
    REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}, dtype}));
  });
  CHECK(verdict.failed == "");
}

TEST_CASE("every planted fault is caught, and its pass named") {
  Bench bench;
  const std::vector<Planted> all = faults();
  REQUIRE(all.size() >= 30);
  for (const Planted &planted : all) {
    CAPTURE(planted.name);
    const std::string name = std::string("fault-") + planted.name;
    lab::Verdict verdict = bench.run([&](mlir::PassManager &manager) {
      auto fault = [&] { manager.addPass(std::make_unique<FaultyPass>(name, planted.fault)); };
      REQUIRE(appendPasses(manager, "canonicalize", "test"));
      if (!planted.planned) fault();
      REQUIRE(buildPipeline(manager, {"cpu", 2, {}, {}}));
      if (planted.planned) fault();
    });
    CHECK(verdict.failed.find(name + ": changes the numbers: @") == 0);
  }
}
