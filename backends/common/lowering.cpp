#include "backends/common/lowering.h"

#include "llvm/Support/MathExtras.h"

#include <set>

using namespace mlir;

namespace linnet::backend {
using namespace ir;

//===- shapes ------------------------------------------------------------------------------------------===//

std::unique_ptr<fb::ExprT> ModuleLowering::expression(const std::vector<Extent> &terms) {
  auto expression = std::make_unique<fb::ExprT>();
  for (const Extent &extent : terms) {
    auto term = std::make_unique<fb::TermT>();
    term->coefficient = extent.factor;
    term->symbols = extent.symbols;
    expression->terms.push_back(std::move(term));
  }
  return expression;
}

std::vector<std::unique_ptr<fb::ExprT>> ModuleLowering::shapeExpressions(mlir::Type type) {
  std::vector<std::unique_ptr<fb::ExprT>> shape;
  for (const Dim &dim : shapeOf(llvm::cast<RankedTensorType>(type)))
    shape.push_back(expression({dim.name ? Extent::symbol(symbols.at(dim.name.str())) : Extent(dim.size)}));
  return shape;
}

/// Numbers for the names of all dynamic dimensions, in the order of their first appearance.
Result<void> ModuleLowering::gatherSymbols() {
  auto add = [&](mlir::Type type) {
    auto tensor = llvm::dyn_cast<RankedTensorType>(type);
    if (!tensor) return;
    for (StringAttr name : dimsOf(tensor))
      if (symbols.try_emplace(name.str(), uint8_t(symbols.size())).second)
        program.symbols.push_back(name.str());
  };
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!isEntry(function)) continue;
    for (mlir::Type type : function.getArgumentTypes()) add(type);
    function.walk([&](Operation *op) {
      for (mlir::Type type : op->getResultTypes()) add(type);
    });
  }
  if (symbols.size() > 64)
    return errorf("target {}: at most 64 names of dynamic dimensions, found {}", target, symbols.size());
  return {};
}

//===- operands ----------------------------------------------------------------------------------------===//

Result<fb::RefT> ModuleLowering::place(Operation *op, mlir::Value base) {
  const Placement placement = placementOf(base);
  fb::RefT ref;
  auto from = [&](const std::pair<fb::Space, uint32_t> &where) {
    ref.space = where.first, ref.index = where.second;
  };
  ref.size = uint64_t(maxBytes(tensorOf(base), entry).value_or(0));
  switch (placement.kind) {
  case Placement::argument:
    from(argument_places.at(placement.index));
    break;
  case Placement::output:
    from(result_places.at(placement.index));
    break;
  case Placement::slot:
    ref.space = fb::Space::arena;
    ref.offset = uint64_t(placement.offset), ref.size = uint64_t(placement.size);
    break;
  case Placement::param:
  case Placement::constant: {
    LINNET_ASSIGN(const uint32_t number, weight(op, base));
    ref.space = fb::Space::weight, ref.index = number;
    ref.size = program.weights[number]->blob->size;
    break;
  }
  default:
    return errorAt(op, "the module is not planned: an operand or result has no place");
  }
  return ref;
}

Result<Operand> ModuleLowering::rows(Operation *op, mlir::Value value) {
  const Storage storage = storageOf(value);
  if (panelOf(tensorOf(value)))
    return errorAt(op, "target {} cannot read this operand packed in panels", target);
  LINNET_ASSIGN(fb::RefT ref, place(op, storage.base));
  const uint64_t offset = uint64_t(storage.offset * elementBytes(tensorOf(value).getElementType()));
  ref.offset += offset;
  ref.size -= std::min(ref.size, offset);
  return Operand{ref, storage.dense(), storage.row, storage.stride};
}

Result<fb::RefT> ModuleLowering::dense(Operation *op, mlir::Value value) {
  LINNET_ASSIGN(const Operand operand, rows(op, value));
  if (!operand.dense)
    return errorAt(
        op, "target {} reads this operand from consecutive memory only, the plan makes it a view with gaps",
        target);
  return operand.ref;
}

Result<fb::RefT> ModuleLowering::memoryOf(Operation *op, const KernelOperand &operand) {
  if (operand.access == KernelOperand::read_panels) return packed(op, operand.value);
  if (operand.access != KernelOperand::read_rows) return dense(op, operand.value);
  LINNET_ASSIGN(const Operand found, rows(op, operand.value));
  return found.ref;
}

//===- commands ----------------------------------------------------------------------------------------===//

std::unique_ptr<fb::CommandT> ModuleLowering::command(Operation *op) { return command(std::vector{op}); }

std::unique_ptr<fb::CommandT> ModuleLowering::command(const std::vector<Operation *> &group) {
  auto command = std::make_unique<fb::CommandT>();
  auto product = llvm::find_if(group, [](Operation *op) { return llvm::isa<MatmulOp>(op); });
  Operation *chief = product == group.end() ? group.back() : *product;
  command->op = chief->getName().stripDialect().str();
  command->location = locationOf(chief);
  ops_of[command.get()] = group;
  Cost cost;
  std::set<uint16_t> outputs;
  bool always = false; // whether a state needs one of the ops
  for (Operation *op : group) {
    addCost(op, cost);
    const std::vector<uint16_t> served = servedBy(op);
    outputs.insert(served.begin(), served.end());
    always |= served.empty();
  }
  if (!always) command->only_for.assign(outputs.begin(), outputs.end());
  command->flops = expression(cost.flops);
  command->bytes = expression(cost.bytes);
  return command;
}

/// Adds the operations and memory traffic of the op's formula: every operand is read and every result written once.
void ModuleLowering::addCost(Operation *op, Cost &cost) {
  std::vector<Extent> bytes, &flops = cost.flops;
  auto traffic = [&](mlir::Value value) {
    if (auto type = llvm::dyn_cast<RankedTensorType>(value.getType()))
      bytes.push_back(type.getElementType().isInteger(4)
                          ? Extent((type.getNumElements() + 1) / 2) // only weights are i4
                          : extentOf(value) * Extent(elementBytes(type.getElementType())));
  };
  const mlir::Value result = op->getResult(0);
  for (mlir::Value value : op->getResults()) traffic(value);
  if (llvm::isa<EmbedOp, RotaryOp, SliceOp>(op))
    traffic(result); // reads as many bytes as it writes
  else if (auto append = llvm::dyn_cast<CacheAppendOp>(op))
    bytes.clear(), traffic(append.getEntries()), traffic(append.getEntries());
  else
    for (mlir::Value value : op->getOperands()) traffic(value);
  if (auto counted = llvm::dyn_cast<FlopsOpInterface>(op))
    if (const Flops count = counted.flops(); count.each) {
      Extent product = extentOf(count.elements) * Extent(count.each);
      flops.push_back(count.sized ? product * dimOf(count.sized, count.dim) : product);
    }
  cost.bytes.insert(cost.bytes.end(), bytes.begin(), bytes.end());
}

Result<fb::ProgramT> ModuleLowering::run() {
  program.target = target;
  LINNET_TRY(gatherSymbols());
  for (auto function : module.getOps<func::FuncOp>())
    if (isEntry(function)) LINNET_TRY(lowerEntry(function));
  if (program.entries.empty())
    return errorf("target {}: the module has no public function to compile", target);
  for (const auto &state : program.states) program.state_bytes += llvm::alignTo(state->bytes, alignment);
  LINNET_TRY(addCode(program));
  return std::move(program);
}

} // namespace linnet::backend
