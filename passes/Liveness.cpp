#include "passes/Liveness.h"

#include "ir/Shapes.h"
#include "passes/Plan.h"

using namespace mlir;

namespace linnet {
using namespace ir;

llvm::DenseMap<Operation *, int> positions(func::FuncOp function) {
  llvm::DenseMap<Operation *, int> position;
  for (Operation &op : function.getBody().front()) position[&op] = position.size();
  return position;
}

/// For each op of the block, the position of the last op of its group. Without joined ops, its own position.
static SmallVector<int> groupEnds(func::FuncOp function) {
  Block &block = function.getBody().front();
  SmallVector<int> ends(block.getOperations().size());
  int at = static_cast<int>(ends.size()), next_end = -1; // group end of the next command, if that is joined
  for (Operation &op : llvm::reverse(block)) {
    --at;
    ends[at] = at;
    if (!isCommand(&op)) continue;
    if (next_end >= 0) ends[at] = next_end;
    next_end = op.hasAttr(kJoined) ? ends[at] : -1;
  }
  return ends;
}

SmallVector<Lifetime> lifetimes(func::FuncOp function) {
  SmallVector<Lifetime> all;
  llvm::DenseMap<Value, size_t> index;
  const SmallVector<int> ends = groupEnds(function);
  int at = 0;
  for (Operation &op : function.getBody().front()) {
    for (Value operand : op.getOperands())
      if (auto found = index.find(storageOf(operand).base); found != index.end())
        all[found->second].last = std::max(all[found->second].last, ends[at]);
    bool owns =
        !llvm::isa<ParamOp, ConstantOp>(op) && !op.hasAttr("linnet.view") && !op.hasAttr("linnet.in_place");
    for (Value result : op.getResults()) {
      if (!owns) continue;
      index[result] = all.size();
      all.push_back({result, at, at});
    }
    ++at;
  }
  return all;
}

bool canOverwrite(Operation *op, OpResult result, Value base) {
  // cross_entropy_grad reads a row before it writes it, element after element.
  if (!llvm::isa<FusedOp, ElementwiseOpInterface, AdamWOp, CrossEntropyGradOp>(op)) return false;
  auto to = llvm::cast<RankedTensorType>(result.getType());
  for (Value operand : op->getOperands()) {
    Storage storage = storageOf(operand);
    if (storage.base != base) continue;
    auto from = llvm::cast<RankedTensorType>(operand.getType());
    auto whole = llvm::cast<RankedTensorType>(base.getType());
    // The operand may be a reshape, which keeps the order of elements, but not a slice or a broadcast.
    bool same_elements = shapeOf(from) == shapeOf(to) && storage.dense() && storage.offset == 0 &&
                         storage.row == storageOf(base).row && dimsOf(whole) == dimsOf(from);
    if (!same_elements || elementBytes(from.getElementType()) != elementBytes(to.getElementType()))
      return false;
  }
  return true;
}

} // namespace linnet
