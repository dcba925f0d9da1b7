// GPT-NeoX (Black et al., 2022, arXiv:2204.06745) and Pythia: configuration, tensors and shapes.
#include "frontend/model/family.h"
#include "frontend/gpt_neox/settings.h"
#include "frontend/model/config_keys.h"

namespace linnet::gpt_neox {
namespace {

constexpr int64_t kLarge = 1 << 20;

class GptNeoX final : public Family {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "GPT-NeoX",
                                        .model_type = "gpt_neox",
                                        .gguf = nullptr,
                                        .language_model = "GPTNeoXForCausalLM",
                                        .body = "GPTNeoXModel",
                                        .classifier = "GPTNeoXForSequenceClassification",
                                        .body_prefix = "gpt_neox."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {.title = "GPT-NeoX",
                                   .read = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                            "intermediate_size", "max_position_embeddings", "vocab_size",
                                            "hidden_act", "layer_norm_eps", "use_parallel_residual",
                                            "attention_bias", "rotary_pct", "rotary_emb_base", "rope_theta",
                                            "rope_scaling", "rope_parameters"},
                                   .harmless = {"attention_dropout", "hidden_dropout", "classifier_dropout",
                                                "attention_probs_dropout_prob", "hidden_dropout_prob"}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<Settings>();
    model.n_layer = 44, model.n_head = 64, model.n_embd = 6144; // transformers' defaults
    model.n_positions = 2048, model.vocab_size = 50432;
    model.tie_word_embeddings = false;
    reader.integer("num_hidden_layers", model.n_layer, 1, 1024);
    reader.integer("num_attention_heads", model.n_head, 1, 4096);
    reader.integer("hidden_size", model.n_embd, 1, kLarge);
    reader.integer("intermediate_size", settings->intermediate, 1, 8 * kLarge);
    reader.integer("max_position_embeddings", model.n_positions, 1, 16 * kLarge);
    reader.integer("vocab_size", model.vocab_size, 1, 64 * kLarge);
    reader.text("hidden_act", settings->hidden_act);
    reader.number("layer_norm_eps", settings->epsilon, "between 0 and 1",
                  [](double x) { return x > 0 && x < 1; });
    reader.boolean("use_parallel_residual", settings->parallel);
    reader.boolean("attention_bias", settings->attention_bias);
    settings->rotary.partial = 0.25;
    reader.number("rotary_pct", settings->rotary.partial, "above 0 and at most 1",
                  [](double x) { return x > 0 && x <= 1; });
    reader.number("rotary_emb_base", settings->rotary.theta, "a positive number",
                  [](double x) { return x > 0; });
    settings->rotary.read(reader, model.n_positions);
    if (reader.error()) return *reader.error();
    if (model.n_embd % model.n_head)
      reader.fail("hidden_size", "a multiple of num_attention_heads");
    else if (settings->rotary.pairs(model.headSize()) < 1 ||
             2 * settings->rotary.pairs(model.headSize()) > model.headSize())
      reader.fail("rotary_pct", "a part of a head in pairs");
    if (auto activation = activationNamed(settings->hidden_act))
      settings->activation = *activation;
    else
      reader.fail("hidden_act", kActivations);
    if (reader.error()) return *reader.error();
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const Settings &settings = Settings::of(model);
    json["num_hidden_layers"] = model.n_layer;
    json["num_attention_heads"] = model.n_head;
    json["hidden_size"] = model.n_embd;
    json["intermediate_size"] = settings.intermediate;
    json["max_position_embeddings"] = model.n_positions;
    json["vocab_size"] = model.vocab_size;
    json["hidden_act"] = settings.hidden_act;
    json["layer_norm_eps"] = settings.epsilon;
    json["use_parallel_residual"] = settings.parallel;
    json["attention_bias"] = settings.attention_bias;
    json["rope_parameters"] = settings.rotary.toJson();
  }

  /// Matrices are [out, in], as transformers' Linear stores them.
  std::vector<TensorSpec> tensors(const ModelDescription &model) const override {
    const Settings &settings = Settings::of(model);
    const int64_t c = model.n_embd, inner = settings.intermediate;
    std::vector<TensorSpec> all;
    auto norm = [&](int64_t block, const std::string &name) {
      all.push_back({name + ".weight", {c}, TensorRole::norm, block});
      all.push_back({name + ".bias", {c}, TensorRole::norm, block});
    };
    all.push_back({"embed_in.weight", {model.vocab_size, c}, TensorRole::embedding});
    for (int64_t i = 0; i < model.n_layer; ++i) {
      const std::string layer = fmt::format("layers.{}.", i);
      auto linear = [&](TensorRole role, const char *name, int64_t out, int64_t in, bool bias = true) {
        all.push_back({layer + name + ".weight", {out, in}, role, i});
        if (bias) all.push_back({layer + name + ".bias", {out}, TensorRole::weight, i});
      };
      norm(i, layer + "input_layernorm");
      norm(i, layer + "post_attention_layernorm");
      linear(TensorRole::weight, "attention.query_key_value", 3 * c, c, settings.attention_bias);
      linear(TensorRole::residual, "attention.dense", c, c, settings.attention_bias);
      linear(TensorRole::weight, "mlp.dense_h_to_4h", inner, c);
      linear(TensorRole::residual, "mlp.dense_4h_to_h", c, inner);
    }
    norm(-1, "final_layer_norm");
    all.push_back({"embed_out.weight", {model.vocab_size, c}, TensorRole::head});
    return all;
  }

  /// The causal mask and the frequencies of rotary positions as buffers, in old files.
  bool isUnused(std::string_view name) const override {
    return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attention.bias") ||
           name.ends_with(".attention.masked_bias");
  }

  const std::vector<GgufKey> &ggufKeys() const override {
    static const std::vector<GgufKey> none;
    return none;
  }
  Json impliedByGguf() const override { return Json::object(); }
  std::string notInGguf(const ModelDescription &) const override {
    return "export of GPT-NeoX as GGUF is not supported yet";
  }

  /// The published shape: huggingface.co/EleutherAI/pythia-160m.
  std::vector<Preset> presets() const override {
    auto settings = std::make_shared<Settings>();
    settings->intermediate = 3072, settings->rotary.partial = 0.25;
    ModelDescription model;
    model.family = &family();
    model.settings = std::move(settings);
    model.n_layer = model.n_head = 12, model.n_embd = 768, model.n_positions = 2048, model.vocab_size = 50304;
    model.tie_word_embeddings = false;
    model.bos_token_id = 0, model.eos_token_ids = {0};
    return {{"pythia-160m", "EleutherAI/pythia-160m", model}};
  }
};

} // namespace

const Family &family() {
  static const GptNeoX gpt_neox;
  return gpt_neox;
}

} // namespace linnet::gpt_neox
