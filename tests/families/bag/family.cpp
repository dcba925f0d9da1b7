// The files of a bag of embeddings: config.json, names of tensors, GGUF, and one preset.
#include "tests/families/bag/family.h"
#include "frontend/model/config_keys.h"
#include "frontend/model/json_reader.h"

namespace linnet::bag {
namespace {

constexpr int64_t kLarge = 1 << 20;

class Bag final : public Family {
public:
  const FamilyNames &names() const override {
    static constexpr FamilyNames all = {.title = "the bag of embeddings",
                                        .model_type = "bag",
                                        .gguf = "bag",
                                        .language_model = "BagForCausalLM",
                                        .body = "BagModel",
                                        .classifier = "BagForSequenceClassification",
                                        .body_prefix = "model."};
    return all;
  }

  const ConfigKeys &keys() const override {
    static const ConfigKeys all = {
        .title = names().title,
        .read = {"hidden_size", "max_position_embeddings", "vocab_size", "norm_eps"},
        .harmless = {"hidden_dropout"},
        .only_value = {{"attention_bias", false}},
        .aliases = {}};
    return all;
  }

  Result<void> read(JsonReader &reader, ModelDescription &model) const override {
    auto settings = std::make_shared<Settings>();
    model.n_layer = model.n_head = 1;
    model.n_embd = 32, model.n_positions = 64, model.vocab_size = 257;
    reader.integer("hidden_size", model.n_embd, 1, kLarge);
    reader.integer("max_position_embeddings", model.n_positions, 1, kLarge);
    reader.integer("vocab_size", model.vocab_size, 1, kLarge);
    reader.number("norm_eps", settings->norm_eps, "between 0 and 1", [](double x) { return x > 0 && x < 1; });
    if (reader.error()) return *reader.error();
    model.settings = std::move(settings);
    return {};
  }

  void write(const ModelDescription &model, Json &json) const override {
    json["hidden_size"] = model.n_embd;
    json["max_position_embeddings"] = model.n_positions;
    json["vocab_size"] = model.vocab_size;
    json["norm_eps"] = Settings::of(model).norm_eps;
  }

  std::vector<TensorSpec> tensors(const ModelDescription &model) const override {
    const int64_t c = model.n_embd;
    return {{"embed.weight", {model.vocab_size, c}, TensorRole::embedding, -1, "token_embd.weight"},
            {"norm.weight", {c}, TensorRole::norm, -1, "output_norm.weight"},
            {"norm.bias", {c}, TensorRole::norm, -1, "output_norm.bias"}};
  }

  bool isUnused(std::string_view name) const override { return name == "position_ids"; }

  const std::vector<GgufKey> &ggufKeys() const override {
    static const std::vector<GgufKey> all = {{"context_length", "max_position_embeddings"},
                                             {"embedding_length", "hidden_size"},
                                             {"attention.layer_norm_epsilon", "norm_eps", true}};
    return all;
  }
  Json impliedByGguf() const override { return Json::object(); }
  std::string notInGguf(const ModelDescription &) const override { return {}; }

  std::vector<Preset> presets() const override {
    ModelDescription model;
    model.family = this;
    model.settings = std::make_shared<Settings>();
    model.n_layer = model.n_head = 1;
    model.n_embd = 32, model.n_positions = 64, model.vocab_size = 257;
    model.eos_token_ids = {model.vocab_size - 1};
    return {{"bag", nullptr, model, true}};
  }
};

} // namespace

const Family &family() {
  static const Bag bag;
  return bag;
}

} // namespace linnet::bag
