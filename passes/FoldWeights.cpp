//===- linnet-fold-weights -----------------------------------------------------------------------------===//
//
// Computes ops on weights at compile time. Each such op becomes a private function marked `linnet.weight`,
// and a param of that name replaces the op. A chain of ops becomes a chain of functions. The compiler
// evaluates those that a stored param needs with the interpreter.
//
// Preserves every returned value. Legal after it: nothing new.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"
#include "passes/WeightFunctions.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_FOLDWEIGHTS
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

int64_t bytesOf(Value value) {
  auto type = llvm::cast<RankedTensorType>(value.getType());
  return type.getNumElements() * elementBytes(type.getElementType());
}

/// Whether the result is larger than its operands (a broadcast), which would make the artifact larger.
bool grows(Operation *op) {
  if (llvm::isa<RotaryTableOp>(op)) return false; // no backend computes it
  int64_t operands = 0;
  for (Value operand : op->getOperands()) operands += bytesOf(operand);
  return bytesOf(op->getResult(0)) > operands;
}

struct FoldWeights : impl::FoldWeightsBase<FoldWeights> {
  void runOnOperation() override {
    auto &counters = getAnalysis<Counters>();
    WeightFunctions functions(getOperation());
    IRRewriter rewriter(&getContext());
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      if (!isEntry(function)) continue;
      for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
        // The type of a param has its layout, so a relayout needs no function.
        if (llvm::isa<RelayoutOp>(op) || !isComputedFromWeights(&op) || grows(&op)) continue;
        rewrite(&op, "fold", [&] {
          functions.replace(rewriter, &op);
          counters.add("linnet-fold-weights", "folded");
        });
      }
      eraseUnusedWeights(rewriter, function);
    }
  }

  static void eraseUnusedWeights(RewriterBase &rewriter, func::FuncOp function) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
      if (llvm::isa<ParamOp, ConstantOp>(op) && op.use_empty()) rewriter.eraseOp(&op);
  }
};

} // namespace
} // namespace linnet
