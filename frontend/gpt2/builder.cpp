#include "frontend/gpt2/builder.h"
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

/// Writes one entry function. Shapes in comments: B batch, T seq, S context, C n_embd, H n_head, D head size.
class EntryBuilder {
public:
  EntryBuilder(ModuleOp module, const Gpt2Config &config, const Gpt2Options &options, const EntrySpec &spec)
      : config(config), options(options), spec(spec),
        b(UnknownLoc::get(module.getContext()), module.getContext()), f32(b.getF32Type()),
        i32(b.getI32Type()) {
    b.setInsertionPointToEnd(module.getBody());
  }

  void build() {
    trains = llvm::is_contained(spec.outputs, "loss");
    trains ? startTraining() : start();
    if (spec.features) return finishLoss(headScores(features));
    at("wte");
    Value x = b.create<ir::EmbedOp>(param("wte.weight", {config.vocab_size, config.n_embd}), ids);
    at("wpe");
    Value positions = b.create<ir::PositionsOp>(past, ids, config.n_positions);
    Value p = b.create<ir::EmbedOp>(param("wpe.weight", {config.n_positions, config.n_embd}), positions);
    x = dropped(b.create<ir::AddOp>(x, p)); // (B, T, C)
    std::vector<Value> hidden = {x};
    for (int64_t i = 0; i < config.n_layer; ++i) {
      x = block(x, i);
      hidden.push_back(x);
    }
    at("ln_f");
    if (!trains) return finish(hidden, x);
    Value normed = layerNorm(x, "ln_f");
    finishLoss(config.classifies() ? scores(normed) : head(normed));
  }

private:
  void at(const std::string &module_path) { b.setLoc(NameLoc::get(b.getStringAttr(module_path))); }

  Value param(const std::string &name, ArrayRef<int64_t> shape) {
    return b.create<ir::ParamOp>(RankedTensorType::get(shape, f32), name);
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
    Type cache = type({kAny, config.n_head, kAny, config.headSize()}, {"batch", "context"}, f32);
    types.append(2 * config.n_layer, cache);
    function = b.create<func::FuncOp>(spec.name, b.getFunctionType(types, {}));
    int64_t context = options.max_context ? options.max_context : config.n_positions;
    function->setAttr("linnet.bounds",
                      b.getDictionaryAttr({b.getNamedAttr("batch", b.getI64IntegerAttr(options.max_batch)),
                                           b.getNamedAttr("seq", b.getI64IntegerAttr(spec.max_seq)),
                                           b.getNamedAttr("context", b.getI64IntegerAttr(context))}));
    const char *names[] = {"ids", "past", "length"};
    for (unsigned i = 0; i < 3; ++i) function.setArgAttr(i, "linnet.name", b.getStringAttr(names[i]));
    for (unsigned i = 0; i < 2 * config.n_layer; ++i)
      function.setArgAttr(3 + i, "linnet.state", b.getStringAttr(stateName(i)));
    Block *body = function.addEntryBlock();
    b.setInsertionPointToEnd(body);
    ids = body->getArgument(0);
    past = body->getArgument(1);
    length = body->getArgument(2);
    for (unsigned i = 0; i < 2 * config.n_layer; ++i) states.push_back(body->getArgument(3 + i));
  }

  void startTraining() {
    constexpr int64_t kAny = ShapedType::kDynamic;
    RankedTensorType rows = type({kAny}, {"batch"}, i32), tokens = type({kAny, kAny}, {"batch", "seq"}, i32);
    SmallVector<std::tuple<const char *, Type, Value *>> arguments;
    if (spec.features)
      arguments = {{"x", type({kAny, config.n_embd}, {"batch"}, f32), &features}, {"labels", rows, &labels}};
    else if (config.classifies())
      arguments = {{"ids", tokens, &ids}, {"length", rows, &length}, {"labels", rows, &labels}};
    else
      arguments = {{"ids", tokens, &ids}, {"labels", tokens, &labels}};
    if (spec.dropout > 0) arguments.push_back({"seed", RankedTensorType::get({2}, i32), &seed});
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

  Value layerNorm(Value x, const std::string &name) {
    at(name);
    Value gain = param(name + ".weight", {config.n_embd}), bias = param(name + ".bias", {config.n_embd});
    return b.create<ir::LayerNormOp>(x, gain, bias,
                                     b.getF32FloatAttr(static_cast<float>(config.layer_norm_epsilon)));
  }

  Value linear(Value x, const std::string &name, int64_t in, int64_t out) {
    at(name);
    Value product = b.create<ir::MatmulOp>(x, param(name + ".weight", {in, out}));
    return b.create<ir::AddOp>(product, param(name + ".bias", {out}));
  }

  Value activate(Value x, const std::string &name, ActivationFunction function) {
    at(name);
    return ir::applyActivation(b, b.getLoc(), activationOf(function), x);
  }

  Value block(Value x, int64_t i) {
    std::string h = fmt::format("h.{}", i);
    Value a = attention(layerNorm(x, h + ".ln_1"), i, h + ".attn");
    Value projected = linear(a, h + ".attn.c_proj", config.n_embd, config.n_embd);
    x = b.create<ir::AddOp>(dropped(projected), x);
    Value u = linear(layerNorm(x, h + ".ln_2"), h + ".mlp.c_fc", config.n_embd, config.n_inner);
    u = activate(u, h + ".mlp.act", config.activation);
    Value m = linear(u, h + ".mlp.c_proj", config.n_inner, config.n_embd);
    return b.create<ir::AddOp>(dropped(m), x);
  }

  /// Each use draws from a stream of its own.
  Value dropped(Value x) {
    if (!seed) return x;
    return b.create<ir::DropoutOp>(x, seed, b.getF32FloatAttr(spec.dropout), b.getI64IntegerAttr(stream++));
  }

  Value attention(Value x, int64_t i, const std::string &name) {
    int64_t c = config.n_embd;
    Value qkv = linear(x, name + ".c_attn", c, 3 * c); // (B, T, 3C)
    at(name);
    auto heads = [&](int64_t part) -> Value { // (B, T, H, D)
      Value slice = b.create<ir::SliceOp>(qkv, 2, part * c, c);
      SmallVector<ir::Dim> shape = ir::shapeOf(llvm::cast<RankedTensorType>(slice.getType()));
      shape.back() = ir::Dim{config.n_head, {}};
      shape.push_back(ir::Dim{config.headSize(), {}});
      return b.create<ir::ReshapeOp>(ir::makeType(shape, f32), slice);
    };
    Value q = heads(0), k = heads(1), v = heads(2);
    if (trains) { // nothing before this row, nothing after it: k and v as a cache would hold them
      k = b.create<ir::TransposeOp>(k, ArrayRef<int64_t>{0, 2, 1, 3});
      v = b.create<ir::TransposeOp>(v, ArrayRef<int64_t>{0, 2, 1, 3});
    } else {
      k = states[2 * i] = b.create<ir::CacheAppendOp>(states[2 * i], k, past);
      v = states[2 * i + 1] = b.create<ir::CacheAppendOp>(states[2 * i + 1], v, past);
    }
    double scale = config.scale_attn_weights ? 1 / std::sqrt(static_cast<double>(config.headSize())) : 1;
    if (config.scale_attn_by_inverse_layer_idx) scale /= static_cast<double>(i + 1);
    Value a = b.create<ir::AttentionOp>(q, k, v, past, /*length=*/Value(),
                                        b.getF32FloatAttr(static_cast<float>(scale)), b.getBoolAttr(true));
    return b.create<ir::ReshapeOp>(x.getType(), a);
  }

  Value head(Value x) {
    at("lm_head");
    std::string name = config.tie_word_embeddings ? "wte.weight" : "lm_head.weight";
    return b.create<ir::MatmulOp>(x, param(name, {config.vocab_size, config.n_embd}), /*transpose_rhs=*/true);
  }

  Value pooled(ir::PoolMode mode, Value x) {
    at("pool");
    return b.create<ir::PoolOp>(mode, x, length);
  }

  /// (B, T, C) -> (B, labels): pooled, through the head's hidden layers, by score.weight.
  Value scores(Value x) {
    const ClassifierHead &head = config.head;
    x = pooled(head.pooling == "mean"    ? ir::PoolMode::mean
               : head.pooling == "first" ? ir::PoolMode::first
                                         : ir::PoolMode::last,
               x);
    return headScores(x);
  }

  /// (B, C) -> (B, labels)
  Value headScores(Value x) {
    const ClassifierHead &head = config.head;
    int64_t width = config.n_embd;
    for (auto [i, hidden] : llvm::enumerate(head.hidden)) {
      std::string name = fmt::format("head.{}", i);
      x = activate(linear(x, name, width, hidden), name + ".act", head.activation);
      width = hidden;
    }
    at("score");
    auto n = static_cast<int64_t>(config.id2label.size());
    Value out = b.create<ir::MatmulOp>(x, param("score.weight", {n, width}), /*transpose_rhs=*/true);
    if (head.score_bias) out = b.create<ir::AddOp>(out, param("score.bias", {n}));
    return out;
  }

  void finishLoss(Value logits) {
    at("loss");
    SmallVector<Value> results = {b.create<ir::CrossEntropyOp>(logits, labels)};
    if (config.classifies()) results.push_back(logits);
    b.create<func::ReturnOp>(results);
    function.setType(b.getFunctionType(function.getArgumentTypes(), TypeRange(ValueRange(results))));
    function.setResultAttr(0, "linnet.name", b.getStringAttr("loss"));
    if (results.size() > 1) function.setResultAttr(1, "linnet.name", b.getStringAttr("logits"));
  }

  void finish(ArrayRef<Value> hidden, Value x) {
    SmallVector<Value> results;
    SmallVector<std::string> names;
    auto add = [&](std::string name, Value value) {
      results.push_back(value);
      names.push_back(std::move(name));
    };
    auto wants = [&](StringRef what) { return llvm::is_contained(spec.outputs, what); };
    // Only the last position goes through the last layer norm and the head.
    if (wants("logits") || wants("token")) {
      Value logits = head(layerNorm(pooled(ir::PoolMode::last, x), "ln_f"));
      if (wants("logits")) add("logits", logits);
      if (wants("token")) add("token", b.create<ir::ArgmaxOp>(logits));
    }
    if (wants("hidden"))
      for (auto [i, value] : llvm::enumerate(hidden)) add(fmt::format("hidden.{}", i), value);
    Value normed;
    auto lnF = [&] { return normed ? normed : normed = layerNorm(x, "ln_f"); };
    if (wants("ln_f")) add("ln_f", lnF());
    for (auto [name, mode] :
         {std::pair("pooled.last", ir::PoolMode::last), std::pair("pooled.mean", ir::PoolMode::mean),
          std::pair("pooled.first", ir::PoolMode::first)})
      if (wants(name)) add(name, pooled(mode, lnF()));
    if (wants("all_logits")) add("logits", head(lnF()));
    if (wants("scores")) add("scores", scores(lnF()));
    size_t n_outputs = results.size();
    results.append(states.begin(), states.end());
    b.create<func::ReturnOp>(results);
    function.setType(b.getFunctionType(function.getArgumentTypes(), TypeRange(ValueRange(results))));
    for (size_t i = 0; i < n_outputs; ++i)
      function.setResultAttr(i, "linnet.name", b.getStringAttr(names[i]));
    for (size_t i = 0; i < states.size(); ++i)
      function.setResultAttr(n_outputs + i, "linnet.state", b.getStringAttr(stateName(i)));
  }

  const Gpt2Config &config;
  const Gpt2Options &options;
  const EntrySpec &spec;
  ImplicitLocOpBuilder b;
  Type f32, i32;
  func::FuncOp function;
  bool trains = false;
  int64_t stream = 0;
  Value ids, past, length, labels, features, seed; ///< arguments; those that the entry has not are null
  SmallVector<Value> states;                       // k.0, v.0, k.1, ...
};

} // namespace

std::vector<EntrySpec> defaultEntries(const Gpt2Config &config, int64_t max_context) {
  int64_t context = max_context ? max_context : config.n_positions;
  int64_t chunk = std::min<int64_t>(context, 256), score_chunk = std::min<int64_t>(context, 64);
  if (config.classifies()) // a text is pooled as a whole, so that it comes in one piece
    return {{"classify", {"scores"}, context},
            {"embed", {"pooled." + config.head.pooling}, context},
            {"hidden", {"hidden", "ln_f"}, chunk}};
  return {{"generate", {"logits", "token"}, chunk},
          {"score", {"all_logits"}, score_chunk},
          {"hidden", {"hidden", "ln_f"}, chunk}};
}

OwningOpRef<ModuleOp> buildGpt2(MLIRContext &context, const Gpt2Config &config, const Gpt2Options &options) {
  context.getOrLoadDialect<ir::LinnetDialect>();
  context.getOrLoadDialect<func::FuncDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context), "gpt2");
  std::vector<EntrySpec> entries =
      options.entries.empty() ? defaultEntries(config, options.max_context) : options.entries;
  for (const EntrySpec &entry : entries) EntryBuilder(*module, config, options, entry).build();
  return module;
}

} // namespace linnet
