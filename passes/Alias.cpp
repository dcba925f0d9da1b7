//===- linnet-alias ------------------------------------------------------------------------------------===//
//
// Decides which results need no separate memory, and inserts the copies that this requires. Three walks over
// an entry:
//
//   views      A reshape is a view. A slice is one if all ops that read it, through reshapes, accept rows
//              with gaps.
//   in place   A cache_append writes into its cache's buffer if no op reads the old value later and the
//              buffer is a state or an activation. Otherwise it writes into a copy.
//   returns    A value that cannot be computed in the function result's memory is copied there. States come
//              last, because their buffers are read until then.
//
// Preserves every value. Legal after it: linnet.view and linnet.in_place are true of their ops. Each returned
// value is the result of a separate op, or a state updated in place.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Fusion.h"
#include "passes/Liveness.h"
#include "passes/Passes.h"
#include "passes/Plan.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_ALIAS
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

class EntryAliaser {
public:
  EntryAliaser(func::FuncOp function, const TargetDescription &target, Counters &counters)
      : function(function), block(function.getBody().front()), target(target), counters(counters) {}

  void run() {
    for (Operation &op : block) clearPlacement(&op);
    markViews();
    markInPlace();
    copyReturns();
  }

private:
  void count(StringRef what) { counters.add("linnet-alias", what); }

  //===- views -----------------------------------------------------------------------------------------===//

  void markViews() {
    for (Operation &op : block) {
      if (!llvm::isa<ReshapeOp, SliceOp>(op)) continue;
      if (auto slice = llvm::dyn_cast<SliceOp>(op); slice && !sliceCanBeView(slice)) continue;
      op.setAttr("linnet.view", UnitAttr::get(op.getContext()));
      count("views");
    }
  }

  bool sliceCanBeView(SliceOp slice) {
    auto storage = viewStorage(slice);
    return target.views && storage && (storage->dense() || readersTakeRows(slice, storage->row));
  }

  bool readersTakeRows(Value value, int64_t row) {
    return llvm::all_of(value.getUses(), [&](OpOperand &use) {
      if (auto reshape = llvm::dyn_cast<ReshapeOp>(use.getOwner())) return readersTakeRows(reshape, row);
      return target.acceptsStridedRows(use.getOwner(), use.getOperandNumber(), row);
    });
  }

  //===- caches in place -------------------------------------------------------------------------------===//

  void markInPlace() {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!llvm::isa<InPlaceOpInterface>(op)) continue;
      if (!mayOverwrite(&op)) {
        OpBuilder builder(&op);
        op.setOperand(0, makeCopy(builder, op.getOperand(0)).getResult(0));
        count("copies");
      }
      op.setAttr("linnet.in_place", UnitAttr::get(op.getContext()));
      count("in-place");
    }
  }

  bool mayOverwrite(Operation *writer) {
    if (!target.in_place_caches) return false;
    Storage storage = storageOf(writer->getOperand(0));
    bool whole = storage.dense() && storage.offset == 0 && storage.row == storageOf(storage.base).row;
    return whole && isWritable(storage.base) && !isReadLater(storage.base, writer);
  }

  bool isState(Value base) {
    auto argument = llvm::dyn_cast<BlockArgument>(base);
    return argument && !argState(function, argument.getArgNumber()).empty();
  }

  /// Whether `base` is a state or an activation of this call: inputs, weights and constants are read-only.
  bool isWritable(Value base) {
    if (llvm::isa<BlockArgument>(base)) return isState(base);
    return !llvm::isa<ParamOp, ConstantOp>(base.getDefiningOp());
  }

  /// Whether an op after `writer`, or another operand of it, reads the old contents of the buffer. Ops that
  /// read the writer's result have another base and read the new contents.
  bool isReadLater(Value base, Operation *writer) {
    for (Operation *op = writer; op; op = op->getNextNode())
      for (OpOperand &use : op->getOpOperands()) {
        if (&use == &writer->getOpOperand(0) || storageOf(use.get()).base != base) continue;
        return true;
      }
    return false;
  }

  //===- returns ---------------------------------------------------------------------------------------===//

  void copyReturns() {
    Operation *end = block.getTerminator();
    SmallVector<OpOperand *> outputs, states;
    llvm::DenseSet<Value> own;
    for (OpOperand &use : end->getOpOperands()) {
      if (resultState(function, use.getOperandNumber()).empty()) {
        if (!isOwnResult(use.get()) || !own.insert(use.get()).second) outputs.push_back(&use);
      } else if (!isUpdatedSelf(use) && !isComputedInState(use, own)) {
        states.push_back(&use);
      }
    }
    // All states are read before any is written: a state's new value may depend on another's old one.
    OpBuilder builder(end);
    for (OpOperand *use : states)
      if (isState(storageOf(use->get()).base)) copyInto(builder, *use);
    for (OpOperand *use : outputs) copyInto(builder, *use);
    for (OpOperand *use : states) copyInto(builder, *use);
  }

  /// Whether the last op that reads the state's old value can write the new one, element by element, into the
  /// state's buffer.
  bool isComputedInState(OpOperand &use, llvm::DenseSet<Value> &own) {
    auto result = llvm::dyn_cast<OpResult>(use.get());
    if (!target.in_place_caches || !result || !isOwnResult(result)) return false;
    for (BlockArgument argument : block.getArguments()) {
      if (argState(function, argument.getArgNumber()) != resultState(function, use.getOperandNumber()))
        continue;
      if (!canOverwrite(result.getOwner(), result, argument)) return false;
      for (Operation *op = result.getOwner()->getNextNode(); op; op = op->getNextNode())
        for (Value operand : op->getOperands())
          if (storageOf(operand).base == argument) return false;
      return own.insert(result).second;
    }
    return false;
  }

  /// Whether the result needs memory: it is not a weight, constant, view or in-place update.
  bool isOwnResult(Value value) {
    Operation *op = value.getDefiningOp();
    return op && !llvm::isa<ParamOp, ConstantOp>(op) && !op->hasAttr("linnet.view") &&
           !op->hasAttr("linnet.in_place");
  }

  bool isUpdatedSelf(OpOperand &use) {
    Storage storage = storageOf(use.get());
    auto argument = llvm::dyn_cast<BlockArgument>(storage.base);
    return argument && storage.dense() && storage.offset == 0 && use.get().getType() == argument.getType() &&
           argState(function, argument.getArgNumber()) == resultState(function, use.getOperandNumber());
  }

  void copyInto(OpBuilder &builder, OpOperand &use) {
    use.set(makeCopy(builder, use.get()).getResult(0));
    count("copies");
  }

  func::FuncOp function;
  Block &block;
  const TargetDescription &target;
  Counters &counters;
};

struct Alias : impl::AliasBase<Alias> {
  using AliasBase::AliasBase;

  void runOnOperation() override {
    const TargetDescription *target = findTarget(target_name);
    if (!target) {
      getOperation().emitError("unknown target '") << target_name << "', expected " << targetNames();
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!isEntry(function)) continue;
      if (!function.getBody().hasOneBlock()) {
        function.emitError("@") << function.getName() << " has more than one block, an entry has one";
        return signalPassFailure();
      }
      EntryAliaser(function, *target, getAnalysis<Counters>()).run();
    }
  }
};

} // namespace
} // namespace linnet
