#include "frontend/model/decoder.h"

namespace linnet {

constexpr int64_t kLarge = 1 << 20;

const std::set<std::string, std::less<>> kDecoderKeys = {"hidden_size",
                                                         "num_hidden_layers",
                                                         "num_attention_heads",
                                                         "num_key_value_heads",
                                                         "head_dim",
                                                         "intermediate_size",
                                                         "max_position_embeddings",
                                                         "vocab_size",
                                                         "rms_norm_eps",
                                                         "rope_theta",
                                                         "rope_scaling",
                                                         "rope_parameters"};

void readDecoder(JsonReader &reader, ModelDescription &model, DecoderSettings &settings, const char *act) {
  reader.integer("num_hidden_layers", model.n_layer, 1, 1024);
  reader.integer("num_attention_heads", model.n_head, 1, 4096);
  reader.integer("hidden_size", model.n_embd, 1, kLarge);
  reader.integer("intermediate_size", settings.intermediate, 1, 8 * kLarge);
  reader.integer("max_position_embeddings", model.n_positions, 1, 16 * kLarge);
  reader.integer("vocab_size", model.vocab_size, 1, 64 * kLarge);
  reader.integer("num_key_value_heads", model.n_key_head, 1, 4096);
  reader.integer("head_dim", model.head_size, 2, kLarge);
  reader.number("rms_norm_eps", settings.epsilon, "between 0 and 1", [](double x) { return x > 0 && x < 1; });
  reader.text(act, settings.hidden_act);
  if (reader.isNull("num_key_value_heads")) model.n_key_head = 0;
  if (!reader.error()) settings.rotary.read(reader, model.n_positions);
  if (reader.error()) return;
  if (model.n_head % model.keyHeads()) reader.fail("num_key_value_heads", "a divisor of num_attention_heads");
  if (!model.head_size && model.n_embd % model.n_head)
    reader.fail("hidden_size", "a multiple of num_attention_heads, as there is no head_dim");
  if (settings.rotary.partial != 1) reader.fail("rope_parameters", "without partial_rotary_factor");
  if (settings.rotary.pairs(model.headSize()) * 2 > model.headSize() ||
      settings.rotary.pairs(model.headSize()) < 1)
    reader.fail("head_dim", "an even number, of which rotary positions rotate a part");
  if (auto activation = activationNamed(settings.hidden_act))
    settings.activation = *activation;
  else
    reader.fail(act, kActivations);
}

void writeDecoder(const ModelDescription &model, Json &json, const char *act) {
  const DecoderSettings &settings = DecoderSettings::of(model);
  json["num_hidden_layers"] = model.n_layer;
  json["num_attention_heads"] = model.n_head;
  json["num_key_value_heads"] = model.keyHeads();
  json["head_dim"] = model.headSize();
  json["hidden_size"] = model.n_embd;
  json["intermediate_size"] = settings.intermediate;
  json["max_position_embeddings"] = model.n_positions;
  json["vocab_size"] = model.vocab_size;
  json["rms_norm_eps"] = settings.epsilon;
  json[act] = settings.hidden_act;
  json["rope_parameters"] = settings.rotary.toJson();
}

Json layerTypes(const DecoderSettings &settings) {
  Json types = Json::array();
  for (int64_t window : settings.windows) types.push_back(window ? "sliding_attention" : "full_attention");
  return types;
}

void readUpperWindows(JsonReader &reader, const ModelDescription &model, DecoderSettings &settings) {
  int64_t window = reader.isNull("sliding_window") ? 0 : 4096, full_layers = 28;
  bool use_window = false;
  reader.boolean("use_sliding_window", use_window);
  reader.integer("sliding_window", window, 1, 1 << 30);
  reader.integer("max_window_layers", full_layers, 0, 1 << 20);
  if (!use_window) window = 0;
  if (!reader.error())
    readWindows(reader, model, settings, window,
                [&](int64_t layer) { return window && layer >= full_layers; });
  settings.window_rotary = settings.rotary;
}

void writeUpperWindows(const DecoderSettings &settings, Json &json) {
  const int64_t window = widest(settings);
  json["use_sliding_window"] = window > 0;
  json["sliding_window"] = window ? Json(window) : Json();
  json["layer_types"] = layerTypes(settings);
}

int64_t widest(const DecoderSettings &settings) {
  int64_t window = 0;
  for (int64_t each : settings.windows) window = std::max(window, each);
  return window;
}

ModelDescription decoderShape(const Family &family, std::shared_ptr<const DecoderSettings> settings,
                              const DecoderShape &shape) {
  ModelDescription model;
  model.family = &family;
  model.settings = std::move(settings);
  model.n_layer = shape.layers, model.n_head = shape.heads, model.n_key_head = shape.key_heads;
  model.n_embd = shape.width, model.n_positions = shape.positions, model.vocab_size = shape.vocabulary;
  model.tie_word_embeddings = shape.tied;
  model.bos_token_id = shape.bos;
  model.eos_token_ids = {shape.eos};
  return model;
}

bool isRotaryBuffer(std::string_view name) { return name.ends_with("rotary_emb.inv_freq"); }

std::string decoderNotInGguf(const ModelDescription &model) {
  const DecoderSettings &settings = DecoderSettings::of(model);
  if (settings.activation != ActivationFunction::silu)
    return "llama.cpp has silu here; hidden_act is " + settings.hidden_act;
  if (widest(settings)) return "llama.cpp has no window of attention here";
  if (settings.rotary.type != "default")
    return "export of rope_type " + settings.rotary.type + " as GGUF is not supported yet";
  return {};
}

std::vector<TensorSpec> decoderTensors(const ModelDescription &model) {
  const DecoderSettings &settings = DecoderSettings::of(model);
  const int64_t c = model.n_embd, inner = settings.intermediate, q = model.n_head * model.headSize(),
                kv = model.keyHeads() * model.headSize();
  std::vector<TensorSpec> all;
  auto add = [&](TensorRole role, int64_t block, const std::string &name, const std::string &gguf,
                 std::vector<int64_t> shape) {
    all.push_back({name, std::move(shape), role, block, gguf});
  };
  add(TensorRole::embedding, -1, "embed_tokens.weight", "token_embd.weight", {model.vocab_size, c});
  for (int64_t i = 0; i < model.n_layer; ++i) {
    const std::string layer = fmt::format("layers.{}.", i), blk = fmt::format("blk.{}.", i);
    auto linear = [&](TensorRole role, const char *name, const char *gguf, int64_t out, int64_t in,
                      bool bias) {
      add(role, i, layer + name + ".weight", blk + gguf + ".weight", {out, in});
      if (bias) add(TensorRole::weight, i, layer + name + ".bias", blk + gguf + ".bias", {out});
    };
    // llama.cpp rotates neighbours here, so its converter reorders the rows.
    auto paired = [&](int64_t heads) {
      if (!settings.paired_in_gguf) return;
      all.back().paired_heads = heads;
      if (settings.qkv_bias) all[all.size() - 2].paired_heads = heads;
    };
    auto norm = [&](const char *name, const char *gguf, int64_t width) {
      add(TensorRole::norm, i, layer + name + ".weight", blk + gguf + ".weight", {width});
    };
    const bool sandwich = settings.sandwich_norms;
    norm("input_layernorm", "attn_norm", c);
    linear(TensorRole::weight, "self_attn.q_proj", "attn_q", q, c, settings.qkv_bias);
    paired(model.n_head);
    linear(TensorRole::weight, "self_attn.k_proj", "attn_k", kv, c, settings.qkv_bias);
    paired(model.keyHeads());
    linear(TensorRole::weight, "self_attn.v_proj", "attn_v", kv, c, settings.qkv_bias);
    if (settings.head_norms) {
      norm("self_attn.q_norm", "attn_q_norm", model.headSize());
      norm("self_attn.k_norm", "attn_k_norm", model.headSize());
    }
    linear(TensorRole::residual, "self_attn.o_proj", "attn_output", c, q, settings.output_bias);
    norm("post_attention_layernorm", sandwich ? "post_attention_norm" : "ffn_norm", c);
    if (sandwich) {
      norm("pre_feedforward_layernorm", "ffn_norm", c);
      norm("post_feedforward_layernorm", "post_ffw_norm", c);
    }
    linear(TensorRole::weight, "mlp.gate_proj", "ffn_gate", inner, c, settings.mlp_bias);
    linear(TensorRole::weight, "mlp.up_proj", "ffn_up", inner, c, settings.mlp_bias);
    linear(TensorRole::residual, "mlp.down_proj", "ffn_down", c, inner, settings.mlp_bias);
  }
  add(TensorRole::norm, -1, "norm.weight", "output_norm.weight", {c});
  add(TensorRole::head, -1, "lm_head.weight", "output.weight", {model.vocab_size, c});
  return all;
}

const std::vector<GgufKey> &DecoderFamily::ggufKeys() const {
  static const std::vector<GgufKey> all = {{"context_length", "max_position_embeddings"},
                                           {"embedding_length", "hidden_size"},
                                           {"block_count", "num_hidden_layers"},
                                           {"feed_forward_length", "intermediate_size"},
                                           {"attention.head_count", "num_attention_heads"},
                                           {"attention.head_count_kv", "num_key_value_heads"},
                                           {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true},
                                           {"rope.freq_base", "/rope_parameters/rope_theta", true, true},
                                           {"rope.dimension_count", "head_dim", false, true},
                                           {"attention.key_length", "head_dim", false, true},
                                           {"attention.value_length", "head_dim", false, true}};
  return all;
}

} // namespace linnet
