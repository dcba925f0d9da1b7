#include "backends/reference/weights.h"

#include "backends/reference/interpreter.h"
#include "support/error.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace linnet::reference {
namespace {

/// The largest number of weight functions that call each other. A weight that needs itself would recurse forever; no
/// pass writes longer chains.
constexpr int kDeepest = 64;

using Computed = std::map<std::string, Tensor, std::less<>>;

Result<Tensor> compute(func::FuncOp function, const WeightProvider &stored, Computed &computed, int depth) {
  if (depth > kDeepest)
    return errorf("weight \"{}\": needs itself, or more than {} others one after the other",
                  function.getName().str(), kDeepest);
  WeightProvider inner = [&](std::string_view name) -> Result<Tensor> {
    func::FuncOp other = weightFunction(function->getParentOfType<ModuleOp>(), name);
    if (!other) return stored(name);
    if (auto found = computed.find(name); found != computed.end()) return found->second;
    LINNET_ASSIGN(Tensor tensor, compute(other, stored, computed, depth + 1));
    return computed.emplace(std::string(name), std::move(tensor)).first->second;
  };
  llvm::DenseMap<Value, Tensor> values;
  for (Operation &op : function.getBody().front()) {
    std::vector<Tensor> operands;
    for (Value operand : op.getOperands()) operands.push_back(values.lookup(operand));
    if (llvm::isa<func::ReturnOp>(op)) return operands.front();
    auto results = evaluate(&op, operands, inner);
    if (!results) return errorf("weight \"{}\": {}", function.getName().str(), results.error().message);
    for (auto [value, tensor] : llvm::zip(op.getResults(), *results)) values[value] = std::move(tensor);
  }
  return errorf("weight \"{}\": its function returns nothing", function.getName().str());
}

} // namespace

func::FuncOp weightFunction(ModuleOp module, std::string_view name) {
  auto function = module.lookupSymbol<func::FuncOp>(StringRef(name.data(), name.size()));
  return function && function->hasAttr("linnet.weight") && !function.isExternal() ? function : func::FuncOp();
}

Result<Tensor> computeWeight(func::FuncOp function, const WeightProvider &stored) {
  Computed computed;
  return compute(function, stored, computed, 0);
}

WeightProvider withComputedWeights(ModuleOp module, WeightProvider stored) {
  auto computed = std::make_shared<Computed>();
  return [module, stored = std::move(stored), computed](std::string_view name) -> Result<Tensor> {
    func::FuncOp function = weightFunction(module, name);
    if (!function) return stored(name);
    if (auto found = computed->find(name); found != computed->end()) return found->second;
    LINNET_ASSIGN(Tensor tensor, computeWeight(function, stored));
    return computed->emplace(std::string(name), std::move(tensor)).first->second;
  };
}

} // namespace linnet::reference
