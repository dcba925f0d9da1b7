//===- linnet-join -------------------------------------------------------------------------------------===//
//
// Marks consecutive ops that a target runs as one command if there is little work:
//
//   - a pool of the last position, a layer norm, the matmul that is its only reader, the argmax of its rows
//   - the pools of the two operands of a matmul that adds a residual
//   - two cache_append and the attention that reads the caches
//   - the two lookups of an embedding and their sum
//
// Every op of a group except the first is marked `linnet.joined`.
//
// Preserves every value: a group has the meaning of its ops, one after the other. Runs before
// linnet-plan-memory, because the operands of a group stay alive until its last op. Legal after it:
// `linnet.joined` on ops. A pass that moves an op must remove the mark.
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

using Ops = ArrayRef<Operation *>; ///< the rest of an entry's commands

template <class Op> Op at(Ops ops, size_t i) { return i < ops.size() ? llvm::dyn_cast<Op>(ops[i]) : Op(); }
bool onlyReadBy(Value value, Operation *user) { return value.hasOneUse() && *value.user_begin() == user; }

bool isPackedMatmul(MatmulOp op) {
  return op && !op.getTransposeLhs() && !op.getWide() && !op.getInt8Rows() && panelOf(tensor(op.getRhs()));
}
/// Whether `op` takes the last position of each sequence and `user` is its only reader.
bool choosesLast(PoolOp op, Operation *user) {
  return op && op.getMode() == PoolMode::last && onlyReadBy(op.getResult(), user);
}

/// Length of the match of [pool,] layer_norm, matmul by a weight in panels; 0 if `ops` does not begin with
/// it. So for the functions below.
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

/// normedMatmul, then the argmax of the result's rows. The matmul may have other readers.
size_t chosenMatmul(Ops ops) {
  const size_t count = normedMatmul(ops);
  auto argmax = count ? at<ArgmaxOp>(ops, count) : ArgmaxOp();
  return argmax && argmax.getOperand() == ops[count - 1]->getResult(0) ? count + 1 : 0;
}

/// pool, pool, matmul with one as lhs and the other as residual. linnet-hoist-pool makes this in the last
/// layer.
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

/// cache_append, cache_append, attention, all of the same sequences and positions.
size_t cachedAttention(Ops ops) {
  auto k = at<CacheAppendOp>(ops, 0), v = at<CacheAppendOp>(ops, 1);
  auto attention = at<AttentionOp>(ops, 2);
  if (!k || !v || !attention || attention.getLength() || !attention.getCausal()) return 0;
  const bool same = attention.getK() == k.getResult() && attention.getV() == v.getResult() &&
                    attention.getPast() == k.getPast() && k.getPast() == v.getPast();
  // Heads may share key heads.
  auto dimsWithoutHeads = [](Value value) {
    SmallVector<Dim> shape = shapeOf(tensor(value));
    shape.erase(shape.begin() + 2);
    return shape;
  };
  return same && dimsWithoutHeads(attention.getQ()) == dimsWithoutHeads(k.getEntries()) &&
                 shapeOf(tensor(k.getEntries())) == shapeOf(tensor(v.getEntries()))
             ? 3
             : 0;
}

/// The operand of `value` if that is a cast, else `value`.
Value uncast(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  return cast ? cast.getOperand() : value;
}

/// Whether `op` only adds its inputs a and b, in f32.
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

/// embed of tokens, positions, embed of positions, sum of the two.
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
