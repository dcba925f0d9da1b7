// Mistral (Jiang et al., 2023, arXiv:2310.06825): Llama with a window of attention.
#include "frontend/model/decoder.h"

namespace linnet::mistral {

const Family &family();

namespace {

class Mistral final : public DecoderFamily {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "Mistral",
                                        .model_type = "mistral",
                                        .gguf = nullptr, // llama.cpp reads Mistral as Llama
                                        .language_model = "MistralForCausalLM",
                                        .body = "MistralModel",
                                        .classifier = "MistralForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {.title = "Mistral",
                                   .read = with(kDecoderKeys, {"hidden_act", "sliding_window"}),
                                   .harmless = {"attention_dropout"},
                                   .only_value = {{"attention_bias", false}, {"mlp_bias", false}}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<DecoderSettings>();
    model.n_layer = model.n_head = 32; // transformers' defaults
    model.n_key_head = 8;
    model.n_embd = 4096, model.n_positions = 4096 * 32, model.vocab_size = 32000;
    model.tie_word_embeddings = false;
    settings->intermediate = 14336;
    readDecoder(reader, model, *settings);
    int64_t window = reader.isNull("sliding_window") ? 0 : 4096;
    reader.integer("sliding_window", window, 1, 1 << 30);
    if (reader.error()) return *reader.error();
    settings->windows.assign(static_cast<size_t>(model.n_layer), window);
    settings->window_rotary = settings->rotary;
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const DecoderSettings &settings = DecoderSettings::of(model);
    writeDecoder(model, json);
    json["sliding_window"] = widest(settings) ? Json(widest(settings)) : Json();
  }

  std::string notInGguf(const ModelDescription &) const override {
    return "GGUF has no architecture for Mistral; llama.cpp's is Llama's";
  }
  std::vector<Preset> presets() const override { return {}; }
};

} // namespace

const Family &family() {
  static const Mistral mistral;
  return mistral;
}

} // namespace linnet::mistral
