// The fused op: parser, printer, verifier and builder.
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace linnet::ir {

// linnet.fused (%a = %x : tensor<4x8xf32>, ...) -> tensor<4x8xf32> attributes {...} { ... }
ParseResult FusedOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  auto one = [&]() -> ParseResult {
    OpAsmParser::UnresolvedOperand operand;
    Type type;
    OpAsmParser::Argument argument;
    if (parser.parseArgument(argument) || parser.parseEqual() || parser.parseOperand(operand) ||
        parser.parseColonType(type))
      return failure();
    argument.type = getElementTypeOrSelf(type);
    arguments.push_back(argument);
    operands.push_back(operand);
    types.push_back(type);
    return success();
  };
  SmallVector<Type> results;
  Region *body = state.addRegion();
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, one) || parser.parseArrow() ||
      parser.parseTypeList(results) || parser.parseOptionalAttrDictWithKeyword(state.attributes) ||
      parser.resolveOperands(operands, types, parser.getNameLoc(), state.operands) ||
      parser.parseRegion(*body, arguments))
    return failure();
  state.addTypes(results);
  return success();
}

void FusedOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()), printer, [&](auto pair) {
    auto [argument, input] = pair;
    printer << argument << " = " << input << " : " << input.getType();
  });
  printer << ") -> ";
  llvm::interleaveComma(getResultTypes(), printer);
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult FusedOp::verify() {
  if (getResults().empty()) return emitOpError("expects at least one result");
  Block &block = getBody().front();
  if (block.getNumArguments() != getInputs().size())
    return emitOpError("has ") << getInputs().size() << " inputs and " << block.getNumArguments()
                               << " region arguments";
  SmallVector<Dim> shape;
  for (auto [input, argument] : llvm::zip(getInputs(), block.getArguments())) {
    auto type = llvm::cast<RankedTensorType>(input.getType());
    if (argument.getType() != type.getElementType())
      return emitOpError("input ") << argument.getArgNumber() << " has elements of type "
                                   << type.getElementType() << ", its region argument is "
                                   << argument.getType();
    auto wider = broadcast(shape, shapeOf(type));
    if (!wider)
      return emitOpError("input ") << argument.getArgNumber() << " " << describe(type)
                                   << " does not broadcast with " << describe(shape);
    shape = *wider;
  }
  if (getReduce()) {
    if (getNumResults() != 1) return emitOpError("with reduce has one result, found ") << getNumResults();
    if (shape.empty()) return emitOpError("reduces a scalar");
    shape.back() = Dim{1, {}};
  }
  for (auto [i, type] : llvm::enumerate(getResultTypes()))
    if (shapeOf(llvm::cast<RankedTensorType>(type)) != shape && !getInputs().empty())
      return emitOpError("result ") << i << " is " << describe(llvm::cast<RankedTensorType>(type))
                                    << ", the inputs broadcast to " << describe(shape);
  for (Operation &op : block.without_terminator())
    if (!llvm::isa<ElementwiseOpInterface, ConstantOp>(op) ||
        llvm::isa<ShapedType>(op.getResult(0).getType()))
      return op.emitOpError(
          "is not legal in linnet.fused: expected elementwise ops and constants on scalars");
  auto yield = llvm::dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getNumOperands() != getNumResults())
    return emitOpError("its region is expected to yield ") << getNumResults() << " values";
  for (auto [value, type] : llvm::zip(yield.getOperands(), getResultTypes()))
    if (value.getType() != getElementTypeOrSelf(type))
      return yield.emitOpError("yields ") << value.getType() << " for a result of type " << type;
  return success();
}

void FusedOp::build(OpBuilder &builder, OperationState &state, TypeRange results, ValueRange inputs,
                    llvm::function_ref<llvm::SmallVector<Value>(OpBuilder &, Location, ValueRange)> body) {
  state.addOperands(inputs);
  state.addTypes(results);
  Region *region = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(region);
  for (Value input : inputs) block->addArgument(getElementTypeOrSelf(input.getType()), input.getLoc());
  SmallVector<Value> results_of_body = body(builder, state.location, block->getArguments());
  builder.create<YieldOp>(state.location, results_of_body);
}

int64_t FusedOp::arithmeticOps() {
  return llvm::count_if(getBody().front().without_terminator(),
                        [](Operation &op) { return !llvm::isa<ConstantOp>(op); });
}

} // namespace linnet::ir
