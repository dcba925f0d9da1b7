#include "frontend/checkpoint/config.h"
#include "frontend/checkpoint/json_reader.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <set>

namespace linnet {
namespace {

constexpr size_t kMaxKeys = 1 << 14; // of one object; id2label is the largest

Result<void> readArchitecture(const Json &json, const std::string &where, Gpt2Config &config) {
  auto found = json.find("architectures");
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_array() || found->size() != 1 || !(*found)[0].is_string())
    return errorf("{}: architectures is expected to name one architecture", where);
  config.architecture = (*found)[0].get<std::string>();
  for (const char *known : {"GPT2LMHeadModel", "GPT2Model", "GPT2ForSequenceClassification"})
    if (config.architecture == known) return {};
  return errorf(
      "{}: architecture {} is not supported (GPT2LMHeadModel, GPT2Model, GPT2ForSequenceClassification)",
      where, config.architecture);
}

Result<void> readLabels(const Json &json, const std::string &where, Gpt2Config &config) {
  auto found = json.find("id2label");
  if (found == json.end() || found->is_null()) return {};
  Error error = errorf("{}: id2label is expected to map the ids 0, 1, ... to strings", where);
  if (!found->is_object()) return error;
  for (size_t i = 0; i < found->size(); ++i) {
    auto label = found->find(std::to_string(i));
    if (label == found->end() || !label->is_string()) return error;
    config.id2label[static_cast<int64_t>(i)] = label->get<std::string>();
  }
  return {};
}

/// It says what a classifier's scores mean.
Result<void> readProblemType(const Json &json, const std::string &where, std::string &out) {
  JsonReader reader(json, where);
  reader.text("problem_type", out);
  if (reader.error()) return *reader.error();
  for (const char *known : {"", "regression", "single_label_classification", "multi_label_classification"})
    if (out == known) return {};
  return errorf("{}: problem_type \"{}\" is not supported (regression, single_label_classification, "
                "multi_label_classification)",
                where, out.substr(0, 40));
}

constexpr int64_t kMaxHeadLayers = 64, kMaxHeadWidth = 1 << 20;

/// "_linnet_head" of a classifier.
Result<void> readHead(const Json &json, const std::string &where, ClassifierHead &head) {
  auto found = json.find("_linnet_head");
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_object()) return errorf("{}: _linnet_head is expected to be an object", where);
  JsonReader reader(*found, where);
  reader.text("pooling", head.pooling);
  reader.text("activation", head.activation_function);
  if (reader.error()) return *reader.error();
  if (head.pooling != "last" && head.pooling != "mean" && head.pooling != "first")
    return errorf("{}: _linnet_head: pooling \"{}\" is not last, mean or first", where,
                  head.pooling.substr(0, 40));
  auto activation = activationNamed(head.activation_function);
  if (!activation)
    return errorf("{}: _linnet_head: activation \"{}\" is not supported ({})", where,
                  head.activation_function.substr(0, 40), kActivations);
  head.activation = *activation;
  auto hidden = found->find("hidden");
  if (hidden == found->end()) return {};
  Error error = errorf("{}: _linnet_head: hidden is expected to be a list of at most {} widths from 1 to {}",
                       where, kMaxHeadLayers, kMaxHeadWidth);
  if (!hidden->is_array() || hidden->size() > static_cast<size_t>(kMaxHeadLayers)) return error;
  for (const Json &width : *hidden) {
    if (!width.is_number_integer() || width.get<int64_t>() < 1 || width.get<int64_t>() > kMaxHeadWidth)
      return error;
    head.hidden.push_back(width.get<int64_t>());
  }
  return {};
}

} // namespace

Json idsToJson(const std::vector<int64_t> &ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids.front()) : Json(ids);
}

std::optional<ActivationFunction> activationNamed(std::string_view name) {
  if (name == "relu") return ActivationFunction::relu;
  if (name == "gelu") return ActivationFunction::gelu_erf;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast")
    return ActivationFunction::gelu_tanh;
  if (name == "quick_gelu") return ActivationFunction::gelu_quick;
  if (name == "silu" || name == "swish") return ActivationFunction::silu;
  return std::nullopt;
}

Result<Gpt2Config> Gpt2Config::read(const std::string &path, const ConfigSettings &overrides) {
  LINNET_ASSIGN(std::string text, readTextFile(path));
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", path, fault);
  return parse(text, path, overrides);
}

Result<Gpt2Config> Gpt2Config::parse(std::string_view text, const std::string &where,
                                     const ConfigSettings &overrides) {
  LINNET_ASSIGN(Json json, parseJson(text, where, 64, kMaxKeys));
  if (!json.is_object()) return errorf("{}: expected a JSON object", where);
  std::string model_type = "gpt2";
  Gpt2Config config;
  LINNET_ASSIGN(config.overridden, applySettings(json, overrides));
  JsonReader reader(json, where);
  reader.text("model_type", model_type);
  if (model_type != "gpt2" && !reader.error())
    return errorf("{}: model_type \"{}\" is not supported (gpt2)", where, model_type.substr(0, 40));
  LINNET_ASSIGN(config.ignored_keys, checkKeys(json, where));
  LINNET_TRY(readArchitecture(json, where, config));
  LINNET_TRY(readLabels(json, where, config));
  if (config.classifies()) LINNET_TRY(readHead(json, where, config.head));
  if (config.classifies()) LINNET_TRY(readProblemType(json, where, config.problem_type));
  constexpr int64_t kLarge = 1 << 20;
  reader.integer("n_layer", config.n_layer, 1, 1024);
  reader.integer("n_head", config.n_head, 1, 4096);
  reader.integer("n_embd", config.n_embd, 1, kLarge);
  reader.integer("n_inner", config.n_inner, 1, 8 * kLarge);
  reader.integer("n_positions", config.n_positions, 1, 16 * kLarge);
  reader.integer("vocab_size", config.vocab_size, 1, 64 * kLarge);
  reader.text("activation_function", config.activation_function);
  reader.number("layer_norm_epsilon", config.layer_norm_epsilon, "between 0 and 1",
                [](double x) { return x > 0 && x < 1; });
  reader.boolean("scale_attn_weights", config.scale_attn_weights);
  reader.boolean("scale_attn_by_inverse_layer_idx", config.scale_attn_by_inverse_layer_idx);
  reader.boolean("tie_word_embeddings", config.tie_word_embeddings);
  reader.id("bos_token_id", config.bos_token_id, config.vocab_size);
  reader.ids("eos_token_id", config.eos_token_ids, config.vocab_size);
  reader.id("pad_token_id", config.pad_token_id, config.vocab_size);
  if (reader.error()) return *reader.error();
  if (!config.classifies()) {
    LINNET_ASSIGN(config.generation, GenerationSettings::ofConfig(json, where, config.vocab_size));
  }
  if (!config.n_inner) config.n_inner = 4 * config.n_embd;
  if (config.n_embd % config.n_head)
    return errorf("{}: n_embd {} is not a multiple of n_head {}", where, config.n_embd, config.n_head);

  auto activation = activationNamed(config.activation_function);
  if (!activation)
    return errorf("{}: activation_function \"{}\" is not supported ({})", where,
                  config.activation_function.substr(0, 40), kActivations);
  config.activation = *activation;
  return config;
}

Json Gpt2Config::toJson() const {
  Json json = {{"model_type", "gpt2"},
               {"architectures", {architecture}},
               {"n_layer", n_layer},
               {"n_head", n_head},
               {"n_embd", n_embd},
               {"n_inner", n_inner},
               {"n_positions", n_positions},
               {"n_ctx", n_positions},
               {"vocab_size", vocab_size},
               {"activation_function", activation_function},
               {"layer_norm_epsilon", layer_norm_epsilon},
               {"scale_attn_weights", scale_attn_weights},
               {"scale_attn_by_inverse_layer_idx", scale_attn_by_inverse_layer_idx},
               {"tie_word_embeddings", tie_word_embeddings}};
  if (bos_token_id) json["bos_token_id"] = *bos_token_id;
  if (!eos_token_ids.empty()) json["eos_token_id"] = idsToJson(eos_token_ids);
  if (pad_token_id) json["pad_token_id"] = *pad_token_id;
  if (!id2label.empty()) {
    json["id2label"] = Json::object();
    json["label2id"] = Json::object();
    for (auto &[id, label] : id2label) {
      json["id2label"][std::to_string(id)] = label;
      json["label2id"][label] = id;
    }
  }
  if (classifies() && !problem_type.empty()) json["problem_type"] = problem_type;
  if (classifies() && !head.plain())
    json["_linnet_head"] = {
        {"pooling", head.pooling}, {"hidden", head.hidden}, {"activation", head.activation_function}};
  return json;
}

} // namespace linnet
