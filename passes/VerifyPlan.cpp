//===- linnet-verify-plan ------------------------------------------------------------------------------===//
//
// Checks a planned module against passes/Plan.h, independently of the pass that planned it: lifetimes are
// recomputed from the ops and their attributes. Changes nothing.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Shapes.h"
#include "passes/Liveness.h"
#include "passes/Passes.h"
#include "passes/Plan.h"
#include "passes/Target.h"

#include <fmt/format.h>

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_VERIFYPLAN
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

/// "linnet.add at graph.mlir:3:8"
std::string nameOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << op->getName().getStringRef() << " at " << op->getLoc();
  return text;
}

class PlanChecker {
public:
  explicit PlanChecker(func::FuncOp function) : function(function), block(function.getBody().front()) {
    auto name = function->getParentOp()->getAttrOfType<StringAttr>("linnet.target");
    const TargetDescription *target = name ? findTarget(name) : nullptr;
    if (target) alignment = target->alignment;
  }

  std::string run() {
    bool first = true;
    for (Operation &op : block) {
      if (first && op.hasAttr(kJoined)) return nameOf(&op) + " is joined to no op before it";
      first &= !isCommand(&op);
      if (std::string why = checkPlaces(op); !why.empty()) return why;
      if (std::string why = checkReads(op); !why.empty()) return why;
    }
    if (std::string why = checkReturns(); !why.empty()) return why;
    return checkDisjoint();
  }

private:
  static bool hasMemoryOfItsOwn(Placement::Kind kind) {
    return kind == Placement::slot || kind == Placement::output;
  }

  //===- each result has one legal memory range --------------------------------------------------------===//

  std::string checkPlaces(Operation &op) {
    if (op.hasTrait<OpTrait::IsTerminator>()) return "";
    int places = 0;
    for (llvm::StringRef name :
         {"linnet.slot", "linnet.output", "linnet.places", "linnet.in_place", "linnet.view"})
      places += op.hasAttr(name);
    if (llvm::isa<ParamOp, ConstantOp>(op)) return places ? nameOf(&op) + " has a place" : "";
    if (places != 1) return fmt::format("{} has {} places, expected one", nameOf(&op), places);
    if (op.hasAttr("linnet.view"))
      return llvm::isa<ReshapeOp, SliceOp>(op) && viewStorage(&op) ? "" : nameOf(&op) + " cannot be a view";
    if (op.hasAttr("linnet.in_place")) return checkInPlace(op);
    for (Value result : op.getResults())
      if (std::string why = checkPlace(result); !why.empty()) return nameOf(&op) + " " + why;
    return "";
  }

  std::string checkInPlace(Operation &op) {
    if (!llvm::isa<InPlaceOpInterface>(op)) return nameOf(&op) + " cannot work in place";
    Storage storage = storageOf(op.getOperand(0));
    auto argument = llvm::dyn_cast<BlockArgument>(storage.base);
    bool state = argument && !argState(function, argument.getArgNumber()).empty();
    if (!storage.dense() || storage.offset || !(state || hasMemoryOfItsOwn(placementOf(storage.base).kind)))
      return nameOf(&op) + " works in place on what is neither a state nor an activation";
    return "";
  }

  std::string checkPlace(Value result) {
    Placement place = placementOf(result);
    if (place.kind == Placement::output)
      return place.index >= 0 && place.index < static_cast<int>(function.getNumResults())
                 ? ""
                 : fmt::format("is output {} of {}", place.index, function.getNumResults());
    if (place.kind != Placement::slot) return "has no place";
    auto type = llvm::dyn_cast<RankedTensorType>(result.getType());
    auto bytes = type ? maxBytes(type, function) : std::nullopt;
    if (!bytes) return "has no known largest size";
    if (place.size < *bytes) return fmt::format("needs {} bytes, its slot has {}", *bytes, place.size);
    if (place.offset < 0 || place.offset % alignment || place.offset > arenaBytes(function) - place.size)
      return fmt::format("has slot [{}, {}) in an arena of {} bytes", place.offset, place.offset + place.size,
                         arenaBytes(function));
    return "";
  }

  //===- no op reads an overwritten value --------------------------------------------------------------===//

  /// `value` with views removed: a base, or an in-place update.
  static Value version(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (!op->hasAttr("linnet.view")) break;
      value = op->getOperand(0);
    }
    return value;
  }

  std::string checkReads(Operation &op) {
    for (Value operand : op.getOperands()) {
      Value base = storageOf(operand).base, seen = version(operand);
      auto current = newest.find(base);
      if (current != newest.end() && current->second != seen)
        return fmt::format("{} reads a value that was overwritten{}", nameOf(&op),
                           current->second ? " by " + nameOf(current->second.getDefiningOp()) : "");
    }
    if (op.hasAttr("linnet.in_place")) newest[storageOf(op.getResult(0)).base] = op.getResult(0);
    for (Value result : op.getResults()) destroyState(result);
    return "";
  }

  /// A result that is computed in a state's buffer overwrites the argument.
  void destroyState(Value result) {
    Placement place = placementOf(result);
    if (place.kind != Placement::output) return;
    llvm::StringRef state = resultState(function, place.index);
    for (BlockArgument argument : block.getArguments())
      if (!state.empty() && argState(function, argument.getArgNumber()) == state) newest[argument] = result;
  }

  //===- returned values are in the memory of their outputs --------------------------------------------===//

  std::string checkReturns() {
    for (OpOperand &use : block.getTerminator()->getOpOperands()) {
      int i = use.getOperandNumber();
      Storage storage = storageOf(use.get());
      auto argument = llvm::dyn_cast<BlockArgument>(storage.base);
      if (argument && !resultState(function, i).empty() && storage.dense() && storage.offset == 0 &&
          argState(function, argument.getArgNumber()) == resultState(function, i))
        continue;
      Placement place = placementOf(use.get());
      if (place.kind != Placement::output || place.index != i)
        return fmt::format("result {} of @{} is not computed in its output's memory", i,
                           function.getName().str());
    }
    return "";
  }

  //===- live slots are disjoint -----------------------------------------------------------------------===//

  std::string checkDisjoint() {
    auto all = lifetimes(function);
    for (size_t i = 0; i < all.size(); ++i)
      for (size_t j = i + 1; j < all.size(); ++j)
        if (clash(all[i], all[j]))
          return fmt::format("{} and {} are alive at the same time in overlapping slots",
                             nameOf(all[i].base.getDefiningOp()), nameOf(all[j].base.getDefiningOp()));
    return "";
  }

  static bool clash(const Lifetime &a, const Lifetime &b) {
    Placement p = placementOf(a.base), q = placementOf(b.base);
    if (p.kind != Placement::slot || q.kind != Placement::slot) return false;
    if (a.last < b.first || b.last < a.first) return false;
    if (p.offset + p.size <= q.offset || q.offset + q.size <= p.offset) return false;
    bool overwrites = a.last == b.first && a.first < b.first && p.offset == q.offset && p.size == q.size;
    auto result = llvm::cast<OpResult>(b.base);
    return !(overwrites && canOverwrite(result.getOwner(), result, a.base));
  }

  func::FuncOp function;
  int64_t alignment = 64; ///< of slots, in bytes: the target's, if the module names one
  Block &block;
  llvm::DenseMap<Value, Value> newest; ///< base -> the value that its buffer holds now
};

struct VerifyPlan : impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!isEntry(function)) continue;
      std::string why = verifyPlan(function);
      if (why.empty()) continue;
      function.emitError("plan of @") << function.getName() << ": " << why;
      return signalPassFailure();
    }
  }
};

} // namespace

std::string verifyPlan(func::FuncOp function) {
  if (!function.getBody().hasOneBlock()) return "more than one block, an entry has one";
  return PlanChecker(function).run();
}

} // namespace linnet
