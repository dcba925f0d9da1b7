// GPT-2 (Radford et al., 2019): its configuration, the names of its tensors, and its published shapes.
#include "frontend/model/family.h"
#include "frontend/gpt2/settings.h"
#include "frontend/model/config_keys.h"
#include "frontend/model/json_reader.h"

namespace linnet::gpt2 {
namespace {

constexpr int64_t kLarge = 1 << 20;

ModelDescription shape(int64_t layers, int64_t heads, int64_t width, int64_t positions, int64_t vocabulary) {
  auto settings = std::make_shared<Settings>();
  settings->n_inner = 4 * width;
  ModelDescription model;
  model.family = &family();
  model.settings = std::move(settings);
  model.n_layer = layers;
  model.n_head = heads;
  model.n_embd = width;
  model.n_positions = positions;
  model.vocab_size = vocabulary;
  model.bos_token_id = vocabulary - 1;
  model.eos_token_ids = {vocabulary - 1};
  return model;
}

class Gpt2 final : public Family {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "GPT-2",
                                        .model_type = "gpt2",
                                        .gguf = "gpt2",
                                        .language_model = "GPT2LMHeadModel",
                                        .body = "GPT2Model",
                                        .classifier = "GPT2ForSequenceClassification",
                                        .body_prefix = "transformer."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = "GPT-2",
        .read = {"n_layer", "n_head", "n_embd", "n_inner", "n_positions", "vocab_size", "activation_function",
                 "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"},
        .harmless = {"attn_pdrop", "embd_pdrop", "resid_pdrop", "n_ctx", "n_special",
                     "predict_special_tokens", "reorder_and_upcast_attn", "summary_activation",
                     "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj"},
        .only_value = {{"rope_scaling", nullptr}, {"position_embedding_type", "absolute"}},
        .aliases = {{"hidden_act", {"activation_function", "gelu_new"}}}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<Settings>();
    model.n_layer = model.n_head = 12; // transformers' defaults
    model.n_embd = 768, model.n_positions = 1024, model.vocab_size = 50257;
    reader.integer("n_layer", model.n_layer, 1, 1024);
    reader.integer("n_head", model.n_head, 1, 4096);
    reader.integer("n_embd", model.n_embd, 1, kLarge);
    reader.integer("n_inner", settings->n_inner, 1, 8 * kLarge);
    reader.integer("n_positions", model.n_positions, 1, 16 * kLarge);
    reader.integer("vocab_size", model.vocab_size, 1, 64 * kLarge);
    reader.text("activation_function", settings->activation_function);
    reader.number("layer_norm_epsilon", settings->layer_norm_epsilon, "between 0 and 1",
                  [](double x) { return x > 0 && x < 1; });
    reader.boolean("scale_attn_weights", settings->scale_attn_weights);
    reader.boolean("scale_attn_by_inverse_layer_idx", settings->scale_attn_by_inverse_layer_idx);
    if (reader.error()) return *reader.error();
    if (!settings->n_inner) settings->n_inner = 4 * model.n_embd;
    if (model.n_embd % model.n_head)
      return errorf("{}: n_embd {} is not a multiple of n_head {}", reader.file(), model.n_embd,
                    model.n_head);
    auto activation = activationNamed(settings->activation_function);
    if (!activation)
      return errorf("{}: activation_function \"{}\" is not supported ({})", reader.file(),
                    settings->activation_function.substr(0, 40), kActivations);
    settings->activation = *activation;
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const Settings &settings = Settings::of(model);
    json["n_layer"] = model.n_layer;
    json["n_head"] = model.n_head;
    json["n_embd"] = model.n_embd;
    json["n_inner"] = settings.n_inner;
    json["n_positions"] = model.n_positions;
    json["n_ctx"] = model.n_positions;
    json["vocab_size"] = model.vocab_size;
    json["activation_function"] = settings.activation_function;
    json["layer_norm_epsilon"] = settings.layer_norm_epsilon;
    json["scale_attn_weights"] = settings.scale_attn_weights;
    json["scale_attn_by_inverse_layer_idx"] = settings.scale_attn_by_inverse_layer_idx;
  }

  /// Matrices are [in, out], as Conv1D stores them; GGUF has them transposed.
  std::vector<TensorSpec> tensors(const ModelDescription &model) const override {
    const int64_t c = model.n_embd, inner = Settings::of(model).n_inner;
    std::vector<TensorSpec> all;
    auto add = [&](TensorRole role, int64_t block, const std::string &name, const std::string &gguf,
                   std::vector<int64_t> shape, bool transposed = false) {
      all.push_back({name, std::move(shape), role, block, gguf, transposed});
    };
    auto norm = [&](int64_t block, const std::string &name, const std::string &gguf) {
      add(TensorRole::norm, block, name + ".weight", gguf + ".weight", {c});
      add(TensorRole::norm, block, name + ".bias", gguf + ".bias", {c});
    };
    add(TensorRole::embedding, -1, "wte.weight", "token_embd.weight", {model.vocab_size, c});
    add(TensorRole::positions, -1, "wpe.weight", "position_embd.weight", {model.n_positions, c});
    for (int64_t i = 0; i < model.n_layer; ++i) {
      const std::string h = fmt::format("h.{}.", i), blk = fmt::format("blk.{}.", i);
      auto linear = [&](TensorRole role, const char *name, const char *gguf, int64_t in, int64_t out) {
        add(role, i, h + name + ".weight", blk + gguf + ".weight", {in, out}, true);
        add(TensorRole::weight, i, h + name + ".bias", blk + gguf + ".bias", {out});
      };
      norm(i, h + "ln_1", blk + "attn_norm");
      linear(TensorRole::weight, "attn.c_attn", "attn_qkv", c, 3 * c);
      linear(TensorRole::residual, "attn.c_proj", "attn_output", c, c);
      norm(i, h + "ln_2", blk + "ffn_norm");
      linear(TensorRole::weight, "mlp.c_fc", "ffn_up", c, inner);
      linear(TensorRole::residual, "mlp.c_proj", "ffn_down", inner, c);
    }
    norm(-1, "ln_f", "output_norm");
    add(TensorRole::head, -1, "lm_head.weight", "output.weight", {model.vocab_size, c});
    return all;
  }

  /// h.N.attn.bias and h.N.attn.masked_bias: the causal mask as a buffer, in old exports.
  bool isUnused(std::string_view name) const override {
    return name.starts_with("h.") && (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")) &&
           std::count(name.begin(), name.end(), '.') == 3;
  }

  const std::vector<GgufKey> &ggufKeys() const override {
    static const std::vector<GgufKey> all = {
        {"context_length", "n_positions"},  {"embedding_length", "n_embd"},
        {"block_count", "n_layer"},         {"feed_forward_length", "n_inner"},
        {"attention.head_count", "n_head"}, {"attention.layer_norm_epsilon", "layer_norm_epsilon", true}};
    return all;
  }
  Json impliedByGguf() const override { return {{"activation_function", "gelu_new"}}; }
  std::string notInGguf(const ModelDescription &model) const override {
    const Settings &settings = Settings::of(model);
    if (settings.activation != ActivationFunction::gelu_tanh)
      return "llama.cpp's GPT-2 has the tanh GELU; activation_function is " + settings.activation_function;
    if (!settings.scale_attn_weights || settings.scale_attn_by_inverse_layer_idx)
      return "llama.cpp's GPT-2 scales attention by 1/sqrt(head size) in every layer; this model does not";
    return {};
  }

  /// The published shapes (huggingface.co/openai-community), and two of Linnet's.
  std::vector<Preset> presets() const override {
    return {{"gpt2", "openai-community/gpt2", shape(12, 12, 768, 1024, 50257)},
            {"gpt2-medium", "openai-community/gpt2-medium", shape(24, 16, 1024, 1024, 50257)},
            {"gpt2-large", "openai-community/gpt2-large", shape(36, 20, 1280, 1024, 50257)},
            {"gpt2-xl", "openai-community/gpt2-xl", shape(48, 25, 1600, 1024, 50257)},
            {"distilgpt2", "distilbert/distilgpt2", shape(6, 12, 768, 1024, 50257)},
            {"tiny", nullptr, shape(4, 4, 128, 256, 257), true},
            {"stories", nullptr, shape(4, 4, 256, 256, 2048)}};
  }
};

} // namespace

const Family &family() {
  static const Gpt2 gpt2;
  return gpt2;
}

} // namespace linnet::gpt2
