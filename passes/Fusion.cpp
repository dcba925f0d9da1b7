#include "passes/Fusion.h"

#include "ir/Shapes.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace linnet {
using namespace ir;

bool isTensorElementwise(Operation *op) {
  return llvm::isa<ElementwiseOpInterface>(op) && op->getNumResults() == 1 &&
         llvm::isa<RankedTensorType>(op->getResult(0).getType());
}

SmallVector<Dim> elementShape(Operation *op) {
  auto fused = llvm::dyn_cast<FusedOp>(op);
  if (!fused || !fused.getReduce()) return shapeOf(llvm::cast<RankedTensorType>(op->getResult(0).getType()));
  SmallVector<Dim> shape;
  for (Value input : fused.getInputs())
    shape = *broadcast(shape, shapeOf(llvm::cast<RankedTensorType>(input.getType())));
  return shape;
}

FusedOp asFused(RewriterBase &rewriter, Operation *op) {
  return rewriter.create<FusedOp>(
      op->getLoc(), op->getResultTypes(), op->getOperands(),
      [&](OpBuilder &builder, Location, ValueRange scalars) -> SmallVector<Value> {
        OperationState state(op->getLoc(), op->getName());
        state.addOperands(scalars);
        state.addTypes(getElementTypeOrSelf(op->getResult(0).getType()));
        state.propertiesAttr = op->getPropertiesAsAttribute();
        Operation *scalar = builder.create(state);
        return {scalar->getResult(0)};
      });
}

namespace {

/// Collects the inputs of a region under construction, without duplicates.
struct Inputs {
  SmallVector<Value> values;
  unsigned add(Value value) {
    auto found = llvm::find(values, value);
    if (found == values.end()) {
      values.push_back(value);
      return values.size() - 1;
    }
    return found - values.begin();
  }
};

/// Copies the ops of `from` and returns the values that it yields. `map` has the values of its arguments.
SmallVector<Value> inlineBody(OpBuilder &builder, FusedOp from, IRMapping &map) {
  Block &block = from.getBody().front();
  for (Operation &op : block.without_terminator()) builder.clone(op, map);
  SmallVector<Value> yielded;
  for (Value value : block.getTerminator()->getOperands()) yielded.push_back(map.lookup(value));
  return yielded;
}

} // namespace

FusedOp mergeProducer(RewriterBase &rewriter, FusedOp consumer, FusedOp producer) {
  Inputs inputs;
  SmallVector<int> consumer_input, producer_input;
  for (Value input : producer.getInputs()) producer_input.push_back(inputs.add(input));
  for (Value input : consumer.getInputs())
    consumer_input.push_back(input == producer.getResult(0) ? -1 : static_cast<int>(inputs.add(input)));
  Location loc = rewriter.getFusedLoc({producer.getLoc(), consumer.getLoc()});
  FusedOp merged = rewriter.create<FusedOp>(
      loc, consumer.getResultTypes(), inputs.values,
      [&](OpBuilder &builder, Location, ValueRange scalars) -> SmallVector<Value> {
        IRMapping first, second;
        for (auto [i, argument] : llvm::enumerate(producer.getBody().getArguments()))
          first.map(argument, scalars[producer_input[i]]);
        Value produced = inlineBody(builder, producer, first)[0];
        for (auto [i, argument] : llvm::enumerate(consumer.getBody().getArguments()))
          second.map(argument, consumer_input[i] < 0 ? produced : scalars[consumer_input[i]]);
        return inlineBody(builder, consumer, second);
      });
  merged.setReduceAttr(consumer.getReduceAttr());
  return merged;
}

FusedOp absorbSplats(RewriterBase &rewriter, FusedOp fused) {
  auto splatOf = [](Value value) -> DenseElementsAttr {
    auto constant = value.getDefiningOp<ConstantOp>();
    auto dense = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
    return dense && dense.isSplat() ? dense : DenseElementsAttr();
  };
  Inputs inputs;
  SmallVector<Dim> shape;
  bool any = false;
  for (Value input : fused.getInputs()) {
    if (splatOf(input)) {
      any = true;
      continue;
    }
    inputs.add(input);
    shape = *broadcast(shape, shapeOf(llvm::cast<RankedTensorType>(input.getType())));
  }
  if (!any || inputs.values.empty() || shape != elementShape(fused)) return {};
  FusedOp smaller = rewriter.create<FusedOp>(
      fused.getLoc(), fused.getResultTypes(), inputs.values,
      [&](OpBuilder &builder, Location loc, ValueRange scalars) -> SmallVector<Value> {
        IRMapping map;
        for (auto [argument, input] : llvm::zip(fused.getBody().getArguments(), fused.getInputs())) {
          if (DenseElementsAttr dense = splatOf(input)) {
            auto value = llvm::cast<TypedAttr>(dense.getSplatValue<Attribute>());
            map.map(argument, builder.create<ConstantOp>(input.getLoc(), value.getType(), value));
          } else {
            map.map(argument, scalars[inputs.add(input)]);
          }
        }
        return inlineBody(builder, fused, map);
      });
  smaller.setReduceAttr(fused.getReduceAttr());
  return smaller;
}

FusedOp makeCopy(OpBuilder &builder, Value value) {
  auto type = plainType(llvm::cast<RankedTensorType>(value.getType()));
  return builder.create<FusedOp>(
      value.getLoc(), TypeRange{type}, ValueRange{value},
      [](OpBuilder &, Location, ValueRange scalars) -> SmallVector<Value> { return {scalars[0]}; });
}

} // namespace linnet
