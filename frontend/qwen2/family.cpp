// Qwen 2 and 2.5 (Yang et al., 2024): biases of queries, keys and values.
#include "frontend/model/decoder.h"

namespace linnet::qwen2 {

const Family &family();

namespace {

class Qwen2 final : public DecoderFamily {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "Qwen 2",
                                        .model_type = "qwen2",
                                        .gguf = "qwen2",
                                        .language_model = "Qwen2ForCausalLM",
                                        .body = "Qwen2Model",
                                        .classifier = "Qwen2ForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = "Qwen 2",
        .read = with(kDecoderKeys, {"hidden_act", "sliding_window", "use_sliding_window", "max_window_layers",
                                    "layer_types"}),
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
    settings->qkv_bias = true;
    readDecoder(reader, model, *settings);
    readUpperWindows(reader, model, *settings);
    if (reader.error()) return *reader.error();
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    const DecoderSettings &settings = DecoderSettings::of(model);
    writeDecoder(model, json);
    writeUpperWindows(settings, json);
  }

  /// The published shape: huggingface.co/Qwen/Qwen2.5-0.5B.
  std::vector<Preset> presets() const override {
    auto settings = std::make_shared<DecoderSettings>();
    settings->intermediate = 4864, settings->qkv_bias = true, settings->rotary.theta = 1e6;
    return {{"qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B",
             decoderShape(family(), settings, {24, 14, 2, 896, 32768, 151936, true, {}, 151643})}};
  }
};

} // namespace

const Family &family() {
  static const Qwen2 qwen2;
  return qwen2;
}

} // namespace linnet::qwen2
