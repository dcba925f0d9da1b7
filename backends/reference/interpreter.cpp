#include "backends/reference/interpreter.h"
#include "backends/reference/ops.h"
#include "backends/reference/weights.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace linnet::reference {
namespace {

using Results = Result<std::vector<Tensor>>;

std::string where(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << op->getName() << " at " << op->getLoc();
  return text;
}

std::vector<int64_t> ints(ArrayRef<int64_t> values) { return {values.begin(), values.end()}; }

} // namespace

Results evaluate(Operation *op, std::span<const Tensor> operands, const WeightProvider &weights,
                 const RunOptions &options) {
  Results results = opTable().evaluate(op, {operands, weights});
  if (!results) return errorf("{}: {}", where(op), results.error().message);
  for (const Tensor &tensor : *results)
    if (tensor.size() > options.max_elements)
      return errorf("{}: {} has more than {} elements", where(op), describe(tensor), options.max_elements);
  return results;
}

namespace {

/// Maps the names of a call's dynamic dimensions to their sizes.
class Binding {
public:
  explicit Binding(func::FuncOp function) : function(function) {}

  Result<void> bind(RankedTensorType type, const Tensor &tensor, std::string_view what) {
    Kind kind = kindOf(type.getElementType());
    if (static_cast<int64_t>(tensor.shape.size()) != type.getRank() || tensor.kind != kind)
      return errorf("{}: expected {} elements of shape {}, found {}", what,
                    describe(Tensor::zeros(kind, {})).substr(0, 3), ir::describe(type), describe(tensor));
    for (int64_t i = 0; i < type.getRank(); ++i) {
      int64_t size = tensor.shape[i];
      if (!type.isDynamicDim(i)) {
        if (size != type.getDimSize(i))
          return errorf("{}: expected {}, found {}", what, ir::describe(type), describe(tensor));
        continue;
      }
      StringRef name = ir::dimName(type, i);
      auto [entry, fresh] = sizes.try_emplace(name.str(), size);
      if (entry->second != size)
        return errorf("{}: {} is {} here and {} elsewhere", what, name.str(), size, entry->second);
      auto bound = ir::boundOf(function, name);
      if (bound && size > *bound)
        return errorf("{}: {} is {}, its bound is {}", what, name.str(), size, *bound);
    }
    return {};
  }

  /// Zeros of the type's shape. A dimension without a size gets its bound.
  Result<Tensor> zeros(RankedTensorType type, std::string_view what) {
    std::vector<int64_t> shape = ints(type.getShape());
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) continue;
      StringRef name = ir::dimName(type, i);
      auto found = sizes.find(name.str());
      auto bound = ir::boundOf(function, name);
      if (found == sizes.end() && !bound) return errorf("{}: {} has no size and no bound", what, name.str());
      shape[i] = found != sizes.end() ? found->second : *bound;
      sizes.try_emplace(name.str(), shape[i]);
    }
    return Tensor::zeros(kindOf(type.getElementType()), shape);
  }

private:
  func::FuncOp function;
  std::map<std::string, int64_t> sizes;
};

Result<std::vector<Tensor>> bindArguments(func::FuncOp function, const Named &inputs, const Named &states) {
  Binding binding(function);
  std::vector<Tensor> arguments(function.getNumArguments());
  for (bool state_pass : {false, true}) // inputs come first: missing states take their sizes from them
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto type = llvm::dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
      std::string state = ir::argState(function, i).str(), name = ir::argName(function, i).str();
      if (state.empty() == state_pass) continue;
      std::string what = state_pass ? fmt::format("state \"{}\"", state) : fmt::format("input \"{}\"", name);
      if (!type) return errorf("argument {} is no tensor", i);
      const Named &from = state_pass ? states : inputs;
      auto found = from.find(state_pass ? state : name);
      if (found == from.end() && !state_pass) return errorf("{} is missing", what);
      if (found == from.end()) {
        LINNET_ASSIGN(arguments[i], binding.zeros(type, what));
        continue;
      }
      LINNET_TRY(binding.bind(type, found->second, what));
      arguments[i] = found->second;
    }
  return arguments;
}

} // namespace

Result<Named> run(ModuleOp module, std::string_view name, const Named &inputs, Named &states,
                  const WeightProvider &stored, const RunOptions &options) {
  const WeightProvider weights = withComputedWeights(module, stored);
  auto function = module.lookupSymbol<func::FuncOp>(StringRef(name.data(), name.size()));
  if (!function || function.isExternal()) return errorf("the module has no entry \"{}\"", name);
  LINNET_ASSIGN(std::vector<Tensor> arguments, bindArguments(function, inputs, states));
  llvm::DenseMap<Value, Tensor> values;
  for (auto [argument, tensor] : llvm::zip(function.getArguments(), arguments)) values[argument] = tensor;

  Named outputs, new_states;
  for (Operation &op : function.getBody().front()) {
    std::vector<Tensor> operands;
    for (Value operand : op.getOperands()) operands.push_back(values.lookup(operand));
    if (llvm::isa<func::ReturnOp>(op)) {
      for (unsigned i = 0; i < operands.size(); ++i) {
        StringRef state = ir::resultState(function, i), output = ir::resultName(function, i);
        if (!state.empty())
          new_states[state.str()] = operands[i];
        else
          outputs[output.empty() ? std::to_string(i) : output.str()] = operands[i];
      }
      break;
    }
    LINNET_ASSIGN(std::vector<Tensor> results, options.evaluator ? options.evaluator(&op, operands, weights)
                                                                 : evaluate(&op, operands, weights, options));
    if (options.observer) options.observer(&op, results);
    for (auto [value, tensor] : llvm::zip(op.getResults(), results)) values[value] = std::move(tensor);
  }
  for (auto &[key, tensor] : new_states) states[key] = std::move(tensor);
  return outputs;
}

} // namespace linnet::reference
