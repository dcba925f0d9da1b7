//===- linnet-schedule ---------------------------------------------------------------------------------===//
//
// Reorders ops so that less memory is alive at a time. Greedy: among the ops whose operands are computed, it
// takes the one that adds the fewest live bytes (its result minus the operands that die); ties go to the
// earlier op. The new order is used only if its peak is lower than the old one's.
//
// Preserves every value: ops have value semantics. Runs before `linnet-alias`, whose in-place decisions
// depend on the order. Legal after it: nothing new.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_SCHEDULE
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// The value whose buffer `value` will share: through views and caches that will be updated in place.
Value bufferOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!llvm::isa<ViewOpInterface, CacheAppendOp>(op)) break;
    value = op->getOperand(0);
  }
  return value;
}

/// The bytes of each op's results, and the ops that read each buffer.
class LiveSet {
public:
  explicit LiveSet(func::FuncOp function) {
    for (Operation &op : function.getBody().front()) {
      for (Value operand : op.getOperands()) readers[bufferOf(operand)].insert(&op);
      for (Value result : op.getResults())
        if (bufferOf(result) == result && !llvm::isa<ParamOp, ConstantOp>(op))
          bytes[result] = maxBytes(llvm::cast<RankedTensorType>(result.getType()), function).value_or(0);
    }
  }

  /// The bytes that `op` adds to the live set while it runs, and those that remain afterwards.
  std::pair<int64_t, int64_t> cost(Operation *op) const {
    int64_t added = 0, freed = 0;
    for (Value result : op->getResults()) {
      added += bytes.lookup(result);
      if (!readers.count(result)) freed += bytes.lookup(result);
    }
    llvm::SmallPtrSet<void *, 4> seen;
    for (Value operand : op->getOperands()) {
      Value buffer = bufferOf(operand);
      auto found = readers.find(buffer);
      if (seen.insert(buffer.getAsOpaquePointer()).second && found != readers.end() &&
          found->second.size() == 1)
        freed += bytes.lookup(buffer);
    }
    return {added, added - freed};
  }

  /// Updates the live set as if `op` ran. Returns the peak so far.
  int64_t run(Operation *op) {
    auto [added, kept] = cost(op);
    peak = std::max(peak, alive + added);
    alive += kept;
    for (Value operand : op->getOperands())
      if (auto found = readers.find(bufferOf(operand)); found != readers.end()) {
        found->second.erase(op);
        if (found->second.empty()) readers.erase(found);
      }
    return peak;
  }

private:
  llvm::DenseMap<Value, int64_t> bytes;
  llvm::DenseMap<Value, llvm::SmallPtrSet<Operation *, 4>> readers; ///< that have not run
  int64_t alive = 0, peak = 0;
};

int64_t peakOf(func::FuncOp function, ArrayRef<Operation *> order) {
  LiveSet live(function);
  int64_t peak = 0;
  for (Operation *op : order) peak = live.run(op);
  return peak;
}

SmallVector<Operation *> greedyOrder(func::FuncOp function) {
  LiveSet live(function);
  SmallVector<Operation *> waiting, order;
  for (Operation &op : function.getBody().front().without_terminator()) waiting.push_back(&op);
  llvm::SmallPtrSet<Operation *, 32> done;
  auto ready = [&](Operation *op) {
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      return !operand.getDefiningOp() || done.contains(operand.getDefiningOp());
    });
  };
  while (!waiting.empty()) {
    size_t best = waiting.size();
    int64_t least = 0;
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (!ready(waiting[i])) continue;
      int64_t kept = live.cost(waiting[i]).second;
      if (best == waiting.size() || kept < least) best = i, least = kept;
    }
    live.run(waiting[best]);
    done.insert(waiting[best]);
    order.push_back(waiting[best]);
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(best));
  }
  return order;
}

struct Schedule : impl::ScheduleBase<Schedule> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function)) schedule(function);
  }

  void schedule(func::FuncOp function) {
    Block &block = function.getBody().front();
    SmallVector<Operation *> found, better = greedyOrder(function);
    for (Operation &op : block.without_terminator()) found.push_back(&op);
    if (peakOf(function, better) >= peakOf(function, found)) return;
    rewrite(function, "reorder", [&] {
      for (Operation *op : better) op->moveBefore(block.getTerminator());
      getAnalysis<Counters>().add("linnet-schedule", "reordered");
    });
  }
};

} // namespace
} // namespace linnet
