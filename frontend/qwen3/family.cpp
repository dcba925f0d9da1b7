// Qwen 3 (Yang et al., 2025): norms of queries and keys per head.
#include "frontend/model/decoder.h"

namespace linnet::qwen3 {

const Family &family();

namespace {

class Qwen3 final : public DecoderFamily {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "Qwen 3",
                                        .model_type = "qwen3",
                                        .gguf = "qwen3",
                                        .language_model = "Qwen3ForCausalLM",
                                        .body = "Qwen3Model",
                                        .classifier = "Qwen3ForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = "Qwen 3",
        .read = with(kDecoderKeys, {"hidden_act", "sliding_window", "use_sliding_window", "max_window_layers",
                                    "layer_types", "attention_bias"}),
        .harmless = {"attention_dropout", "use_mrope"}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<DecoderSettings>();
    model.n_layer = model.n_head = 32; // transformers' defaults
    model.n_key_head = 32;
    model.n_embd = 4096, model.n_positions = 32768, model.vocab_size = 151936;
    model.tie_word_embeddings = false;
    settings->intermediate = 22016;
    settings->head_norms = true, model.head_size = 128;
    readDecoder(reader, model, *settings);
    reader.boolean("attention_bias", settings->qkv_bias);
    settings->output_bias = settings->qkv_bias;
    readUpperWindows(reader, model, *settings);
    if (reader.error()) return *reader.error();
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const DecoderSettings &settings = DecoderSettings::of(model);
    writeDecoder(model, json);
    writeUpperWindows(settings, json);
    json["attention_bias"] = settings.qkv_bias;
  }

  std::vector<Preset> presets() const override { return {}; }
};

} // namespace

const Family &family() {
  static const Qwen3 qwen3;
  return qwen3;
}

} // namespace linnet::qwen3
