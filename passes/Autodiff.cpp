//===- linnet-autodiff ---------------------------------------------------------------------------------===//
//
// A function @loss becomes the four entries of training:
//
//   evaluate    @loss without dropout, whose trained params are states "param.NAME"
//   accumulate  @loss, then the backward pass: it starts from ones for "loss", visits the ops in reverse,
//               and each builds its vector-Jacobian product (ir/Gradients.h). The gradients of params are
//               added to the states "grad.NAME".
//   norm        the norm of all gradients; changes nothing
//   update      an AdamW step of each param, which clears its accumulator
//
// A value needs a gradient if it depends on a trained param. No gradient is built for other values, so a
// frozen param costs nothing. Values of the forward pass that the backward pass does not read become dead
// code.
//
// Needs: @loss in one block, its first result called "loss", every op between trained params and it
// differentiable, no states. Legal after it: no @loss; every other op is legal as before. Preserves the
// values of the forward pass.
//
//===---------------------------------------------------------------------------------------------------===//
#include "ir/Activations.h"
#include "ir/Gradients.h"
#include "ir/Matmul.h"
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/Training.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_AUTODIFF
#include "passes/Passes.h.inc"

namespace {
using namespace ir;

RankedTensorType typeOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()); }

/// Type and settings of a trained param.
struct Trained {
  RankedTensorType type;
  float lr_scale = 1, decay = 0;
};
using TrainedParams = llvm::MapVector<StringRef, Trained>;

//===- functions with states ---------------------------------------------------------------------------===//

/// Adds states to a function: each is an argument and a result. set() gives the result's value.
class StatefulFunction {
public:
  explicit StatefulFunction(func::FuncOp function) : function(function) {}

  Value add(const Twine &name, Type type) {
    unsigned index = function.getNumArguments();
    auto label = StringAttr::get(function.getContext(), name);
    DictionaryAttr attributes = DictionaryAttr::get(
        function.getContext(), NamedAttribute(StringAttr::get(function.getContext(), "linnet.state"), label));
    function.insertArgument(index, type, attributes, function.getLoc());
    Value argument = function.getArgument(index);
    states.push_back({label, argument, {}});
    return argument;
  }
  /// Sets the value of state `argument` after the call.
  void set(Value argument, Value value) {
    for (State &state : states)
      if (state.argument == argument) state.value = value;
  }
  /// Appends the new values of the states to the function's results.
  void finish() {
    auto end = llvm::cast<func::ReturnOp>(function.getBody().front().getTerminator());
    SmallVector<Value> results(end.getOperands());
    SmallVector<Type> types(end.getOperandTypes());
    size_t first = results.size();
    for (const State &state : states) {
      results.push_back(state.value ? state.value : state.argument);
      types.push_back(results.back().getType());
    }
    OpBuilder(end).create<func::ReturnOp>(end.getLoc(), results);
    end.erase();
    SmallVector<Attribute> kept;
    for (unsigned i = 0; i < first; ++i) kept.push_back(function.getResultAttr(i, "linnet.name"));
    function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(), types));
    for (unsigned i = 0; i < first; ++i)
      if (kept[i]) function.setResultAttr(i, "linnet.name", kept[i]);
    for (auto [i, state] : llvm::enumerate(states))
      function.setResultAttr(static_cast<unsigned>(first + i), "linnet.state", state.name);
  }

private:
  struct State {
    StringAttr name;
    Value argument, value;
  };
  func::FuncOp function;
  SmallVector<State> states;
};

//===- forward and backward ----------------------------------------------------------------------------===//

/// Replaces the epilogues of matmuls by separate ops, each with its own gradient.
void writeOutEpilogues(func::FuncOp function) {
  SmallVector<MatmulOp> matmuls(function.getOps<MatmulOp>());
  for (MatmulOp op : matmuls) {
    if (!op.getBias() && !op.getResidual() && op.getActivation() == Activation::none) continue;
    ImplicitLocOpBuilder b(op.getLoc(), op);
    auto plain = cloneWith(b, op.getLoc(), op, [](MatmulParts &parts) {
      parts.bias = parts.residual = {};
      parts.activation = Activation::none;
    });
    Value value = plain;
    if (op.getBias()) value = b.create<AddOp>(value, op.getBias());
    value = applyActivation(b, op.getLoc(), op.getActivation(), value);
    if (op.getResidual()) value = b.create<AddOp>(value, op.getResidual());
    op.replaceAllUsesWith(value);
    op.erase();
  }
}

/// Removes dropout and its key, for evaluation.
void leaveOutDropout(func::FuncOp function) {
  llvm::SetVector<Value> keys;
  for (DropoutOp op : llvm::make_early_inc_range(function.getOps<DropoutOp>())) {
    keys.insert(op.getKey());
    op.replaceAllUsesWith(op.getOperand());
    op.erase();
  }
  for (unsigned i = function.getNumArguments(); i-- > 0;)
    if (Value argument = function.getArgument(i); keys.contains(argument) && argument.use_empty())
      function.eraseArgument(i);
}

/// Turns the trained params of `function` into states. Returns the argument of each.
llvm::MapVector<StringRef, Value> paramsToStates(func::FuncOp function, StatefulFunction &states,
                                                 const TrainedParams &trained) {
  llvm::MapVector<StringRef, Value> arguments;
  for (auto &[name, how] : trained) arguments[name] = states.add("param." + name, how.type);
  for (ParamOp param : llvm::make_early_inc_range(function.getOps<ParamOp>())) {
    auto found = arguments.find(param.getName());
    if (found == arguments.end()) continue;
    param.replaceAllUsesWith(found->second);
    param.erase();
  }
  return arguments;
}

/// `roots` and all float values that depend on them.
llvm::DenseSet<Value> dependents(func::FuncOp function, ValueRange roots) {
  llvm::DenseSet<Value> values(roots.begin(), roots.end());
  for (Operation &op : function.getBody().front()) {
    if (llvm::none_of(op.getOperands(), [&](Value operand) { return values.contains(operand); })) continue;
    for (Value result : op.getResults())
      if (llvm::isa<FloatType>(getElementTypeOrSelf(result.getType()))) values.insert(result);
  }
  return values;
}

LogicalResult buildBackward(func::FuncOp function, StatefulFunction &states,
                            const llvm::MapVector<StringRef, Value> &params, Counters &counters) {
  Block &block = function.getBody().front();
  OpBuilder builder(block.getTerminator());
  Value loss = block.getTerminator()->getOperand(0);
  SmallVector<Value> roots;
  for (auto &[name, argument] : params) roots.push_back(argument);
  Gradients gradients(dependents(function, roots));
  if (!gradients.wanted(loss))
    return function.emitError("@loss: \"loss\" depends on none of the trained parameters");
  SmallVector<std::pair<Value, Value>> sums;
  for (auto &[name, argument] : params) {
    sums.push_back({argument, states.add("grad." + name, argument.getType())});
    gradients.set(argument, sums.back().second);
  }
  SmallVector<Operation *> forward;
  for (Operation &op : block.without_terminator()) forward.push_back(&op);
  gradients.add(builder, loss, filledLike(builder, loss, 1));
  for (Operation *op : llvm::reverse(forward)) {
    if (llvm::none_of(op->getOperands(), [&](Value operand) { return gradients.wanted(operand); }) ||
        llvm::none_of(op->getResults(), [&](Value result) { return bool(gradients.of(builder, result)); }))
      continue;
    auto differentiable = llvm::dyn_cast<DifferentiableOpInterface>(op);
    if (!differentiable) return op->emitOpError("cannot be trained through: it has no gradient");
    if (failed(differentiable.buildGradient(builder, gradients))) return failure();
    counters.add("linnet-autodiff", "gradients");
  }
  for (auto [argument, sum] : sums) states.set(sum, gradients.of(builder, argument));
  return success();
}

//===- the optimizer's entries -------------------------------------------------------------------------===//

/// Builds @norm and @update. They are two entries because a gradient that is NaN or infinite must not change
/// the parameters: the caller reads the norm, clips, and calls @update only if the norm is finite.
class OptimizerBuilder {
public:
  OptimizerBuilder(ModuleOp module, const TrainedParams &trained, const AdamSettings &adam)
      : module(module), b(module.getLoc(), module.getContext()), trained(trained), adam(adam),
        scalar(RankedTensorType::get({1}, b.getF32Type())) {}

  void buildNorm() {
    begin("norm", {"grad_scale"});
    StatefulFunction states(function);
    SmallVector<Value> gradients;
    for (auto &[name, how] : trained) gradients.push_back(states.add("grad." + name, how.type));
    Value sum = sumOfSquares(gradients);
    Value norm = b.create<MulOp>(b.create<SqrtOp>(sum), function.getArgument(0));
    b.create<func::ReturnOp>(norm);
    function.setType(b.getFunctionType(function.getArgumentTypes(), {scalar}));
    function.setResultAttr(0, "linnet.name", b.getStringAttr("grad_norm"));
    states.finish();
  }

  void buildUpdate() {
    begin("update", {"lr", "m_scale", "v_scale", "grad_scale"});
    StatefulFunction states(function);
    struct Tensors {
      Value param, grad, m, v, start;
    };
    SmallVector<Tensors> tensors;
    for (auto &[name, how] : trained) {
      Tensors t = {states.add("param." + name, how.type),
                   states.add("grad." + name, how.type),
                   states.add("m." + name, how.type),
                   states.add("v." + name, how.type),
                   {}};
      if (adam.pull != 0) t.start = states.add("start." + name, how.type);
      tensors.push_back(t);
    }
    Value lr = function.getArgument(0), m_scale = function.getArgument(1), v_scale = function.getArgument(2),
          scale = function.getArgument(3);
    for (auto [entry, t] : llvm::zip(trained, tensors)) {
      b.setLoc(NameLoc::get(b.getStringAttr(entry.first)));
      auto f = [&](float value) { return b.getF32FloatAttr(value); };
      auto step = b.create<AdamWOp>(t.param, t.grad, t.m, t.v, lr, scale, m_scale, v_scale, t.start,
                                    f(adam.beta1), f(adam.beta2), f(adam.epsilon), f(entry.second.decay),
                                    f(entry.second.lr_scale), f(adam.pull));
      states.set(t.param, step.getNewParam());
      states.set(t.grad, step.getCleared());
      states.set(t.m, step.getNewM());
      states.set(t.v, step.getNewV());
    }
    b.create<func::ReturnOp>();
    function.setType(b.getFunctionType(function.getArgumentTypes(), {}));
    states.finish();
  }

private:
  /// Begins an entry whose inputs are scalars.
  void begin(StringRef name, ArrayRef<StringRef> inputs) {
    b.setInsertionPointToEnd(module.getBody());
    b.setLoc(module.getLoc());
    function = b.create<func::FuncOp>(name, b.getFunctionType(SmallVector<Type>(inputs.size(), scalar), {}));
    for (auto [i, input] : llvm::enumerate(inputs))
      function.setArgAttr(static_cast<unsigned>(i), "linnet.name", b.getStringAttr(input));
    b.setInsertionPointToEnd(function.addEntryBlock());
  }

  /// Sums each row, then the sums of the rows. The order is fixed, so the result does not depend on the
  /// backend's parallelism.
  Value sumOfSquares(ValueRange gradients) {
    SmallVector<Value> sums;
    for (auto [gradient, entry] : llvm::zip(gradients, trained)) {
      auto type = typeOf(gradient);
      b.setLoc(NameLoc::get(b.getStringAttr(entry.first)));
      int64_t columns = type.getRank() ? type.getShape().back() : 1, rows = type.getNumElements() / columns;
      Value matrix = reshaped(gradient, {rows, columns});
      Value squares = b.create<ReduceOp>(ReduceKind::sum, b.create<MulOp>(matrix, matrix), 1);
      Value sum = b.create<ReduceOp>(ReduceKind::sum, reshaped(squares, {1, rows}), 1);
      sums.push_back(reshaped(sum, {1}));
    }
    b.setLoc(NameLoc::get(b.getStringAttr("gradient")));
    if (sums.size() == 1) return sums[0];
    return b.create<ReduceOp>(ReduceKind::sum, b.create<ConcatOp>(sums, int64_t(0)), 0); // (1)
  }
  Value reshaped(Value value, ArrayRef<int64_t> shape) {
    auto type = RankedTensorType::get(shape, b.getF32Type());
    return value.getType() == type ? value : b.create<ReshapeOp>(type, value).getResult();
  }

  ModuleOp module;
  ImplicitLocOpBuilder b;
  const TrainedParams &trained;
  const AdamSettings &adam;
  RankedTensorType scalar;
  func::FuncOp function;
};

//===- the pass ----------------------------------------------------------------------------------------===//

struct Autodiff : impl::AutodiffBase<Autodiff> {
  using AutodiffBase::AutodiffBase;

  void runOnOperation() override {
    auto loss = getOperation().lookupSymbol<func::FuncOp>("loss");
    if (!loss) return; // nothing to train
    if (failed(check(loss)) || failed(readSettings(loss))) return signalPassFailure();
    loss->removeAttr(kTrainAttribute);
    loss->removeAttr(kAdamAttribute);
    writeOutEpilogues(loss);
    auto accumulate = llvm::cast<func::FuncOp>(OpBuilder(loss).clone(*loss));
    accumulate.setName("accumulate");
    loss.setName("evaluate");
    leaveOutDropout(loss);
    StatefulFunction evaluating(loss), accumulating(accumulate);
    paramsToStates(loss, evaluating, trained);
    evaluating.finish();
    auto params = paramsToStates(accumulate, accumulating, trained);
    if (failed(buildBackward(accumulate, accumulating, params, getAnalysis<Counters>())))
      return signalPassFailure();
    accumulating.finish();
    OptimizerBuilder optimizer(getOperation(), trained, adam);
    optimizer.buildNorm();
    optimizer.buildUpdate();
    getAnalysis<Counters>().add("linnet-autodiff", "parameters", trained.size());
  }

private:
  LogicalResult check(func::FuncOp loss) {
    if (!loss.getBody().hasOneBlock()) return loss.emitError("@loss is expected to have one block");
    if (loss.getNumResults() < 1 || resultName(loss, 0) != "loss")
      return loss.emitError("@loss: its first result is expected to be called \"loss\"");
    for (unsigned i = 0; i < loss.getNumArguments(); ++i)
      if (!argState(loss, i).empty())
        return loss.emitError("@loss: a state among its arguments, \"") << argState(loss, i) << "\"";
    return success();
  }

  LogicalResult readSettings(func::FuncOp loss) {
    if (auto attribute = loss->getAttrOfType<DictionaryAttr>(kAdamAttribute)) adam = readAdam(attribute);
    auto wanted = loss->getAttrOfType<DictionaryAttr>(kTrainAttribute);
    std::string there;
    for (ParamOp param : loss.getOps<ParamOp>()) {
      there += (there.empty() ? "" : ", ") + param.getName().str();
      auto how = wanted ? wanted.getAs<DictionaryAttr>(param.getName()) : DictionaryAttr();
      if (wanted && !how) continue;
      if (!param.getType().getElementType().isF32())
        return param.emitOpError("is to be trained, and not f32");
      Trained entry{param.getType()};
      auto number = [&](StringRef name, float missing) {
        auto value = how ? how.getAs<FloatAttr>(name) : FloatAttr();
        return value ? static_cast<float>(value.getValueAsDouble()) : missing;
      };
      entry.lr_scale = number("lr_scale", 1), entry.decay = number("decay", 0);
      trained.insert({param.getName(), entry});
    }
    if (wanted)
      for (NamedAttribute name : wanted)
        if (!trained.contains(name.getName()))
          return loss.emitError("@loss has no parameter \"")
                 << name.getName().getValue() << "\"; it has " << there;
    if (trained.empty()) return loss.emitError("@loss has no parameter to train");
    return success();
  }

  TrainedParams trained;
  AdamSettings adam;
};

} // namespace

AdamSettings readAdam(DictionaryAttr attribute) {
  AdamSettings adam;
  auto read = [&](StringRef name, float &to) {
    if (auto value = attribute.getAs<FloatAttr>(name)) to = static_cast<float>(value.getValueAsDouble());
  };
  read("beta1", adam.beta1), read("beta2", adam.beta2), read("epsilon", adam.epsilon);
  read("pull", adam.pull);
  return adam;
}

void requestTraining(func::FuncOp loss, llvm::ArrayRef<ParameterSettings> parameters,
                     const AdamSettings &adam) {
  Builder b(loss.getContext());
  auto number = [&](StringRef name, float value) { return b.getNamedAttr(name, b.getF32FloatAttr(value)); };
  SmallVector<NamedAttribute> entries;
  for (const ParameterSettings &p : parameters)
    entries.push_back(b.getNamedAttr(
        p.name, b.getDictionaryAttr({number("lr_scale", p.lr_scale), number("decay", p.decay)})));
  loss->setAttr(kTrainAttribute, b.getDictionaryAttr(entries));
  loss->setAttr(kAdamAttribute,
                b.getDictionaryAttr({number("beta1", adam.beta1), number("beta2", adam.beta2),
                                     number("epsilon", adam.epsilon), number("pull", adam.pull)}));
}

} // namespace linnet
