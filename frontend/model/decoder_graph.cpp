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

  Value selfAttention(Value x, int64_t i, const std::string &name) {
    const int64_t c = model.n_embd, size = model.headSize();
    const int64_t window = settings.windows.empty() ? 0 : settings.windows[static_cast<size_t>(i)];
    Value rotation = g.rotaryTable(window ? settings.window_rotary : settings.rotary, size);
    auto rotated = [&](Value y) {
      g.at(name + ".rotary");
      return g.rotary(y, rotation, positions);
    };
    auto normed = [&](Value y, const char *part) {
      return settings.head_norms ? norm(y, name + "." + part + "_norm", size) : y;
    };
    const int64_t n = model.n_head, n_key = model.keyHeads();
    Value q, k, v;
    if (g.training()) {
      auto heads = [&](const char *part, int64_t count) {
        return g.heads(g.project(x, name + "." + part + "_proj", c, count * size, settings.qkv_bias), 0,
                       count, size);
      };
      q = rotated(normed(heads("q", n), "q")), k = rotated(normed(heads("k", n_key), "k")),
      v = heads("v", n_key);
    } else {
      Value qkv = g.projectTogether(
          x, name, c, {{"q_proj", n * size}, {"k_proj", n_key * size}, {"v_proj", n_key * size}},
          settings.qkv_bias);
      if (settings.head_norms) {
        q = rotated(normed(g.heads(qkv, 0, n, size), "q"));
        k = rotated(normed(g.heads(qkv, n * size, n_key, size), "k"));
      } else { // one op for the heads of both
        Value both = rotated(g.heads(qkv, 0, n + n_key, size));
        q = g.b.create<ir::SliceOp>(both, 2, 0, n), k = g.b.create<ir::SliceOp>(both, 2, n, n_key);
      }
      v = g.heads(qkv, (n + n_key) * size, n_key, size);
    }
    AttentionForm form{.scale =
                           settings.attention_scale ? settings.attention_scale : 1 / std::sqrt(double(size)),
                       .window = window,
                       .cap = settings.attention_cap};
    Value a = g.attention(q, k, v, i, form, name);
    return g.project(a, name + ".o_proj", model.n_head * size, c, settings.output_bias);
  }

  Value mlp(Value x, const std::string &name) {
    const int64_t c = model.n_embd, inner = settings.intermediate;
    Value gate = g.project(x, name + ".gate_proj", c, inner, settings.mlp_bias);
    Value up = g.project(x, name + ".up_proj", c, inner, settings.mlp_bias);
    gate = g.activate(gate, name + ".act_fn", settings.activation);
    return g.project(g.b.create<ir::MulOp>(gate, up), name + ".down_proj", inner, c, settings.mlp_bias);
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
