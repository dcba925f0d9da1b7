// GPT-NeoX's part of a graph. C is n_embd, D the size of a head.
#include "frontend/model/graph.h"
#include "frontend/gpt_neox/settings.h"
#include "ir/Linnet.h"

#include <fmt/format.h>

#include <cmath>

using mlir::Value;

namespace linnet::gpt_neox {
namespace {

/// The attention of block i on the normalized x (B, T, C). Each head has its query, key and value side by side.
Value selfAttention(GraphBuilder &g, Value x, int64_t i, const std::string &name, Value positions) {
  const ModelDescription &model = g.model;
  const Settings &settings = Settings::of(model);
  const int64_t c = model.n_embd, size = model.headSize();
  Value table = g.rotaryTable(settings.rotary, size);
  Value qkv = g.project(x, name + ".query_key_value", c, 3 * c, settings.attention_bias); // (B, T, 3C)
  g.at(name);
  qkv = g.heads(qkv, 0, model.n_head, 3 * size); // (B, T, n_head, 3D)
  auto part = [&](int64_t number) {
    return g.b.create<ir::SliceOp>(qkv, 3, number * size, size).getResult();
  };
  Value q = g.rotary(part(0), table, positions), k = g.rotary(part(1), table, positions);
  Value a = g.attention(q, k, part(2), i, {.scale = 1 / std::sqrt(static_cast<double>(size))}, name);
  return g.project(a, name + ".dense", c, c, settings.attention_bias);
}

Value block(GraphBuilder &g, Value x, int64_t i, Value positions) {
  const Settings &settings = Settings::of(g.model);
  const int64_t c = g.model.n_embd, inner = settings.intermediate;
  const std::string layer = fmt::format("layers.{}", i);
  auto norm = [&](Value y, const char *name) { return g.layerNorm(y, layer + name, settings.epsilon); };
  auto added = [&](Value part, Value to) { return g.b.create<ir::AddOp>(g.dropped(part), to).getResult(); };
  Value attended =
      added(selfAttention(g, norm(x, ".input_layernorm"), i, layer + ".attention", positions), x);
  Value u = norm(settings.parallel ? x : attended, ".post_attention_layernorm");
  u = g.project(u, layer + ".mlp.dense_h_to_4h", c, inner, true);
  u = g.activate(u, layer + ".mlp.act", settings.activation);
  return added(g.project(u, layer + ".mlp.dense_4h_to_h", inner, c, true), attended);
}

} // namespace

GraphParts graph(GraphBuilder &g) {
  const ModelDescription &model = g.model;
  Value x = g.dropped(g.embed("embed_in", model.vocab_size, g.ids()));
  Value positions = g.positions(g.mostPositions());
  GraphParts parts;
  parts.hidden = {x};
  for (int64_t i = 0; i < model.n_layer; ++i)
    parts.hidden.push_back(block(g, parts.hidden.back(), i, positions));
  parts.norm_name = "final_layer_norm";
  parts.norm = [&g](Value x) { return g.layerNorm(x, "final_layer_norm", Settings::of(g.model).epsilon); };
  parts.logits = [&g](Value x) {
    return g.head(x, g.model.tie_word_embeddings ? "embed_in.weight" : "embed_out.weight");
  };
  return parts;
}

} // namespace linnet::gpt_neox
