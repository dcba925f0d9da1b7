//===- linnet-plan-memory ------------------------------------------------------------------------------===//
//
// Assigns memory to every result: a returned value gets the function result's memory, any other a slot of the
// arena. Lifetimes follow views and in-place updates to their buffer. An elementwise result takes over the
// slot of an operand that dies there. planMemory computes the offsets.
//
// Preserves every value. Legal after it: the module is planned, as passes/Plan.h defines it.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Liveness.h"
#include "passes/MemoryPlanner.h"
#include "passes/Passes.h"
#include "passes/Plan.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// Values that use one slot, one after the other.
struct Buffer {
  Interval interval;
  SmallVector<Value, 2> values;
};

class EntryPlanner {
public:
  EntryPlanner(func::FuncOp function, const TargetDescription &target, Counters &counters)
      : function(function), target(target), counters(counters) {}

  LogicalResult run() {
    clear();
    if (failed(placeOutputs()) || failed(gather())) return failure();
    std::vector<Interval> intervals;
    for (const Buffer &buffer : buffers) intervals.push_back(buffer.interval);
    auto plan = planMemory(intervals, target.alignment);
    if (!plan) return function.emitError("the sizes of @") << function.getName() << "'s activations overflow";
    for (auto [buffer, offset] : llvm::zip(buffers, plan->offsets))
      for (Value value : buffer.values)
        placeInSlot(llvm::cast<OpResult>(value), offset, buffer.interval.size);
    setArena(function, plan->peak, plan->lower_bound);
    return success();
  }

private:
  /// Removes an earlier plan, except the decisions of linnet-alias.
  void clear() {
    for (Operation &op : function.getBody().front())
      for (llvm::StringRef name : {"linnet.slot", "linnet.output", "linnet.places"}) op.removeAttr(name);
  }

  /// Gives returned values the memory of their outputs. linnet-alias ensured that each is an op's result.
  LogicalResult placeOutputs() {
    Operation *end = function.getBody().front().getTerminator();
    llvm::DenseSet<Value> returned;
    for (OpOperand &use : end->getOpOperands()) {
      unsigned i = use.getOperandNumber();
      if (isOwnState(function, i)) continue;
      auto result = llvm::dyn_cast<OpResult>(use.get());
      bool own = result && placementOf(result).kind == Placement::none && returned.insert(result).second;
      if (!own)
        return function.emitError("result ")
               << i << " of @" << function.getName()
               << " is not computed by a separate op; run linnet-alias before linnet-plan-memory";
      placeInOutput(result, i);
    }
    return success();
  }

  /// Whether the returned value is the state itself, unchanged or updated in place.
  static bool isOwnState(func::FuncOp function, unsigned i) {
    if (resultState(function, i).empty()) return false;
    Value base = storageOf(function.getBody().front().getTerminator()->getOperand(i)).base;
    auto argument = llvm::dyn_cast<BlockArgument>(base);
    return argument && argState(function, argument.getArgNumber()) == resultState(function, i);
  }

  LogicalResult gather() {
    for (const Lifetime &lifetime : lifetimes(function)) {
      auto result = llvm::cast<OpResult>(lifetime.base);
      if (placementOf(result).kind == Placement::output) continue;
      auto type = llvm::dyn_cast<RankedTensorType>(result.getType());
      if (!type) return result.getOwner()->emitError("result ") << result.getType() << " is not a tensor";
      auto bytes = maxBytes(type, function);
      if (!bytes)
        return result.getOwner()->emitError("the largest size of ")
               << describe(type) << " is unknown: linnet.bounds of @" << function.getName()
               << " lacks a dimension, or the size overflows";
      if (!takeOver(lifetime, *bytes)) {
        owner[result] = buffers.size();
        buffers.push_back({{lifetime.first, lifetime.last, *bytes}, {result}});
      }
      counters.add("linnet-plan-memory", "slots");
    }
    return success();
  }

  /// Gives the result the slot of an operand that dies at this op, if it may overwrite one. Returns whether
  /// it did.
  bool takeOver(const Lifetime &lifetime, int64_t bytes) {
    auto result = llvm::cast<OpResult>(lifetime.base);
    for (Value operand : result.getOwner()->getOperands()) {
      auto found = owner.find(storageOf(operand).base);
      if (found == owner.end()) continue;
      Buffer &buffer = buffers[found->second];
      Value base = buffer.values.back();
      if (base != storageOf(operand).base || buffer.interval.last != lifetime.first ||
          buffer.interval.size != bytes || !canOverwrite(result.getOwner(), result, base))
        continue;
      buffer.interval.last = lifetime.last;
      buffer.values.push_back(result);
      owner[result] = found->second;
      counters.add("linnet-plan-memory", "overwritten");
      return true;
    }
    return false;
  }

  func::FuncOp function;
  const TargetDescription &target;
  Counters &counters;
  std::vector<Buffer> buffers;
  llvm::DenseMap<Value, size_t> owner;
};

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    const TargetDescription *target = findTarget(target_name);
    if (!target) {
      getOperation().emitError("unknown target '") << target_name << "', expected " << targetNames();
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function) && failed(EntryPlanner(function, *target, getAnalysis<Counters>()).run()))
        return signalPassFailure();
    getOperation()->setAttr("linnet.target", StringAttr::get(&getContext(), target->name));
  }
};

} // namespace
} // namespace linnet
