//===- linnet-join -------------------------------------------------------------------------------------===//
//
// Ops that follow each other and that a target runs as one command when they have little to do: a layer norm
// (behind the choice of the last position), the matmul that alone reads it and the argmax of its rows; that
// choice for both operands of a matmul that adds a residual; appending to two caches and the attention that
// reads them; the two lookups of an embedding and their sum. Each but the first of a group is marked
// `linnet.joined`.
//
// Preserves every value: a group means what its ops mean, one after the other. Runs before
// linnet-plan-memory, as what a group reads stays alive until its last op. Legal after it: `linnet.joined` on
// ops; whoever moves an op takes the mark off.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/Plan.h"
#include "passes/RewriteAction.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_JOIN
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

using Ops = ArrayRef<Operation *>; ///< commands from some place on

template <class Op> Op at(Ops ops, size_t i) { return i < ops.size() ? llvm::dyn_cast<Op>(ops[i]) : Op(); }
bool onlyReadBy(Value value, Operation *user) { return value.hasOneUse() && *value.user_begin() == user; }

bool isPackedMatmul(MatmulOp op) {
  return op && !op.getTransposeLhs() && !op.getWide() && !op.getInt8Rows() && panelOf(tensor(op.getRhs()));
}
/// Whether `op` chooses the last row of each sequence for `user` alone.
bool choosesLast(PoolOp op, Operation *user) {
  return op && op.getMode() == PoolMode::last && onlyReadBy(op.getResult(), user);
}

/// [pool,] layer_norm, matmul of a weight in panels.
size_t normedMatmul(Ops ops) {
  auto pool = at<PoolOp>(ops, 0);
  const size_t i = bool(pool);
  auto norm = at<LayerNormOp>(ops, i);
  auto matmul = at<MatmulOp>(ops, i + 1);
  if (!norm || !isPackedMatmul(matmul) || matmul.getLhs() != norm.getResult() ||
      !onlyReadBy(norm.getResult(), matmul))
    return 0;
  if (pool && (norm.getOperand() != pool.getResult() || !choosesLast(pool, norm))) return 0;
  return i + 2;
}

/// The same, and the argmax of the product's rows, whoever else reads them.
size_t chosenMatmul(Ops ops) {
  const size_t count = normedMatmul(ops);
  auto argmax = count ? at<ArgmaxOp>(ops, count) : ArgmaxOp();
  return argmax && argmax.getOperand() == ops[count - 1]->getResult(0) ? count + 1 : 0;
}

/// pool, pool, matmul of the one plus the other: what linnet-hoist-pool leaves in the last layer.
size_t pooledMatmul(Ops ops) {
  auto first = at<PoolOp>(ops, 0), second = at<PoolOp>(ops, 1);
  auto matmul = at<MatmulOp>(ops, 2);
  if (!isPackedMatmul(matmul) || !choosesLast(first, matmul) || !choosesLast(second, matmul)) return 0;
  if (first.getLength() != second.getLength()) return 0;
  auto are = [&](PoolOp lhs, PoolOp residual) {
    return matmul.getLhs() == lhs.getResult() && matmul.getResidual() == residual.getResult();
  };
  return are(first, second) || are(second, first) ? 3 : 0;
}

/// cache_append, cache_append, attention: of the same sequences and positions.
size_t cachedAttention(Ops ops) {
  auto k = at<CacheAppendOp>(ops, 0), v = at<CacheAppendOp>(ops, 1);
  auto attention = at<AttentionOp>(ops, 2);
  if (!k || !v || !attention || attention.getLength() || !attention.getCausal()) return 0;
  const bool same = attention.getK() == k.getResult() && attention.getV() == v.getResult() &&
                    attention.getPast() == k.getPast() && k.getPast() == v.getPast();
  auto dims = [](Value value) { return shapeOf(tensor(value)); };
  return same && dims(attention.getQ()) == dims(k.getEntries()) &&
                 dims(k.getEntries()) == dims(v.getEntries())
             ? 3
             : 0;
}

/// `value` of a fused region without a cast to the type that it is added in.
Value uncast(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  return cast ? cast.getOperand() : value;
}

/// A fused region that adds its two inputs, in f32, and does no more.
bool isSum(FusedOp op, Value a, Value b) {
  Block &body = op.getBody().front();
  if (op.getReduce() || op.getNumResults() != 1 || op.getInputs().size() != 2) return false;
  auto add = body.getTerminator()->getOperand(0).getDefiningOp<AddOp>();
  if (!add || !add.getType().isF32()) return false;
  for (Operation &inner : body.without_terminator())
    if (&inner != add && !llvm::isa<CastOp>(inner)) return false;
  auto inputOf = [&](Value value) {
    auto argument = llvm::dyn_cast<BlockArgument>(uncast(value));
    return argument ? op.getInputs()[argument.getArgNumber()] : Value();
  };
  const Value x = inputOf(add.getLhs()), y = inputOf(add.getRhs());
  auto shape = [](Value value) { return shapeOf(tensor(value)); };
  return ((x == a && y == b) || (x == b && y == a)) && shape(a) == shape(b) &&
         shape(op.getResult(0)) == shape(a);
}

/// embed, positions, embed of these, their sum.
size_t embedding(Ops ops) {
  auto tokens = at<EmbedOp>(ops, 0), places = at<EmbedOp>(ops, 2);
  auto positions = at<PositionsOp>(ops, 1);
  auto sum = at<FusedOp>(ops, 3);
  if (!tokens || !positions || !places || !sum || places.getIds() != positions.getResult()) return 0;
  const bool alone = onlyReadBy(positions.getResult(), places) && onlyReadBy(tokens.getResult(), sum) &&
                     onlyReadBy(places.getResult(), sum);
  return alone && !panelOf(tensor(places.getTable())) && isSum(sum, tokens.getResult(), places.getResult())
             ? 4
             : 0;
}

struct Join : impl::JoinBase<Join> {
  using JoinBase::JoinBase;

  void runOnOperation() override {
    const TargetDescription *target = findTarget(target_name);
    if (!target) {
      getOperation().emitError("unknown target '") << target_name << "', expected " << targetNames();
      return signalPassFailure();
    }
    if (!target->joins) return;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function)) join(function);
  }

  void join(func::FuncOp function) {
    SmallVector<Operation *> commands;
    for (Operation &op : function.getBody().front().without_terminator())
      if (isCommand(&op)) commands.push_back(&op);
    for (Ops rest = commands; !rest.empty();) {
      size_t count = 1;
      for (auto match : {normedMatmul, chosenMatmul, pooledMatmul, cachedAttention, embedding})
        count = std::max(count, match(rest));
      if (count > 1) mark(rest.take_front(count));
      rest = rest.drop_front(count);
    }
  }

  void mark(Ops group) {
    rewrite(group.front(), "join", [&] {
      for (Operation *op : group.drop_front()) op->setAttr(kJoined, UnitAttr::get(&getContext()));
      getAnalysis<Counters>().add("linnet-join", "groups");
    });
  }
};

} // namespace
} // namespace linnet
