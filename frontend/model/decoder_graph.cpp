#include "frontend/model/decoder_graph.h"
#include "frontend/model/decoder.h"
#include "ir/Linnet.h"

#include <fmt/format.h>

#include <cmath>

using mlir::Value;

namespace linnet {
namespace {

class Decoder {
public:
  explicit Decoder(GraphBuilder &g) : g(g), model(g.model), settings(DecoderSettings::of(g.model)) {}

  GraphParts build() {
    Value x = g.embed("embed_tokens", model.vocab_size, g.ids());
    if (settings.embedding_scale != 1) x = g.scaled(x, settings.embedding_scale);
    x = g.dropped(x);
    positions = g.positions(g.mostPositions());
    GraphParts parts;
    parts.hidden = {x};
    for (int64_t i = 0; i < model.n_layer; ++i) parts.hidden.push_back(block(parts.hidden.back(), i));
    parts.norm_name = "norm";
    // Copies, because this object is gone when they are called.
    parts.norm = [builder = &g](Value x) { return Decoder(*builder).norm(x, "norm"); };
    parts.logits = [builder = &g](Value x) { return Decoder(*builder).logits(x); };
    return parts;
  }

private:
  Value norm(Value x, const std::string &name, int64_t width = 0) {
    return g.rmsNorm(x, name, settings.epsilon, width ? width : model.n_embd, settings.gain_from_one);
  }

  Value logits(Value x) {
    Value scores = g.head(x, model.tie_word_embeddings ? "embed_tokens.weight" : "lm_head.weight");
    return settings.logit_cap ? g.capped(scores, settings.logit_cap) : scores;
  }

  Value project(Value x, const std::string &name, int64_t in, int64_t out, bool bias) {
    return g.project(x, name, in, out, bias);
  }

  Value selfAttention(Value x, int64_t i, const std::string &name) {
    const int64_t c = model.n_embd, size = model.headSize();
    const int64_t window = settings.windows.empty() ? 0 : settings.windows[static_cast<size_t>(i)];
    Value rotation = g.rotaryTable(window ? settings.window_rotary : settings.rotary, size);
    auto heads = [&](const char *part, int64_t count) {
      Value y = project(x, name + "." + part + "_proj", c, count * size, settings.qkv_bias);
      return g.heads(y, 0, count, size);
    };
    auto placed = [&](const char *part, int64_t count) {
      Value y = heads(part, count);
      if (settings.head_norms) y = norm(y, name + "." + part + "_norm", size);
      g.at(name + ".rotary");
      return g.rotary(y, rotation, positions);
    };
    Value q = placed("q", model.n_head), k = placed("k", model.keyHeads()), v = heads("v", model.keyHeads());
    AttentionForm form{.scale =
                           settings.attention_scale ? settings.attention_scale : 1 / std::sqrt(double(size)),
                       .window = window,
                       .cap = settings.attention_cap};
    Value a = g.attention(q, k, v, i, form, name);
    return project(a, name + ".o_proj", model.n_head * size, c, settings.output_bias);
  }

  Value mlp(Value x, const std::string &name) {
    const int64_t c = model.n_embd, inner = settings.intermediate;
    Value gate = project(x, name + ".gate_proj", c, inner, settings.mlp_bias);
    Value up = project(x, name + ".up_proj", c, inner, settings.mlp_bias);
    gate = g.activate(gate, name + ".act_fn", settings.activation);
    return project(g.b.create<ir::MulOp>(gate, up), name + ".down_proj", inner, c, settings.mlp_bias);
  }

  Value block(Value x, int64_t i) {
    const std::string layer = fmt::format("layers.{}", i);
    auto added = [&](Value part, const char *behind) {
      if (behind && settings.sandwich_norms) part = norm(part, layer + behind);
      return g.b.create<ir::AddOp>(g.dropped(part), x).getResult();
    };
    Value a = selfAttention(norm(x, layer + ".input_layernorm"), i, layer + ".self_attn");
    x = added(a, ".post_attention_layernorm");
    const char *before = settings.sandwich_norms ? ".pre_feedforward_layernorm" : ".post_attention_layernorm";
    return added(mlp(norm(x, layer + before), layer + ".mlp"), ".post_feedforward_layernorm");
  }

  GraphBuilder &g;
  const ModelDescription &model;
  const DecoderSettings &settings;
  Value positions;
};

} // namespace

GraphParts decoderGraph(GraphBuilder &builder) { return Decoder(builder).build(); }

} // namespace linnet
