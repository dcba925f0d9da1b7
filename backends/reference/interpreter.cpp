#include "backends/reference/interpreter.h"
#include "backends/reference/kernels.h"
#include "backends/reference/weights.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace linnet::reference {
namespace {

using Results = Result<std::vector<Tensor>>;

Results one(Result<Tensor> result) {
  if (!result) return result.error();
  return std::vector<Tensor>{std::move(*result)};
}

std::string where(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << op->getName() << " at " << op->getLoc();
  return text;
}

std::vector<int64_t> ints(ArrayRef<int64_t> values) { return {values.begin(), values.end()}; }

Result<Tensor> constant(ir::ConstantOp op) {
  auto type = llvm::dyn_cast<RankedTensorType>(op.getType());
  auto dense = llvm::dyn_cast<DenseElementsAttr>(op.getValue());
  if (!type || !dense) return Error{"expected a dense tensor constant"};
  Tensor tensor = Tensor::zeros(kindOf(type.getElementType()), ints(type.getShape()));
  if (tensor.isFloat()) {
    std::transform(dense.value_begin<APFloat>(), dense.value_end<APFloat>(), tensor.data(),
                   [](const APFloat &x) {
                     APFloat value = x;
                     bool lost;
                     value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
                     return value.convertToFloat();
                   });
  } else {
    std::transform(dense.value_begin<APInt>(), dense.value_end<APInt>(), tensor.ints(),
                   [](const APInt &x) { return static_cast<int32_t>(x.getSExtValue()); });
  }
  return tensor;
}

Result<Tensor> param(ir::ParamOp op, const WeightProvider &weights) {
  auto type = llvm::cast<RankedTensorType>(op.getType());
  LINNET_ASSIGN(Tensor tensor, weights(op.getName()));
  if (ArrayRef<int64_t>(tensor.shape) != type.getShape())
    return errorf("weight \"{}\" is {}, the module says {}", op.getName().str(), describe(tensor),
                  ir::describe(type));
  Kind kind = kindOf(type.getElementType());
  if (tensor.kind == kind || !tensor.isFloat()) return tensor;
  Tensor out = Tensor::zeros(kind, tensor.shape);
  if (!out.isFloat()) { // a program for target "reference" stores every weight as floats
    std::transform(tensor.floats->begin(), tensor.floats->end(), out.ints(),
                   [](float x) { return static_cast<int32_t>(x); });
    return out;
  }
  std::transform(tensor.floats->begin(), tensor.floats->end(), out.data(),
                 [&](float x) { return rounded(kind, x); });
  return out;
}

/// Returns `from` with the shape of `result`. Its dynamic dimensions get the sizes of the operand's, in order.
Tensor reshaped(const Tensor &from, RankedTensorType operand, RankedTensorType result) {
  Tensor out = from;
  out.shape.clear();
  std::vector<int64_t> dynamic;
  for (int64_t i = 0; i < operand.getRank(); ++i)
    if (operand.isDynamicDim(i)) dynamic.push_back(from.shape[i]);
  size_t next = 0;
  for (int64_t size : result.getShape())
    out.shape.push_back(ShapedType::isDynamic(size) ? dynamic[next++] : size);
  return out;
}

/// Returns the optional operands of an op one after another, null for those that it lacks.
class Optionals {
public:
  explicit Optionals(std::span<const Tensor> operands) : operands(operands) {}
  const Tensor *take(Value there) { return there ? &operands[next++] : nullptr; }

private:
  std::span<const Tensor> operands;
  size_t next = 0;
};

template <class Op> Scores scoresOf(Op op) {
  return {op.getScale().convertToFloat(), op.getCap().convertToFloat()};
}
template <class Op> int64_t windowOf(Op op) { return static_cast<int64_t>(op.getWindow()); }
/// The form of a linnet.quantize or linnet.quantize_scale.
template <class Op> ScaleForm formOf(Op op) {
  return {static_cast<int64_t>(op.getGroup()), static_cast<int64_t>(op.getDim()), op.getAsymmetric()};
}

} // namespace

Kind kindOf(Type element) {
  if (element.isF16()) return Kind::f16;
  if (element.isBF16()) return Kind::bf16;
  if (element.isInteger(32)) return Kind::i32;
  if (element.isInteger(8)) return Kind::i8;
  if (element.isInteger(4)) return Kind::i4;
  return Kind::f32;
}

/// Evaluates an op of training. Returns nothing if `op` is another op.
static std::optional<Results> evaluateTraining(Operation *op, std::span<const Tensor> x) {
  using Maybe = std::optional<Results>;
  return llvm::TypeSwitch<Operation *, Maybe>(op)
      .Case([&](ir::CrossEntropyOp) -> Maybe { return one(crossEntropy(x[0], x[1])); })
      .Case([&](ir::CrossEntropyGradOp) -> Maybe { return one(crossEntropyGrad(x[0], x[1], x[2])); })
      .Case([&](ir::DropoutOp o) -> Maybe {
        return one(dropout(x[0], x[1], o.getRate().convertToFloat(), static_cast<uint32_t>(o.getStream())));
      })
      .Case([&](ir::ContractOp) -> Maybe { return one(contract(x[0], x[1], x[2])); })
      .Case([&](ir::SumRowsOp) -> Maybe { return one(sumRows(x[0], x[1])); })
      .Case([&](ir::ScatterAddOp) -> Maybe { return one(scatterAdd(x[0], x[1], x[2])); })
      .Case([&](ir::LayerNormGradOp o) -> Maybe {
        return one(layerNormGrad(x[0], x[1], x[2], o.getEpsilon().convertToFloat()));
      })
      .Case([&](ir::AttentionGradOp o) -> Maybe {
        const Tensor *length = o.getLength() ? &x[4] : nullptr;
        return attentionGrad({x[0], x[1], x[2], x[3]}, scoresOf(o),
                             {nullptr, length, o.getCausal(), windowOf(o)});
      })
      .Case([&](ir::PoolGradOp o) -> Maybe { return one(poolGrad(o.getMode(), x[0], x[1], x[2])); })
      .Case([&](ir::AdamWOp o) -> Maybe { return Results(adamw(o, x)); })
      .Default([](Operation *) -> Maybe { return std::nullopt; });
}

static Results evaluateOp(Operation *op, std::span<const Tensor> x, const WeightProvider &weights) {
  auto tensorType = [&](Value value) { return llvm::cast<RankedTensorType>(value.getType()); };
  if (llvm::isa<ir::ElementwiseOpInterface, ir::FusedOp>(op)) return elementwise(op, x);
  if (auto trained = evaluateTraining(op, x)) return std::move(*trained);
  return llvm::TypeSwitch<Operation *, Results>(op)
      .Case([&](ir::ParamOp o) { return one(param(o, weights)); })
      .Case([&](ir::ConstantOp o) { return one(constant(o)); })
      .Case([&](ir::EmbedOp o) {
        const ScaleForm form{static_cast<int64_t>(o.getGroup()), 1, o.getAsymmetric()};
        return one(embed(x[0], x[1], o.getScale() ? &x[2] : nullptr, form));
      })
      .Case([&](ir::PositionsOp o) {
        return one(positions(o.getPast() ? &x[0] : nullptr, x.back(), static_cast<int64_t>(o.getLimit())));
      })
      .Case([&](ir::MatmulOp o) {
        Optionals optional(x.subspan(2));
        const Tensor *bias = optional.take(o.getBias()), *residual = optional.take(o.getResidual());
        return one(matmul(o, {x[0], x[1], bias, residual, optional.take(o.getScale())}));
      })
      .Case([&](ir::AttentionOp o) {
        Optionals optional(x.subspan(3));
        const Tensor *past = optional.take(o.getPast()), *length = optional.take(o.getLength());
        return one(attention(x[0], x[1], x[2], scoresOf(o), {past, length, o.getCausal(), windowOf(o)},
                             static_cast<int64_t>(o.getBf16Rows())));
      })
      .Case([&](ir::MaskOp o) {
        Optionals optional(x.subspan(1));
        const Tensor *past = optional.take(o.getPast()), *length = optional.take(o.getLength());
        return one(mask(x[0], {past, length, o.getCausal(), windowOf(o)}));
      })
      .Case([&](ir::QuantizeScaleOp o) {
        return one(quantizeScale(x[0], static_cast<int64_t>(o.getBits()), formOf(o)));
      })
      .Case([&](ir::QuantizeOp o) {
        return one(quantize(x[0], x[1], static_cast<int64_t>(o.getBits()), formOf(o)));
      })
      .Case([&](ir::CacheAppendOp) { return one(cacheAppend(x[0], x[1], x[2])); })
      .Case([&](ir::RotaryTableOp o) {
        return one(rotaryTable(o.getFrequencies(), tensorType(o.getResult()).getDimSize(0),
                               o.getScale().convertToFloat()));
      })
      .Case([&](ir::RotaryOp o) { return one(rotary(x[0], x[1], x[2], o.getInterleaved(), o.getInverse())); })
      .Case([&](ir::LayerNormOp o) {
        return one(layerNorm(x[0], x[1], x[2], o.getEpsilon().convertToFloat()));
      })
      .Case([&](ir::RmsNormOp o) { return one(rmsNorm(x[0], x[1], o.getEpsilon().convertToFloat())); })
      .Case([&](ir::SoftmaxOp) { return one(softmax(x[0])); })
      .Case([&](ir::ReduceOp o) { return one(reduce(o.getKind(), x[0], o.getDim())); })
      .Case([&](ir::ArgmaxOp) { return one(argmax(x[0])); })
      .Case([&](ir::SampleOp) { return one(sample(x)); })
      .Case([&](ir::PoolOp o) { return one(pool(o.getMode(), x[0], x[1])); })
      .Case([&](ir::ReshapeOp o) {
        return one(reshaped(x[0], tensorType(o.getOperand()), tensorType(o.getResult())));
      })
      .Case([&](ir::SliceOp o) { return one(slice(x[0], o.getDim(), o.getOffset(), o.getSize())); })
      .Case([&](ir::TransposeOp o) {
        return one(transpose(x[0], std::span(o.getPermutation().data(), o.getPermutation().size())));
      })
      .Case([&](ir::ConcatOp o) { return one(concat(x, o.getDim())); })
      .Case([&](ir::RelayoutOp) { return one(x[0]); })
      .Default([](Operation *) -> Results { return Error{"the interpreter does not know this op"}; });
}

Results evaluate(Operation *op, std::span<const Tensor> operands, const WeightProvider &weights,
                 const RunOptions &options) {
  Results results = evaluateOp(op, operands, weights);
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
