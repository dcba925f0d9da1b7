// Llama 2 and 3 (Touvron et al., 2023; Dubey et al., 2024), SmolLM, SmolLM2 and TinyLlama: configuration and shapes.
#include "frontend/model/decoder.h"

namespace linnet::llama {

const Family &family();

namespace {

class Llama final : public DecoderFamily {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "Llama",
                                        .model_type = "llama",
                                        .gguf = "llama",
                                        .language_model = "LlamaForCausalLM",
                                        .body = "LlamaModel",
                                        .classifier = "LlamaForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = "Llama",
        .read = with(kDecoderKeys, {"hidden_act", "attention_bias", "mlp_bias"}),
        .harmless = {"attention_dropout", "pretraining_tp", "rope_interleaved", "is_llama_config"},
        .only_value = {{"sliding_window", nullptr}}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<DecoderSettings>();
    model.n_layer = model.n_head = 32; // transformers' defaults
    model.n_embd = 4096, model.n_positions = 2048, model.vocab_size = 32000;
    model.tie_word_embeddings = false;
    settings->intermediate = 11008, settings->paired_in_gguf = true;
    readDecoder(reader, model, *settings);
    reader.boolean("attention_bias", settings->qkv_bias);
    reader.boolean("mlp_bias", settings->mlp_bias);
    settings->output_bias = settings->qkv_bias;
    if (reader.error()) return *reader.error();
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    writeDecoder(model, json);
    json["attention_bias"] = DecoderSettings::of(model).qkv_bias;
    json["mlp_bias"] = DecoderSettings::of(model).mlp_bias;
  }

  /// Published shapes: huggingface.co/HuggingFaceTB/SmolLM2-135M and TinyLlama/TinyLlama-1.1B-Chat-v1.0.
  std::vector<Preset> presets() const override {
    auto smollm = std::make_shared<DecoderSettings>();
    smollm->intermediate = 1536, smollm->epsilon = 1e-5, smollm->rotary.theta = 100000,
    smollm->paired_in_gguf = true;
    auto tiny_llama = std::make_shared<DecoderSettings>();
    tiny_llama->intermediate = 5632, tiny_llama->epsilon = 1e-5, tiny_llama->paired_in_gguf = true;
    return {{"smollm2-135m", "HuggingFaceTB/SmolLM2-135M",
             decoderShape(family(), smollm, {30, 9, 3, 576, 8192, 49152, true, 0, 0})},
            {"tinyllama-1.1b", "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
             decoderShape(family(), tiny_llama, {22, 32, 4, 2048, 2048, 32000, false, 1, 2})}};
  }
};

} // namespace

const Family &family() {
  static const Llama llama;
  return llama;
}

} // namespace linnet::llama
