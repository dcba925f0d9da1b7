#include "frontend/model/graph.h"
#include "frontend/model/family.h"
#include "ir/Activations.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace linnet {

#define LINNET_FAMILY(name)                                                                                  \
  namespace name {                                                                                           \
  const Family &family();                                                                                    \
  GraphParts graph(GraphBuilder &);                                                                          \
  }
#include "frontend/families.inc"
#undef LINNET_FAMILY

namespace {

ir::Activation activationOf(ActivationFunction function) {
  switch (function) {
  case ActivationFunction::relu:
    return ir::Activation::relu;
  case ActivationFunction::gelu_erf:
    return ir::Activation::gelu_erf;
  case ActivationFunction::gelu_tanh:
    return ir::Activation::gelu_tanh;
  case ActivationFunction::gelu_quick:
    return ir::Activation::gelu_quick;
  case ActivationFunction::silu:
    return ir::Activation::silu;
  }
  return ir::Activation::none;
}

/// The function that builds each family's part.
std::map<const Family *, BuildGraph> &graphs() {
#define LINNET_FAMILY(name) {&name::family(), name::graph},
  static std::map<const Family *, BuildGraph> all = {
#include "frontend/families.inc"
  };
#undef LINNET_FAMILY
  return all;
}

} // namespace

void registerFamily(const Family &family, BuildGraph build) {
  addFamily(family);
  graphs()[&family] = build;
}

GraphBuilder::GraphBuilder(ModuleOp module, const ModelDescription &model, const EntrySpec &spec,
                           int64_t most_positions)
    : model(model), b(UnknownLoc::get(module.getContext()), module.getContext()), spec(spec),
      f32(b.getF32Type()), trains(llvm::is_contained(spec.outputs, "loss")), most_positions(most_positions),
      module(module) {
  b.setInsertionPointToEnd(module.getBody());
}

void GraphBuilder::at(const std::string &module_path) {
  b.setLoc(NameLoc::get(b.getStringAttr(module_path)));
}

Value GraphBuilder::param(const std::string &name, ArrayRef<int64_t> shape) {
  return b.create<ir::ParamOp>(RankedTensorType::get(shape, f32), name);
}

Value GraphBuilder::positions(int64_t limit) { return b.create<ir::PositionsOp>(past, tokens, limit); }

Value GraphBuilder::embed(const std::string &name, int64_t rows, Value numbers) {
  at(name);
  return b.create<ir::EmbedOp>(param(name + ".weight", {rows, model.n_embd}), numbers);
}

Value GraphBuilder::layerNorm(Value x, const std::string &name, double epsilon) {
  at(name);
  Value gain = param(name + ".weight", {model.n_embd}), bias = param(name + ".bias", {model.n_embd});
  return b.create<ir::LayerNormOp>(x, gain, bias, b.getF32FloatAttr(static_cast<float>(epsilon)));
}

Value GraphBuilder::linear(Value x, const std::string &name, int64_t in, int64_t out) {
  at(name);
  Value product = b.create<ir::MatmulOp>(x, param(name + ".weight", {in, out}));
  return b.create<ir::AddOp>(product, param(name + ".bias", {out}));
}

Value GraphBuilder::project(Value x, const std::string &name, int64_t in, int64_t out, bool bias) {
  at(name);
  Value product = b.create<ir::MatmulOp>(x, param(name + ".weight", {out, in}), /*transpose_rhs=*/true);
  return bias ? b.create<ir::AddOp>(product, param(name + ".bias", {out})).getResult() : product;
}

/// A constant of one element, which broadcasts.
static Value number(ImplicitLocOpBuilder &b, double value) {
  auto type = RankedTensorType::get({1}, b.getF32Type());
  return b.create<ir::ConstantOp>(type, DenseElementsAttr::get(type, static_cast<float>(value)));
}

Value GraphBuilder::rmsNorm(Value x, const std::string &name, double epsilon, int64_t width,
                            bool gain_from_one) {
  at(name);
  Value gain = param(name + ".weight", {width});
  if (gain_from_one) gain = b.create<ir::AddOp>(gain, number(b, 1));
  return b.create<ir::RmsNormOp>(x, gain, b.getF32FloatAttr(static_cast<float>(epsilon)));
}

Value GraphBuilder::scaled(Value x, double factor) { return b.create<ir::MulOp>(x, number(b, factor)); }

Value GraphBuilder::capped(Value x, double cap) {
  return scaled(b.create<ir::TanhOp>(scaled(x, 1 / cap)), cap);
}

Value GraphBuilder::computed(const std::string &name, RankedTensorType type,
                             llvm::function_ref<Value()> build) {
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    auto function = b.create<func::FuncOp>(name, b.getFunctionType({}, type));
    function.setPrivate();
    function->setAttr("linnet.weight", b.getUnitAttr());
    b.setInsertionPointToEnd(function.addEntryBlock());
    b.create<func::ReturnOp>(build());
  }
  return b.create<ir::ParamOp>(type, name);
}

Value GraphBuilder::rotaryTable(const Rotary &rotary, int64_t head_size) {
  const std::vector<float> frequencies = rotary.frequencies(head_size);
  auto attribute = b.getDenseF32ArrayAttr(frequencies);
  auto type = RankedTensorType::get({most_positions, 2 * static_cast<int64_t>(frequencies.size())}, f32);
  // The name of the equal table, or the next free one.
  std::string name;
  for (int64_t number = 0;; ++number) {
    name = fmt::format("rotary.{}", number);
    auto function = module.lookupSymbol<func::FuncOp>(name);
    if (!function) break;
    auto table = llvm::dyn_cast<ir::RotaryTableOp>(function.getBody().front().front());
    if (table && table.getFrequenciesAttr() == attribute && table.getType() == type) break;
  }
  return computed(name, type, [&] {
    return b.create<ir::RotaryTableOp>(type, attribute, b.getF32FloatAttr(1)).getResult();
  });
}

Value GraphBuilder::projectTogether(Value x, const std::string &name, int64_t in,
                                    ArrayRef<std::pair<const char *, int64_t>> parts, bool bias) {
  std::string all;
  int64_t columns = 0;
  for (auto [part, out] : parts) all += (all.empty() ? "" : "+") + std::string(part), columns += out;
  auto joined = [&](const char *kind, ArrayRef<int64_t> shape) {
    return computed(name + "." + all + kind, RankedTensorType::get(shape, f32), [&] {
      SmallVector<Value> pieces;
      for (auto [part, out] : parts) {
        SmallVector<int64_t> own(shape);
        own[0] = out;
        pieces.push_back(param(name + "." + part + kind, own));
      }
      return b.create<ir::ConcatOp>(pieces, 0).getResult();
    });
  };
  at(name + "." + all);
  Value product = b.create<ir::MatmulOp>(x, joined(".weight", {columns, in}), /*transpose_rhs=*/true);
  return bias ? b.create<ir::AddOp>(product, joined(".bias", {columns})).getResult() : product;
}

Value GraphBuilder::rotary(Value x, Value table, Value positions) {
  return b.create<ir::RotaryOp>(x, table, positions);
}

Value GraphBuilder::head(Value x, const std::string &weight) {
  at("lm_head");
  return b.create<ir::MatmulOp>(x, param(weight, {model.vocab_size, model.n_embd}), /*transpose_rhs=*/true);
}

Value GraphBuilder::activate(Value x, const std::string &name, ActivationFunction function) {
  at(name);
  return ir::applyActivation(b, b.getLoc(), activationOf(function), x);
}

Value GraphBuilder::dropped(Value x) {
  if (!seed) return x;
  return b.create<ir::DropoutOp>(x, seed, b.getF32FloatAttr(spec.dropout), b.getI64IntegerAttr(stream++));
}

Value GraphBuilder::heads(Value x, int64_t first, int64_t count, int64_t size) {
  Value slice = b.create<ir::SliceOp>(x, 2, first, count * size);
  SmallVector<ir::Dim> shape = ir::shapeOf(llvm::cast<RankedTensorType>(slice.getType()));
  shape.back() = ir::Dim{count, {}};
  shape.push_back(ir::Dim{size, {}});
  return b.create<ir::ReshapeOp>(ir::makeType(shape, f32), slice);
}

Value GraphBuilder::attention(Value q, Value k, Value v, int64_t block, const AttentionForm &form,
                              const std::string &name) {
  at(name);
  if (trains) { // the text is complete: k and v have the layout of a cache
    k = b.create<ir::TransposeOp>(k, ArrayRef<int64_t>{0, 2, 1, 3});
    v = b.create<ir::TransposeOp>(v, ArrayRef<int64_t>{0, 2, 1, 3});
  } else {
    auto i = static_cast<size_t>(2 * block);
    k = states[i] = b.create<ir::CacheAppendOp>(states[i], k, past);
    v = states[i + 1] = b.create<ir::CacheAppendOp>(states[i + 1], v, past);
  }
  Value a = b.create<ir::AttentionOp>(
      q, k, v, past, /*length=*/Value(), b.getF32FloatAttr(static_cast<float>(form.scale)),
      form.cap ? b.getF32FloatAttr(static_cast<float>(form.cap)) : FloatAttr(), b.getBoolAttr(true),
      form.window ? b.getI64IntegerAttr(form.window) : IntegerAttr());
  SmallVector<ir::Dim> shape = ir::shapeOf(llvm::cast<RankedTensorType>(q.getType()));
  int64_t size = shape.pop_back_val().size;
  shape.back() = ir::Dim{shape.back().size * size, {}};
  return b.create<ir::ReshapeOp>(ir::makeType(shape, f32), a);
}

/// Builds one entry function around a family's part.
class EntryBuilder {
public:
  EntryBuilder(ModuleOp module, const ModelDescription &model, const GraphOptions &options,
               const EntrySpec &spec, BuildGraph family)
      : model(model), options(options), spec(spec), family(family),
        g(module, model, spec, mostPositions(model, options, spec)), b(g.b), i32(b.getI32Type()) {}

  void build() {
    g.trains ? startTraining() : start();
    if (spec.features) return finishLoss(headScores(g.features));
    GraphParts parts = family(g);
    if (!g.trains) return finish(parts);
    Value normed = parts.norm(parts.hidden.back());
    finishLoss(model.classifies() ? scores(normed) : parts.logits(normed));
  }

private:
  static int64_t mostPositions(const ModelDescription &model, const GraphOptions &options,
                               const EntrySpec &spec) {
    if (options.max_context) return options.max_context;
    return llvm::is_contained(spec.outputs, "loss") && spec.max_seq ? spec.max_seq : model.defaultContext();
  }

  RankedTensorType type(ArrayRef<int64_t> shape, ArrayRef<StringRef> names, Type element) {
    SmallVector<StringAttr> attrs;
    for (StringRef name : names) attrs.push_back(b.getStringAttr(name));
    return ir::makeType(shape, attrs, element);
  }

  void start() {
    constexpr int64_t kAny = ShapedType::kDynamic;
    SmallVector<Type> types = {type({kAny, kAny}, {"batch", "seq"}, i32), type({kAny}, {"batch"}, i32),
                               type({kAny}, {"batch"}, i32)};
    Type cache = type({kAny, model.keyHeads(), kAny, model.headSize()}, {"batch", "context"}, g.f32);
    types.append(2 * model.n_layer, cache);
    function = b.create<func::FuncOp>(spec.name, b.getFunctionType(types, {}));
    int64_t context = options.max_context ? options.max_context : model.defaultContext();
    function->setAttr("linnet.bounds",
                      b.getDictionaryAttr({b.getNamedAttr("batch", b.getI64IntegerAttr(options.max_batch)),
                                           b.getNamedAttr("seq", b.getI64IntegerAttr(spec.max_seq)),
                                           b.getNamedAttr("context", b.getI64IntegerAttr(context))}));
    const char *names[] = {"ids", "past", "length"};
    for (unsigned i = 0; i < 3; ++i) function.setArgAttr(i, "linnet.name", b.getStringAttr(names[i]));
    for (unsigned i = 0; i < 2 * model.n_layer; ++i)
      function.setArgAttr(3 + i, "linnet.state", b.getStringAttr(stateName(i)));
    Block *body = function.addEntryBlock();
    b.setInsertionPointToEnd(body);
    g.tokens = body->getArgument(0);
    g.past = body->getArgument(1);
    g.length = body->getArgument(2);
    for (unsigned i = 0; i < 2 * model.n_layer; ++i) g.states.push_back(body->getArgument(3 + i));
  }

  void startTraining() {
    constexpr int64_t kAny = ShapedType::kDynamic;
    RankedTensorType rows = type({kAny}, {"batch"}, i32), tokens = type({kAny, kAny}, {"batch", "seq"}, i32);
    SmallVector<std::tuple<const char *, Type, Value *>> arguments;
    if (spec.features)
      arguments = {{"x", type({kAny, model.n_embd}, {"batch"}, g.f32), &g.features},
                   {"labels", rows, &g.labels}};
    else if (model.classifies())
      arguments = {{"ids", tokens, &g.tokens}, {"length", rows, &g.length}, {"labels", rows, &g.labels}};
    else
      arguments = {{"ids", tokens, &g.tokens}, {"labels", tokens, &g.labels}};
    if (spec.dropout > 0) arguments.push_back({"seed", RankedTensorType::get({2}, i32), &g.seed});
    SmallVector<Type> types;
    for (auto &[name, argument, value] : arguments) types.push_back(argument);
    function = b.create<func::FuncOp>(spec.name, b.getFunctionType(types, {}));
    function->setAttr("linnet.bounds",
                      b.getDictionaryAttr({b.getNamedAttr("batch", b.getI64IntegerAttr(options.max_batch)),
                                           b.getNamedAttr("seq", b.getI64IntegerAttr(spec.max_seq))}));
    Block *body = function.addEntryBlock();
    for (auto [i, argument] : llvm::enumerate(arguments)) {
      function.setArgAttr(static_cast<unsigned>(i), "linnet.name", b.getStringAttr(std::get<0>(argument)));
      *std::get<2>(argument) = body->getArgument(static_cast<unsigned>(i));
    }
    b.setInsertionPointToEnd(body);
  }

  static std::string stateName(unsigned i) { return fmt::format("{}.{}", i % 2 ? "v" : "k", i / 2); }

  Value pooled(ir::PoolMode mode, Value x) {
    g.at("pool");
    return b.create<ir::PoolOp>(mode, x, g.length);
  }

  /// (B, T, C) -> (B, labels): pooled, through the head's hidden layers, by score.weight.
  Value scores(Value x) {
    const ClassifierHead &head = model.head;
    x = pooled(head.pooling == "mean"    ? ir::PoolMode::mean
               : head.pooling == "first" ? ir::PoolMode::first
                                         : ir::PoolMode::last,
               x);
    return headScores(x);
  }

  /// (B, C) -> (B, labels)
  Value headScores(Value x) {
    const ClassifierHead &head = model.head;
    int64_t width = model.n_embd;
    for (auto [i, hidden] : llvm::enumerate(head.hidden)) {
      std::string name = fmt::format("head.{}", i);
      x = g.activate(g.linear(x, name, width, hidden), name + ".act", head.activation);
      width = hidden;
    }
    g.at("score");
    auto n = static_cast<int64_t>(model.id2label.size());
    Value out = b.create<ir::MatmulOp>(x, g.param("score.weight", {n, width}), /*transpose_rhs=*/true);
    if (head.score_bias) out = b.create<ir::AddOp>(out, g.param("score.bias", {n}));
    return out;
  }

  void finishLoss(Value logits) {
    g.at("loss");
    SmallVector<Value> results = {b.create<ir::CrossEntropyOp>(logits, g.labels)};
    if (model.classifies()) results.push_back(logits);
    b.create<func::ReturnOp>(results);
    function.setType(b.getFunctionType(function.getArgumentTypes(), TypeRange(ValueRange(results))));
    function.setResultAttr(0, "linnet.name", b.getStringAttr("loss"));
    if (results.size() > 1) function.setResultAttr(1, "linnet.name", b.getStringAttr("logits"));
  }

  void finish(const GraphParts &parts) {
    Value x = parts.hidden.back();
    SmallVector<Value> results;
    SmallVector<std::string> names;
    auto add = [&](std::string name, Value value) {
      results.push_back(value);
      names.push_back(std::move(name));
    };
    auto wants = [&](StringRef what) { return llvm::is_contained(spec.outputs, what); };
    // Only the last position goes through the last norm and the head.
    if (wants("logits") || wants("token")) {
      Value logits = parts.logits(parts.norm(pooled(ir::PoolMode::last, x)));
      if (wants("logits")) add("logits", logits);
      if (wants("token")) add("token", b.create<ir::ArgmaxOp>(logits));
    }
    Value normed_all;
    auto normed = [&] { return normed_all ? normed_all : normed_all = parts.norm(x); };
    if (wants("hidden")) {
      for (auto [i, value] : llvm::enumerate(parts.hidden)) add(fmt::format("hidden.{}", i), value);
      add(parts.norm_name, normed());
    }
    for (auto [name, mode] :
         {std::pair("pooled.last", ir::PoolMode::last), std::pair("pooled.mean", ir::PoolMode::mean),
          std::pair("pooled.first", ir::PoolMode::first)})
      if (wants(name)) add(name, pooled(mode, normed()));
    if (wants("all_logits")) add("logits", parts.logits(normed()));
    if (wants("scores")) add("scores", scores(normed()));
    size_t n_outputs = results.size();
    results.append(g.states.begin(), g.states.end());
    b.create<func::ReturnOp>(results);
    function.setType(b.getFunctionType(function.getArgumentTypes(), TypeRange(ValueRange(results))));
    for (size_t i = 0; i < n_outputs; ++i)
      function.setResultAttr(i, "linnet.name", b.getStringAttr(names[i]));
    for (size_t i = 0; i < g.states.size(); ++i)
      function.setResultAttr(n_outputs + i, "linnet.state", b.getStringAttr(stateName(i)));
  }

  const ModelDescription &model;
  const GraphOptions &options;
  const EntrySpec &spec;
  BuildGraph family;
  GraphBuilder g;
  ImplicitLocOpBuilder &b;
  Type i32;
  func::FuncOp function;
};

std::vector<EntrySpec> defaultEntries(const ModelDescription &model, int64_t max_context) {
  int64_t context = max_context ? max_context : model.defaultContext();
  int64_t chunk = std::min<int64_t>(context, 256), score_chunk = std::min<int64_t>(context, 64);
  if (model.classifies()) // pooling needs the whole text in one call
    return {{"classify", {"scores"}, context},
            {"embed", {"pooled." + model.head.pooling}, context},
            {"hidden", {"hidden"}, chunk}};
  return {{"generate", {"logits", "token"}, chunk},
          {"score", {"all_logits"}, score_chunk},
          {"hidden", {"hidden"}, chunk}};
}

OwningOpRef<ModuleOp> buildGraph(MLIRContext &context, const ModelDescription &model,
                                 const GraphOptions &options) {
  context.getOrLoadDialect<ir::LinnetDialect>();
  context.getOrLoadDialect<func::FuncDialect>();
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(UnknownLoc::get(&context), model.family->names().model_type);
  std::vector<EntrySpec> entries =
      options.entries.empty() ? defaultEntries(model, options.max_context) : options.entries;
  for (const EntrySpec &entry : entries)
    EntryBuilder(*module, model, options, entry, graphs().at(model.family)).build();
  return module;
}

} // namespace linnet
