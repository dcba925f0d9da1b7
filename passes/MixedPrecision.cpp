//===- linnet-mixed-precision --------------------------------------------------------------------------===//
//
// Stores the rhs matrices of matmuls, and optionally the KV caches, in a 16-bit float type. Activations and
// sums stay f32: a matmul widens its operands. If the weights are bf16, its input is rounded to bf16, so that
// a processor can multiply pairs of them. `compute` is for training: it casts both operands of every matmul
// and contract. The values before the casts and the sums stay f32.
//
// Changes the numbers by one rounding of each weight (and each cache entry or operand). Legal after it: rhs
// of a matmul, tables and caches may have a narrower type than the activations, and a matmul of 16-bit
// operands may be `wide`.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Kept.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SetVector.h"

#include <map>

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_MIXEDPRECISION
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

FloatType floatTypeOf(MLIRContext *context, StringRef name) {
  if (name == "bf16") return BFloat16Type::get(context);
  if (name == "f16") return Float16Type::get(context);
  return name == "f32" ? Float32Type::get(context) : FloatType();
}

bool isMatmulRhs(OpOperand &use) {
  auto matmul = llvm::dyn_cast<MatmulOp>(use.getOwner());
  return matmul && &use == &matmul.getRhsMutable();
}
bool isTable(OpOperand &use) { return llvm::isa<EmbedOp>(use.getOwner()) && use.getOperandNumber() == 0; }

RankedTensorType withElement(Type type, Type element) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), element, tensor.getEncoding());
}

struct MixedPrecision : impl::MixedPrecisionBase<MixedPrecision> {
  using MixedPrecisionBase::MixedPrecisionBase;

  void runOnOperation() override {
    const bool kept = weights == "kept";
    FloatType stored = floatTypeOf(&getContext(), kept ? "f32" : StringRef(weights)),
              cached = floatTypeOf(&getContext(), cache), computed = floatTypeOf(&getContext(), compute);
    if (!stored || !cached || !computed) {
      getOperation().emitError(
          "weights, cache and compute are expected to be f32, f16 or bf16, or weights=kept");
      return signalPassFailure();
    }
    if (lhs != "f32" && lhs != "bf16") {
      getOperation().emitError("lhs is expected to be f32 or bf16");
      return signalPassFailure();
    }
    const Types narrowed = kept ? keptTypes() : multiplied(stored);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!isEntry(function)) continue;
      if (kept || !stored.isF32()) narrowWeights(function, narrowed);
      if (!cached.isF32()) narrowCaches(function, cached);
      if (!computed.isF32()) narrowProducts(function, computed);
    }
  }

  /// New types of f32 matrices by name.
  using Types = std::map<std::string, FloatType, std::less<>>;

  static bool isF32Matrix(ParamOp param) {
    return param.getType().getElementType().isF32() && !panelOf(param.getType());
  }

  /// The f32 matrices that are some matmul's rhs. A table that is only looked up does not change.
  Types multiplied(FloatType stored) {
    Types types;
    getOperation().walk([&](ParamOp param) {
      if (isF32Matrix(param) && llvm::any_of(param->getUses(), isMatmulRhs))
        types.emplace(param.getName().str(), stored);
    });
    return types;
  }

  /// The f32 matrices that the checkpoint stores in 16 bits.
  Types keptTypes() {
    Types types;
    getOperation().walk([&](ParamOp param) {
      const auto form = keptForm(getOperation(), param.getName());
      if (form && !form->isInteger() && isF32Matrix(param))
        types.emplace(param.getName().str(), llvm::cast<FloatType>(form->type));
    });
    return types;
  }

  void narrowWeights(func::FuncOp function, const Types &types) {
    auto &counters = getAnalysis<Counters>();
    IRRewriter rewriter(&getContext());
    for (auto param : llvm::make_early_inc_range(function.getOps<ParamOp>())) {
      const auto found = types.find(param.getName().str());
      if (found == types.end()) continue;
      rewriter.setInsertionPointAfter(param);
      auto narrow = rewriter.create<ParamOp>(param.getLoc(), withElement(param.getType(), found->second),
                                             param.getNameAttr());
      for (OpOperand &use : llvm::make_early_inc_range(param->getUses()))
        if (isMatmulRhs(use) || isTable(use))
          rewrite(use.getOwner(), "narrow", [&] {
            narrowUse(rewriter, use, narrow);
            counters.add("linnet-mixed-precision", "weights");
          });
      if (param->use_empty()) rewriter.eraseOp(param);
    }
  }

  /// Makes `use`, of an f32 param, read the `narrow` one.
  void narrowUse(RewriterBase &rewriter, OpOperand &use, Value narrow) {
    Operation *user = use.getOwner();
    rewriter.setInsertionPoint(user);
    if (isMatmulRhs(use)) {
      auto matmul = llvm::cast<MatmulOp>(user);
      Value input = matmul.getLhs();
      const bool rounds = isBF16(narrow) && isF32(input), stays = rounds && lhs == "bf16";
      if (rounds)
        input =
            rewriter.create<CastOp>(input.getLoc(), withElement(input.getType(), elementOf(narrow)), input);
      if (rounds && !stays) input = rewriter.create<CastOp>(input.getLoc(), matmul.getLhs().getType(), input);
      return rewriter.modifyOpInPlace(user, [&] {
        use.set(narrow);
        matmul.getLhsMutable().assign(input);
        if (stays) matmul.setWide(true);
      });
    }
    auto rows = rewriter.create<EmbedOp>(user->getLoc(), narrow, llvm::cast<EmbedOp>(user).getIds());
    rewriter.replaceOpWithNewOp<CastOp>(user, user->getResult(0).getType(), rows);
  }

  /// Casts the f32 operands of matmuls and contracts, once per value, directly after their definition.
  void narrowProducts(func::FuncOp function, FloatType computed) {
    llvm::DenseMap<Value, Value> casts;
    IRRewriter rewriter(&getContext());
    auto narrowed = [&](OpOperand &operand) {
      Value &cast = casts[operand.get()];
      if (!cast) {
        rewriter.setInsertionPointAfterValue(operand.get());
        cast = rewriter.create<CastOp>(operand.get().getLoc(), withElement(operand.get().getType(), computed),
                                       operand.get());
      }
      operand.set(cast);
    };
    SmallVector<Operation *> products;
    for (Operation &op : function.getBody().front())
      if (llvm::isa<MatmulOp, ContractOp>(op)) products.push_back(&op);
    for (Operation *op : products) {
      auto matmul = llvm::dyn_cast<MatmulOp>(op);
      auto contract = llvm::dyn_cast<ContractOp>(op);
      OpOperand &lhs = matmul ? matmul.getLhsMutable() : contract.getLhsMutable();
      OpOperand &rhs = matmul ? matmul.getRhsMutable() : contract.getRhsMutable();
      if (!isF32(lhs.get()) || !isF32(rhs.get())) continue;
      rewrite(op, "narrow", [&] {
        narrowed(lhs), narrowed(rhs);
        if (matmul) matmul.setWide(true);
        getAnalysis<Counters>().add("linnet-mixed-precision", "products");
      });
    }
  }

  static bool isBF16(Value value) { return elementOf(value).isBF16(); }
  static bool isF32(Value value) { return elementOf(value).isF32(); }
  static Type elementOf(Value value) {
    return llvm::cast<RankedTensorType>(value.getType()).getElementType();
  }

  /// Narrows the states that only cache_append and attention use.
  void narrowCaches(func::FuncOp function, FloatType cached) {
    Block &body = function.getBody().front();
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      if (argState(function, i).empty()) continue;
      SmallVector<Value> chain = cacheChain(body.getArgument(i));
      if (chain.empty()) continue;
      for (Value value : chain) value.setType(withElement(value.getType(), cached));
      getAnalysis<Counters>().add("linnet-mixed-precision", "caches");
    }
    function.setType(
        FunctionType::get(&getContext(), body.getArgumentTypes(), body.getTerminator()->getOperandTypes()));
  }

  /// The argument and the results of the cache_append ops on it. Empty if any other op reads one of them.
  static SmallVector<Value> cacheChain(BlockArgument argument) {
    auto type = llvm::dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !type.getElementType().isF32()) return {};
    SmallVector<Value> chain = {argument};
    for (size_t at = 0; at < chain.size(); ++at)
      for (OpOperand &use : chain[at].getUses()) {
        Operation *user = use.getOwner();
        if (llvm::isa<CacheAppendOp>(user) && use.getOperandNumber() == 0)
          chain.push_back(user->getResult(0));
        else if (!(llvm::isa<AttentionOp>(user) &&
                   (use.getOperandNumber() == 1 || use.getOperandNumber() == 2)) &&
                 !llvm::isa<func::ReturnOp>(user))
          return {};
      }
    return chain;
  }
};

} // namespace
} // namespace linnet
