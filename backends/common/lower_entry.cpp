// Lowers one function of the module: its ports and states, the outputs that need each op, and its ops in order.
#include "backends/common/lowering.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace linnet::backend {
using namespace ir;

Result<fb::PortT> ModuleLowering::port(func::FuncOp function, mlir::Type type, llvm::StringRef name,
                                       uint64_t &io_bytes) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  const auto bytes = maxBytes(tensor, function);
  if (!bytes)
    return errorf("@{}: {}: the size of {} is unknown: linnet.bounds lacks a dimension",
                  function.getName().str(), name.str(), describe(tensor));
  fb::PortT port;
  port.name = name.str();
  LINNET_ASSIGN(port.dtype, dtypeOf(tensor.getElementType(),
                                    fmt::format("@{}: {}", function.getName().str(), name.str())));
  port.shape = shapeExpressions(type);
  port.offset = io_bytes;
  port.bytes = uint64_t(*bytes);
  io_bytes = llvm::alignTo(io_bytes + port.bytes, alignment);
  return port;
}

/// Returns the index of the state called `name`. The state's buffer has the size that the largest entry needs.
Result<uint32_t> ModuleLowering::state(func::FuncOp function, mlir::Type type, llvm::StringRef name) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  const auto bytes = maxBytes(tensor, function);
  if (!bytes)
    return errorf("@{}: state {}: the size of {} is unknown: linnet.bounds lacks a dimension",
                  function.getName().str(), name.str(), describe(tensor));
  auto [found, fresh] = states.try_emplace(name.str(), uint32_t(program.states.size()));
  if (fresh) {
    auto made = std::make_unique<fb::StateT>();
    made->name = name.str();
    LINNET_ASSIGN(made->dtype, dtypeOf(tensor.getElementType(), "state " + name.str()));
    made->shape = shapeExpressions(type);
    program.states.push_back(std::move(made));
  }
  fb::StateT &state = *program.states[found->second];
  state.bytes = std::max(state.bytes, uint64_t(*bytes));
  return found->second;
}

Result<void> ModuleLowering::addPorts(func::FuncOp function) {
  argument_places.clear(), result_places.clear();
  uint64_t io_bytes = 0;
  auto add = [&](mlir::Type type, llvm::StringRef name, llvm::StringRef state_name,
                 bool input) -> Result<void> {
    if (!llvm::isa<RankedTensorType>(type))
      return errorf("@{}: an argument or result is no tensor", function.getName().str());
    auto &places = input ? argument_places : result_places;
    if (!state_name.empty()) {
      LINNET_ASSIGN(const uint32_t number, state(function, type, state_name));
      places.push_back({fb::Space::state, number});
      return {};
    }
    auto &ports = input ? out->inputs : out->outputs;
    const std::string label =
        name.empty() ? fmt::format("{}{}", input ? "arg" : "result", places.size()) : name.str();
    places.push_back({input ? fb::Space::input : fb::Space::output, uint32_t(ports.size())});
    LINNET_ASSIGN(fb::PortT made, port(function, type, label, io_bytes));
    ports.push_back(std::make_unique<fb::PortT>(std::move(made)));
    return {};
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    LINNET_TRY(add(function.getArgumentTypes()[i], argName(function, i), argState(function, i), true));
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    LINNET_TRY(add(function.getResultTypes()[i], resultName(function, i), resultState(function, i), false));
  out->io_bytes = io_bytes;
  return {};
}

/// Finds the ops that only some outputs need. A call that does not ask for these outputs skips the ops: feeding a
/// prompt, for example, asks for none.
void ModuleLowering::findServed() {
  served.clear();
  llvm::DenseSet<Operation *> always;
  for (auto [value, place] :
       llvm::zip(entry.getBody().front().getTerminator()->getOperands(), result_places)) {
    llvm::SetVector<Operation *> needed;
    if (Operation *op = value.getDefiningOp()) needed.insert(op);
    for (size_t i = 0; i < needed.size(); ++i)
      needed[i]->walk([&](Operation *inner) { // a region may read values from outside
        for (mlir::Value operand : inner->getOperands())
          if (Operation *op = operand.getDefiningOp()) needed.insert(op);
      });
    for (Operation *op : needed) {
      if (place.first == fb::Space::output)
        served[op].push_back(uint16_t(place.second));
      else
        always.insert(op);
    }
  }
  for (Operation *op : always) served.erase(op);
}

Result<void> ModuleLowering::lowerEntry(func::FuncOp function) {
  entry = function;
  program.entries.push_back(std::make_unique<fb::EntryT>());
  out = program.entries.back().get();
  out->name = function.getName().str();
  for (const std::string &symbol : program.symbols)
    out->bounds.push_back(boundOf(function, symbol).value_or(1));
  out->arena_bytes = uint64_t(arenaBytes(function));
  program.arena_bytes = std::max(program.arena_bytes, out->arena_bytes);
  LINNET_TRY(addPorts(function));
  findServed();
  findSlots();
  auto end = [&]() -> Result<void> { // ends an op, or a group: an op and the ops that are joined to it
    if (current.empty()) return {};
    LINNET_TRY(current.size() > 1 ? lowerGroup(current) : lower(current[0]));
    position_before = op_positions.lookup(current[0]);
    current.clear();
    return {};
  };
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!isCommand(&op)) {
      LINNET_TRY(lower(&op));
      continue;
    }
    if (!op.hasAttr(kJoined)) LINNET_TRY(end());
    current.push_back(&op);
  }
  LINNET_TRY(end());
  finishPlan();
  return {};
}

Result<void> ModuleLowering::lowerGroup(const std::vector<Operation *> &group) {
  for (Operation *op : group) LINNET_TRY(lower(op));
  return {};
}

/// Handles the ops that become no command on any backend. The backend lowers all others.
Result<void> ModuleLowering::lower(Operation *op) {
  if (op->hasAttr("linnet.view") || llvm::isa<ParamOp, ConstantOp>(op)) return {};
  if (auto relayout = llvm::dyn_cast<RelayoutOp>(op)) {
    if (llvm::isa_and_nonnull<ParamOp, ConstantOp>(relayout.getOperand().getDefiningOp()))
      return {}; // the weight is packed when it is stored
    return errorAt(op, "target {} changes the layout of weights only", target);
  }
  if (llvm::isa<QuantizeOp, QuantizeScaleOp>(op))
    return errorAt(op, "is for weights, at compile time; linnet-fold-weights computes it there");
  return lowerOp(op);
}

} // namespace linnet::backend
