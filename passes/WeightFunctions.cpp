#include "passes/WeightFunctions.h"

#include "ir/Shapes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace linnet {
using namespace ir;
namespace {

bool isWeight(Value value) { return llvm::isa_and_nonnull<ParamOp, ConstantOp>(value.getDefiningOp()); }

/// The text of a function's body without locations: equal texts compute the same.
std::string bodyOf(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream out(text);
  OpPrintingFlags flags;
  flags.useLocalScope();
  for (Operation &op : function.getBody().front()) {
    op.print(out, flags);
    out << '\n';
  }
  return text;
}

/// A private function that returns the result of `op`, inserted before the module's first entry.
func::FuncOp makeFunction(RewriterBase &rewriter, ModuleOp module, Operation *op, StringRef name) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(module.getBody());
  auto type = rewriter.getFunctionType({}, op->getResultTypes());
  auto function = rewriter.create<func::FuncOp>(op->getLoc(), name, type);
  function.setPrivate();
  function->setAttr("linnet.weight", rewriter.getUnitAttr());
  Block *body = rewriter.createBlock(&function.getBody());
  rewriter.setInsertionPointToEnd(body);
  IRMapping map;
  for (Value operand : op->getOperands())
    if (!map.contains(operand)) map.map(operand, rewriter.clone(*operand.getDefiningOp())->getResult(0));
  rewriter.create<func::ReturnOp>(op->getLoc(), rewriter.clone(*op, map)->getResults());
  return function;
}

std::string nameFor(ModuleOp module, Operation *op) {
  std::string base;
  for (Value operand : op->getOperands())
    if (auto param = operand.getDefiningOp<ParamOp>(); param && base.empty()) base = param.getName().str();
  base += (base.empty() ? "" : ".") + op->getName().stripDialect().str();
  std::string name = base;
  for (int i = 2; module.lookupSymbol(name); ++i) name = base + "." + std::to_string(i);
  return name;
}

} // namespace

bool isComputedFromWeights(Operation *op) {
  if (llvm::isa<RotaryTableOp>(op)) return true;
  if (llvm::isa<ParamOp, ConstantOp>(op) || op->getNumOperands() == 0 || op->getNumResults() != 1)
    return false;
  auto type = llvm::dyn_cast<RankedTensorType>(op->getResult(0).getType());
  bool param =
      llvm::any_of(op->getOperands(), [](Value value) { return bool(value.getDefiningOp<ParamOp>()); });
  return type && type.hasStaticShape() && !panelOf(type) && param &&
         llvm::all_of(op->getOperands(), isWeight);
}

WeightFunctions::WeightFunctions(ModuleOp module) : module(module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("linnet.weight") && !function.isExternal())
      by_body.emplace(bodyOf(function), function.getNameAttr());
}

ParamOp WeightFunctions::replace(RewriterBase &rewriter, Operation *op) {
  func::FuncOp function = makeFunction(rewriter, module, op, nameFor(module, op));
  auto [found, fresh] = by_body.emplace(bodyOf(function), function.getNameAttr());
  if (!fresh) rewriter.eraseOp(function);
  rewriter.setInsertionPoint(op);
  auto param = rewriter.create<ParamOp>(op->getLoc(), op->getResult(0).getType(), found->second.getValue());
  rewriter.replaceOp(op, param);
  return param;
}

} // namespace linnet
