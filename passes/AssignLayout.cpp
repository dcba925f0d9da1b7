//===- linnet-assign-layout ----------------------------------------------------------------------------===//
//
// Stores every weight that is a matmul's rhs in the target's panels, in three steps:
//
//   1. Collect the uses of each weight in all entries.
//   2. Choose the layouts to store: one for each direction in which matmuls read the weight. If some other
//      use can read none of them, the weight is also stored row-major.
//   3. Give each use a param or constant of its layout.
//
// Preserves every value: a layout defines how a weight is stored. Legal after it: rhs of a matmul may have a
// panel type.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_ASSIGNLAYOUT
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// The layouts that a use can read: the preferred one, and whether a transposed panel is also possible.
struct Demand {
  OpOperand *use;
  PanelAttr wanted;                    ///< null: row-major
  bool reads_transposed_panel = false; ///< embed of a table that a matmul with transpose_rhs reads
};

/// The uses of one weight: of all params with one name and shape, or of one constant.
using Uses = SmallVector<Demand, 4>;

RankedTensorType weightType(Value value) { return llvm::cast<RankedTensorType>(value.getType()); }

Demand demandOf(OpOperand &use, const TargetDescription &target) {
  RankedTensorType type = weightType(use.get());
  auto panel = target.panelFor(type.getElementType());
  MLIRContext *context = use.getOwner()->getContext();
  auto matmul = llvm::dyn_cast<MatmulOp>(use.getOwner());
  // Kernels multiply panels by rows of f32, or bf16 panels by bf16 rows with f32 results.
  const auto multiplied = [](MatmulOp op) {
    const Type lhs = weightType(op.getLhs()).getElementType(), rhs = weightType(op.getRhs()).getElementType();
    return lhs.isF32() || (op.getWide() && lhs.isBF16() && rhs.isBF16());
  };
  if (matmul && multiplied(matmul)) {
    if (panel && &use == &matmul.getRhsMutable())
      return {&use, PanelAttr::get(context, panel->k_block, panel->n_block, panel->interleave,
                                   matmul.getTransposeRhs())};
    auto rhs = target.panelFor(weightType(matmul.getRhs()).getElementType());
    if (rhs && matmul.getScale() == use.get() && use.getOperandNumber() == matmul->getNumOperands() - 1)
      return {&use, PanelAttr::get(context, 1, rhs->n_block, 1, matmul.getTransposeRhs())};
  }
  auto embed = llvm::dyn_cast<EmbedOp>(use.getOwner());
  bool table = embed && (use.getOperandNumber() == 0 || use.getOperandNumber() == 2);
  return {&use, {}, table && target.embed_reads_panels};
}

/// The minimal set of stored layouts: those that matmuls prefer, and row-major if a use can read none of
/// them.
llvm::SetVector<Attribute> chooseLayouts(const Uses &uses) {
  llvm::SetVector<Attribute> layouts;
  for (const Demand &demand : uses)
    if (demand.wanted) layouts.insert(demand.wanted);
  bool transposed =
      llvm::any_of(layouts, [](Attribute a) { return llvm::cast<PanelAttr>(a).getTransposed(); });
  for (const Demand &demand : uses)
    if (!demand.wanted && !(demand.reads_transposed_panel && transposed)) layouts.insert(Attribute());
  return layouts;
}

PanelAttr layoutFor(const Demand &demand, const llvm::SetVector<Attribute> &layouts) {
  if (demand.wanted || !demand.reads_transposed_panel) return demand.wanted;
  if (layouts.contains(Attribute())) return {}; // rows are read faster from a row-major copy, if there is one
  for (Attribute layout : layouts)
    if (llvm::cast<PanelAttr>(layout).getTransposed()) return llvm::cast<PanelAttr>(layout);
  return {};
}

/// `weight` (param or constant) stored in `layout`.
Value relaidOut(RewriterBase &rewriter, Operation *weight, PanelAttr layout) {
  RankedTensorType type = weightType(weight->getResult(0));
  auto stored = RankedTensorType::get(type.getShape(), type.getElementType(), layout);
  rewriter.setInsertionPointAfter(weight);
  if (auto param = llvm::dyn_cast<ParamOp>(weight))
    return rewriter.create<ParamOp>(param.getLoc(), stored, param.getNameAttr());
  auto constant = llvm::cast<ConstantOp>(weight);
  if (auto dense = llvm::dyn_cast<DenseElementsAttr>(constant.getValue()))
    return rewriter.create<ConstantOp>(constant.getLoc(), stored,
                                       DenseElementsAttr::getFromRawBuffer(stored, dense.getRawData()));
  return rewriter.create<RelayoutOp>(weight->getLoc(), stored, weight->getResult(0));
}

struct AssignLayout : impl::AssignLayoutBase<AssignLayout> {
  using AssignLayoutBase::AssignLayoutBase;

  void runOnOperation() override {
    const TargetDescription *target = findTarget(target_name);
    if (!target) {
      getOperation().emitError("unknown target '") << target_name << "', expected " << targetNames();
      return signalPassFailure();
    }
    for (auto &[key, uses] : gather(*target)) assign(uses);
  }

  /// Uses of matrices by weight. Params are identified by name.
  llvm::MapVector<std::pair<StringRef, Operation *>, Uses> gather(const TargetDescription &target) {
    llvm::MapVector<std::pair<StringRef, Operation *>, Uses> weights;
    getOperation().walk([&](Operation *op) {
      auto function = op->getParentOfType<func::FuncOp>();
      if (!llvm::isa<ParamOp, ConstantOp>(op) || !function || !isEntry(function)) return;
      auto type = llvm::dyn_cast<RankedTensorType>(op->getResult(0).getType());
      if (!type || type.getRank() != 2 || panelOf(type) || !type.hasStaticShape()) return;
      auto param = llvm::dyn_cast<ParamOp>(op);
      auto key =
          param ? std::pair(param.getName(), static_cast<Operation *>(nullptr)) : std::pair(StringRef(), op);
      for (OpOperand &use : op->getUses()) weights[key].push_back(demandOf(use, target));
    });
    return weights;
  }

  void assign(const Uses &uses) {
    auto &counters = getAnalysis<Counters>();
    llvm::SetVector<Attribute> layouts = chooseLayouts(uses);
    if (layouts.size() > 1) counters.add("linnet-assign-layout", "copies", layouts.size() - 1);
    IRRewriter rewriter(&getContext());
    llvm::DenseMap<std::pair<Operation *, Attribute>, Value> made;
    llvm::SetVector<Operation *> weights;
    for (const Demand &demand : uses) {
      Operation *weight = demand.use->get().getDefiningOp();
      PanelAttr layout = layoutFor(demand, layouts);
      if (!layout) continue;
      rewrite(demand.use->getOwner(), "pack", [&] {
        Value &value = made[{weight, layout}];
        if (!value) value = relaidOut(rewriter, weight, layout);
        rewriter.modifyOpInPlace(demand.use->getOwner(), [&] { demand.use->set(value); });
        weights.insert(weight);
        counters.add("linnet-assign-layout", "packed");
      });
    }
    for (Operation *weight : weights)
      if (weight->use_empty()) rewriter.eraseOp(weight);
  }
};

} // namespace
} // namespace linnet
