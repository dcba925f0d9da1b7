// GPT-2's part of a graph. C is n_embd.
#include "frontend/model/graph.h"
#include "frontend/gpt2/settings.h"
#include "ir/Linnet.h"

#include <fmt/format.h>

#include <cmath>

using mlir::Value;

namespace linnet::gpt2 {
namespace {

/// The attention of block i on the normalized x (B, T, C).
Value selfAttention(GraphBuilder &g, Value x, int64_t i, const std::string &name) {
  const ModelDescription &model = g.model;
  const Settings &settings = Settings::of(model);
  const int64_t c = model.n_embd;
  Value qkv = g.linear(x, name + ".c_attn", c, 3 * c); // (B, T, 3C)
  g.at(name);
  auto heads = [&](int64_t part) { return g.heads(qkv, part * c, model.n_head, model.headSize()); };
  Value q = heads(0), k = heads(1), v = heads(2);
  double scale = settings.scale_attn_weights ? 1 / std::sqrt(static_cast<double>(model.headSize())) : 1;
  if (settings.scale_attn_by_inverse_layer_idx) scale /= static_cast<double>(i + 1);
  return g.linear(g.attention(q, k, v, i, {.scale = scale}, name), name + ".c_proj", c, c);
}

Value block(GraphBuilder &g, Value x, int64_t i) {
  const Settings &settings = Settings::of(g.model);
  const int64_t c = g.model.n_embd, inner = settings.n_inner;
  const std::string h = fmt::format("h.{}", i);
  auto norm = [&](const char *name) { return g.layerNorm(x, h + name, settings.layer_norm_epsilon); };
  Value a = selfAttention(g, norm(".ln_1"), i, h + ".attn");
  x = g.b.create<ir::AddOp>(g.dropped(a), x);
  Value u = g.linear(norm(".ln_2"), h + ".mlp.c_fc", c, inner);
  u = g.activate(u, h + ".mlp.act", settings.activation);
  Value m = g.linear(u, h + ".mlp.c_proj", inner, c);
  return g.b.create<ir::AddOp>(g.dropped(m), x);
}

} // namespace

GraphParts graph(GraphBuilder &g) {
  const ModelDescription &model = g.model;
  Value x = g.embed("wte", model.vocab_size, g.ids());
  g.at("wpe");
  Value p = g.embed("wpe", model.n_positions, g.positions(model.n_positions));
  x = g.dropped(g.b.create<ir::AddOp>(x, p));
  GraphParts parts;
  parts.hidden = {x};
  for (int64_t i = 0; i < model.n_layer; ++i) parts.hidden.push_back(block(g, parts.hidden.back(), i));
  parts.norm_name = "ln_f";
  parts.norm = [&g](Value x) { return g.layerNorm(x, "ln_f", Settings::of(g.model).layer_norm_epsilon); };
  parts.logits = [&g](Value x) {
    return g.head(x, g.model.tie_word_embeddings ? "wte.weight" : "lm_head.weight");
  };
  return parts;
}

} // namespace linnet::gpt2
