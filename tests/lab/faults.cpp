#include "tests/lab/faults.h"

#include "ir/Linnet.h"
#include "ir/Locations.h"
#include "ir/Shapes.h"
#include "passes/RewriteAction.h"

#include "mlir/IR/PatternMatch.h"

using namespace linnet::ir;
using mlir::IRRewriter;
using mlir::ModuleOp;
using mlir::Value;

namespace linnet::testing {
namespace {

constexpr int kEverywhere = -1;

/// Which ops are looked at, and what is done to those at the place, or to all.
struct Fault {
  std::function<bool(mlir::Operation *)> looks;
  std::function<void(mlir::Operation *, IRRewriter &)> change;
  int nth;
};

/// A fault in the `nth` op of a kind.
template <class Op> Fault in(std::function<void(Op, IRRewriter &)> change, int nth = 0) {
  return {[](mlir::Operation *op) { return llvm::isa<Op>(op); },
          [change](mlir::Operation *op, IRRewriter &rewriter) { change(llvm::cast<Op>(op), rewriter); }, nth};
}

struct FaultyPass : mlir::PassWrapper<FaultyPass, mlir::OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FaultyPass)
  FaultyPass(std::string name, std::shared_ptr<std::string> place, Fault fault)
      : name(std::move(name)), place(std::move(place)), fault(std::move(fault)) {}
  llvm::StringRef getArgument() const override { return name; }

  void runOnOperation() override {
    llvm::SmallVector<mlir::Operation *> ops;
    getOperation().walk([&](mlir::Operation *op) {
      if (fault.looks(op)) ops.push_back(op);
    });
    const bool everywhere = fault.nth == kEverywhere;
    if (place->empty() && !everywhere && int(ops.size()) > fault.nth)
      *place = locationName(ops[fault.nth]->getLoc());
    IRRewriter rewriter(&getContext());
    for (mlir::Operation *op : ops)
      rewrite(op, name, [&] {
        if (!everywhere && locationName(op->getLoc()) != *place) return;
        rewriter.setInsertionPoint(op);
        fault.change(op, rewriter);
      });
  }

  std::string name;
  std::shared_ptr<std::string> place;
  Fault fault;
};

Value doubled(IRRewriter &rewriter, Value x) {
  rewriter.setInsertionPointAfterValue(x);
  return rewriter.create<AddOp>(x.getLoc(), x, x);
}

Planted planted(const char *name, bool planned, Fault fault) {
  return {name, planned, [fault](const std::string &pass, std::shared_ptr<std::string> place) {
            return std::make_unique<FaultyPass>(pass, std::move(place), fault);
          }};
}

/// A constant vector as long as `like`.
Value constantLike(IRRewriter &rewriter, Value like, float value) {
  auto type = llvm::cast<mlir::RankedTensorType>(like.getType());
  return rewriter.create<ConstantOp>(like.getLoc(), type, mlir::DenseElementsAttr::get(type, value));
}

std::vector<Planted> makeParameterFaults() {
  return {planted("all-biases-dropped", false,
                  in<AddOp>(
                      [](AddOp op, IRRewriter &r) {
                        if (op.getRhs().getDefiningOp<ParamOp>()) r.replaceOp(op, op.getLhs());
                      },
                      kEverywhere)),
          planted("layer-norm-bias-dropped", false,
                  in<LayerNormOp>([](LayerNormOp op,
                                     IRRewriter &r) { op.setOperand(2, constantLike(r, op.getBias(), 0)); },
                                  kEverywhere)),
          planted("layer-norm-gain-ignored", false,
                  in<LayerNormOp>([](LayerNormOp op,
                                     IRRewriter &r) { op.setOperand(1, constantLike(r, op.getGain(), 1)); },
                                  kEverywhere)),
          planted("two-gains-swapped", false,
                  {[](mlir::Operation *op) { return llvm::isa<ParamOp>(op); },
                   [](mlir::Operation *op, IRRewriter &) {
                     auto param = llvm::cast<ParamOp>(op);
                     if (param.getName() == "h.0.ln_1.weight")
                       param.setName("h.0.ln_2.weight");
                     else if (param.getName() == "h.0.ln_2.weight")
                       param.setName("h.0.ln_1.weight");
                   },
                   kEverywhere})};
}

/// The weight functions that a pass made for matrices of integers, or for their scales.
template <class Op> llvm::SmallVector<mlir::func::FuncOp> weightFunctions(mlir::Operation *inside) {
  llvm::SmallVector<mlir::func::FuncOp> found;
  for (auto function : inside->getParentOfType<ModuleOp>().getOps<mlir::func::FuncOp>())
    if (function->hasAttr("linnet.weight") && !function.getOps<Op>().empty()) found.push_back(function);
  return found;
}

std::vector<Planted> makeIntegerFaults() {
  constexpr int kOfSecondLayer = 4; // matmuls before it: four of the first layer
  return {planted("scale-of-another", true,
                  in<MatmulOp>(
                      [](MatmulOp op, IRRewriter &) {
                        MatmulOp other;
                        op->getParentOp()->walk([&](MatmulOp found) {
                          if (!other && found->isBeforeInBlock(op) && found.getScale() &&
                              found.getScale() != op.getScale() &&
                              found.getScale().getType() == op.getScale().getType())
                            other = found;
                        });
                        if (other) op.getScaleMutable().assign(other.getScale());
                      },
                      kOfSecondLayer)),
          planted("scale-doubled", true,
                  in<MatmulOp>(
                      [](MatmulOp op, IRRewriter &r) {
                        for (mlir::func::FuncOp function : weightFunctions<QuantizeScaleOp>(op)) {
                          auto scale = *function.getOps<QuantizeScaleOp>().begin();
                          if (!function.getOps<QuantizeOp>().empty()) continue;
                          r.setInsertionPointAfter(scale);
                          auto twice = r.create<AddOp>(scale.getLoc(), scale, scale);
                          r.replaceAllUsesExcept(scale, twice, twice);
                          return;
                        }
                      },
                      0)),
          planted("integers-of-another", true,
                  in<MatmulOp>(
                      [](MatmulOp op, IRRewriter &) {
                        auto param = op.getRhs().getDefiningOp<ParamOp>();
                        op->getParentOp()->walk([&](ParamOp other) {
                          if (param && other->isBeforeInBlock(op) && other.getType() == param.getType() &&
                              other.getName() != param.getName())
                            op.getRhsMutable().assign(other);
                        });
                      },
                      kOfSecondLayer))};
}

std::vector<Planted> makeFaults() {
  std::vector<Planted> all;
  auto plant = [&](const char *name, bool planned, Fault fault) {
    all.push_back(planted(name, planned, std::move(fault)));
  };
  auto early = [&](const char *name, Fault fault) { plant(name, false, std::move(fault)); };
  auto late = [&](const char *name, Fault fault) { plant(name, true, std::move(fault)); };
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
          if (auto append = op.getK().getDefiningOp<CacheAppendOp>()) op.setOperand(1, append.getCache());
        }));
  early("append-dropped",
        in<CacheAppendOp>([](CacheAppendOp op, IRRewriter &r) { r.replaceOp(op, op.getCache()); }));
  early("slice-off-by-one",
        in<SliceOp>([](SliceOp op, IRRewriter &) { op.setOffset(op.getOffset() + (op.getOffset() == 0)); }));
  early("slice-at-zero", in<SliceOp>([](SliceOp op, IRRewriter &) { op.setOffset(0); }, 2));
  early("first-for-last", in<PoolOp>([](PoolOp op, IRRewriter &) { op.setMode(PoolMode::first); }));
  early("positions-limit", in<PositionsOp>([](PositionsOp op, IRRewriter &) { op.setLimit(2); }));
  early("other-weight",
        {[](mlir::Operation *op) {
           auto param = llvm::dyn_cast<ParamOp>(op);
           return param && param.getName() == "h.0.attn.c_proj.weight";
         },
         [](mlir::Operation *op, IRRewriter &) { llvm::cast<ParamOp>(op).setName("h.1.attn.c_proj.weight"); },
         0});
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
             if (norm) op.getBiasMutable().assign(norm.getBias());
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
         mlir::Operation *yield = op.getBody().front().getTerminator();
         for (mlir::BlockArgument input : op.getBody().getArguments())
           if (input.getType() == yield->getOperand(0).getType()) return yield->setOperand(0, input);
       }));
  return all;
}

} // namespace

const std::vector<Planted> &integerFaults() {
  static const std::vector<Planted> all = makeIntegerFaults();
  return all;
}

const std::vector<Planted> &parameterFaults() {
  static const std::vector<Planted> all = makeParameterFaults();
  return all;
}

const std::vector<Planted> &faults() {
  static const std::vector<Planted> all = makeFaults();
  return all;
}

} // namespace linnet::testing
