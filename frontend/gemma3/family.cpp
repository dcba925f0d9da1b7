// Gemma 3, the text models (Gemma Team, 2025, arXiv:2503.19786): norms around attention and MLP that multiply by 1 +
// weight, scaled embeddings, and layers with a window that have a rotary base of their own.
#include "frontend/model/decoder.h"

#include <cmath>

namespace linnet::gemma3 {

const Family &family();

namespace {

constexpr int64_t kPattern = 6; ///< every sixth layer has no window

/// Sets the fields that follow from the sizes.
void finish(const ModelDescription &model, DecoderSettings &settings, double query_scalar) {
  settings.head_norms = settings.sandwich_norms = settings.gain_from_one = true;
  settings.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(model.n_embd)));
  settings.attention_scale = 1 / std::sqrt(query_scalar);
}

class Gemma3 final : public DecoderFamily {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "Gemma 3",
                                        .model_type = "gemma3_text",
                                        .gguf = nullptr,
                                        .language_model = "Gemma3ForCausalLM",
                                        .body = "Gemma3TextModel",
                                        .classifier = "Gemma3TextForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = "Gemma 3",
        .read = with(kDecoderKeys, {"hidden_activation", "sliding_window", "sliding_window_pattern",
                                    "_sliding_window_pattern", "layer_types", "rope_local_base_freq",
                                    "query_pre_attn_scalar", "final_logit_softcapping"}),
        .harmless = {"attention_dropout", "cache_implementation"},
        .only_value = {{"attention_bias", false},
                       {"use_bidirectional_attention", false},
                       {"attn_logit_softcapping", nullptr}}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<DecoderSettings>();
    model.n_layer = 26, model.n_head = 8, model.n_key_head = 4,
    model.head_size = 256; // transformers' defaults
    model.n_embd = 2304, model.n_positions = 131072, model.vocab_size = 262208;
    settings->intermediate = 9216, settings->hidden_act = "gelu_pytorch_tanh";
    settings->rotary.theta = 1e6;
    readDecoder(reader, model, *settings, "hidden_activation");
    settings->rotary.read(reader, model.n_positions, "full_attention");
    reader.number("rope_local_base_freq", settings->window_rotary.theta, "a positive number",
                  [](double x) { return x > 0; });
    if (reader.object("rope_parameters"))
      settings->window_rotary.read(reader, model.n_positions, "sliding_attention");
    if (settings->rotary.partial != 1 || settings->window_rotary.partial != 1)
      reader.fail("rope_parameters", "without partial_rotary_factor");
    int64_t window = 4096, pattern = kPattern;
    double query_scalar = 256;
    auto positive = [](double x) { return x > 0; };
    reader.integer("sliding_window", window, 1, 1 << 30);
    reader.integer("_sliding_window_pattern", pattern, 1, 1 << 20);
    reader.integer("sliding_window_pattern", pattern, 1, 1 << 20);
    reader.number("query_pre_attn_scalar", query_scalar, "a positive number", positive);
    reader.number("final_logit_softcapping", settings->logit_cap, "a positive number", positive);
    if (!reader.error())
      readWindows(reader, model, *settings, window,
                  [&](int64_t layer) { return (layer + 1) % pattern != 0; });
    if (reader.error()) return *reader.error();
    finish(model, *settings, query_scalar);
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const DecoderSettings &settings = DecoderSettings::of(model);
    writeDecoder(model, json, "hidden_activation");
    json["rope_parameters"] = {{"full_attention", settings.rotary.toJson()},
                               {"sliding_attention", settings.window_rotary.toJson()}};
    if (widest(settings)) json["sliding_window"] = widest(settings);
    json["layer_types"] = layerTypes(settings);
    const double scalar = 1 / (settings.attention_scale * settings.attention_scale);
    const auto whole = static_cast<int64_t>(std::llround(scalar)); // transformers takes no 256.0
    json["query_pre_attn_scalar"] =
        std::fabs(scalar - static_cast<double>(whole)) < 1e-9 * scalar ? Json(whole) : Json(scalar);
    json["final_logit_softcapping"] = settings.logit_cap > 0 ? Json(settings.logit_cap) : Json();
  }

  std::string notInGguf(const ModelDescription &) const override {
    return "export of Gemma 3 as GGUF is not supported yet";
  }

  /// The published shape: huggingface.co/google/gemma-3-270m.
  std::vector<Preset> presets() const override {
    auto settings = std::make_shared<DecoderSettings>();
    settings->intermediate = 2048, settings->hidden_act = "gelu_pytorch_tanh";
    settings->activation = ActivationFunction::gelu_tanh;
    settings->rotary.theta = 1e6;
    for (int64_t i = 1; i <= 18; ++i) settings->windows.push_back(i % kPattern ? 512 : 0);
    ModelDescription model = decoderShape(family(), settings, {18, 4, 1, 640, 32768, 262144, true, 2, 1});
    model.head_size = 256;
    finish(model, *settings, 256);
    return {{"gemma3-270m", "google/gemma-3-270m", model}};
  }
};

} // namespace

const Family &family() {
  static const Gemma3 gemma3;
  return gemma3;
}

} // namespace linnet::gemma3
