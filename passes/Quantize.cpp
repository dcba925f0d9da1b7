//===- linnet-quantize ---------------------------------------------------------------------------------===//
//
// Stores the rhs matrices of matmuls as integers with a scale: 8 bits with one scale per column, or 4 bits
// with one for each `group` rows of a column, or with a scale and a minimum for each group. The integers and the
// scales are weight functions, computed at compile time. matmul and embed multiply by the scale.
//
// Changes the numbers by a bounded rounding of the weights; docs/passes.md has the bound. Legal after it: rhs
// of a matmul and the table of an embed may be i8 or i4, with a scale.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Matmul.h"
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"
#include "passes/WeightFunctions.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_QUANTIZE
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// A use of a weight as a matrix, and its K dimension, along which groups are formed.
struct MatrixUse {
  OpOperand *use;
  int64_t dim;
};

/// The matrix's K dimension for this use, or nothing if the use is neither a matmul's rhs nor a table.
std::optional<int64_t> sumDim(OpOperand &use) {
  if (auto matmul = llvm::dyn_cast<MatmulOp>(use.getOwner()))
    if (&use == &matmul.getRhsMutable() && !matmul.getScale()) return matmul.getTransposeRhs() ? 1 : 0;
  if (auto embed = llvm::dyn_cast<EmbedOp>(use.getOwner()))
    if (use.getOperandNumber() == 0 && !embed.getScale()) return 1;
  return std::nullopt;
}

bool isMatmul(const MatrixUse &use) { return llvm::isa<MatmulOp>(use.use->getOwner()); }

struct Quantize : impl::QuantizeBase<Quantize> {
  using QuantizeBase::QuantizeBase;

  void runOnOperation() override {
    if (bits != 8 && bits != 4) return fail("bits is expected to be 8 or 4");
    if (group < 0 || group % 2) return fail("group is expected to be even, or 0 for one scale a column");
    if (asymmetric && (bits != 4 || !group)) return fail("asymmetric is expected with bits=4 and a group");
    WeightFunctions made(getOperation());
    functions = &made;
    for (auto &[name, uses] : gather())
      for (int64_t dim : {0, 1}) convert(uses, dim);
    IRRewriter rewriter(&getContext());
    getOperation().walk([&](ParamOp param) {
      if (param->use_empty()) rewriter.eraseOp(param);
    });
  }

  void fail(const char *why) {
    getOperation().emitError(why);
    signalPassFailure();
  }

  /// Uses of matrices by weight name, over all entries, because all share one stored matrix.
  llvm::MapVector<StringRef, SmallVector<MatrixUse>> gather() {
    llvm::MapVector<StringRef, SmallVector<MatrixUse>> weights;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!isEntry(function)) continue;
      for (auto param : function.getOps<ParamOp>()) {
        auto type = param.getType();
        if (type.getRank() != 2 || panelOf(type) || !llvm::isa<FloatType>(type.getElementType())) continue;
        for (OpOperand &use : param->getUses())
          if (auto dim = sumDim(use)) weights[param.getName()].push_back({&use, *dim});
      }
    }
    return weights;
  }

  /// Converts all uses along `dim` if one of them is a matmul. Lookups alone gain too little for the error.
  void convert(ArrayRef<MatrixUse> uses, int64_t dim) {
    if (llvm::none_of(uses, [&](const MatrixUse &use) { return use.dim == dim && isMatmul(use); })) return;
    for (const MatrixUse &use : uses)
      if (use.dim == dim) rewrite(use.use->getOwner(), "quantize", [&] { convert(use); });
  }

  void convert(const MatrixUse &use) {
    auto &counters = getAnalysis<Counters>();
    IRRewriter rewriter(&getContext());
    Operation *user = use.use->getOwner();
    auto weight = use.use->get().getDefiningOp<ParamOp>();
    rewriter.setInsertionPointAfter(weight);
    Location loc = weight.getLoc();
    auto scale = rewriter.create<QuantizeScaleOp>(loc, weight, bits, use.dim, group, asymmetric);
    Value scales = functions->replace(rewriter, scale);
    rewriter.setInsertionPointAfter(scales.getDefiningOp());
    auto quantized = rewriter.create<QuantizeOp>(loc, weight, scales, bits, use.dim, group, asymmetric);
    Value integers = functions->replace(rewriter, quantized);
    rewriter.setInsertionPoint(user);
    if (auto matmul = llvm::dyn_cast<MatmulOp>(user)) {
      rewriter.replaceOp(matmul, cloneWith(rewriter, matmul.getLoc(), matmul, [&](MatmulParts &parts) {
                           parts.rhs = integers;
                           parts.scale = scales;
                           parts.group = group;
                           parts.asymmetric = asymmetric;
                         }));
      counters.add("linnet-quantize", "matmuls");
    } else {
      auto embed = llvm::cast<EmbedOp>(user);
      rewriter.replaceOpWithNewOp<EmbedOp>(embed, integers, embed.getIds(), scales, group, asymmetric);
      counters.add("linnet-quantize", "tables");
    }
  }

  WeightFunctions *functions = nullptr;
};

} // namespace
} // namespace linnet
