#include "frontend/model/description.h"
#include "frontend/model/config_keys.h"
#include "frontend/model/family.h"
#include "frontend/model/json_reader.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

namespace linnet {
namespace {

constexpr size_t kMaxKeys = 1 << 14; // most keys of an object; id2label is the largest
constexpr size_t kShown = 40;        // most characters of a value in an error

/// The family that model_type or architectures names.
Result<const Family *> familyOf(const Json &json, const std::string &where) {
  std::string type;
  JsonReader reader(json, where);
  reader.text("model_type", type);
  if (reader.error()) return *reader.error();
  std::vector<const char *> known;
  for (const Family *family : families()) {
    known.push_back(family->names().model_type);
    if (type == known.back()) return family;
  }
  if (!type.empty())
    return errorf("{}: model_type \"{}\" is not supported ({})", where, type.substr(0, kShown),
                  fmt::join(known, ", "));
  for (const Family *family : families())
    for (ModelTask task : {ModelTask::language_model, ModelTask::body, ModelTask::classifier})
      if (json.value("architectures", Json()) == Json::array({family->names().architecture(task)}))
        return family;
  return families().front();
}

Result<void> readArchitecture(const Json &json, const std::string &where, ModelDescription &description) {
  auto found = json.find("architectures");
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_array() || found->size() != 1 || !(*found)[0].is_string())
    return errorf("{}: architectures is expected to name one architecture", where);
  const FamilyNames &names = description.family->names();
  for (ModelTask task : {ModelTask::language_model, ModelTask::body, ModelTask::classifier})
    if ((*found)[0] == names.architecture(task)) {
      description.task = task;
      return {};
    }
  return errorf("{}: architecture {} is not supported ({}, {}, {})", where, (*found)[0].get<std::string>(),
                names.language_model, names.body, names.classifier);
}

Result<void> readLabels(const Json &json, const std::string &where, ModelDescription &config) {
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

/// Reads problem_type, the meaning of a classifier's scores.
Result<void> readProblemType(const Json &json, const std::string &where, std::string &out) {
  JsonReader reader(json, where);
  reader.text("problem_type", out);
  if (reader.error()) return *reader.error();
  for (const char *known : {"", "regression", "single_label_classification", "multi_label_classification"})
    if (out == known) return {};
  return errorf("{}: problem_type \"{}\" is not supported (regression, single_label_classification, "
                "multi_label_classification)",
                where, out.substr(0, kShown));
}

constexpr int64_t kMaxHeadLayers = 64, kMaxHeadWidth = 1 << 20;

/// Reads a classifier's "_linnet_head".
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
                  head.pooling.substr(0, kShown));
  auto activation = activationNamed(head.activation_function);
  if (!activation)
    return errorf("{}: _linnet_head: activation \"{}\" is not supported ({})", where,
                  head.activation_function.substr(0, kShown), kActivations);
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

std::vector<TensorSpec> ModelDescription::classifierTensors() const {
  std::vector<TensorSpec> tensors;
  auto add = [&](std::string name, std::vector<int64_t> shape) {
    tensors.push_back({std::move(name), std::move(shape), TensorRole::classifier});
  };
  int64_t width = n_embd, labels = static_cast<int64_t>(id2label.size());
  for (size_t i = 0; i < head.hidden.size(); ++i) {
    add(fmt::format("head.{}.weight", i), {width, head.hidden[i]});
    add(fmt::format("head.{}.bias", i), {head.hidden[i]});
    width = head.hidden[i];
  }
  add("score.weight", {labels, width});
  if (head.score_bias) add("score.bias", {labels});
  return tensors;
}

std::vector<TensorSpec> ModelDescription::tensors() const {
  std::vector<TensorSpec> tensors = family->tensors(*this);
  if (tie_word_embeddings || task != ModelTask::language_model)
    std::erase_if(tensors, [](const TensorSpec &tensor) { return tensor.role == TensorRole::head; });
  if (classifies())
    for (TensorSpec &tensor : classifierTensors()) tensors.push_back(std::move(tensor));
  return tensors;
}

Result<ModelDescription> ModelDescription::read(const std::string &path, const ConfigSettings &overrides) {
  LINNET_ASSIGN(std::string text, readTextFile(path));
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", path, fault);
  return parse(text, path, overrides);
}

Result<ModelDescription> ModelDescription::parse(std::string_view text, const std::string &where,
                                                 const ConfigSettings &overrides) {
  LINNET_ASSIGN(Json json, parseJson(text, where, 64, kMaxKeys));
  if (!json.is_object()) return errorf("{}: expected a JSON object", where);
  ModelDescription description;
  LINNET_ASSIGN(description.overridden, applySettings(json, overrides));
  LINNET_ASSIGN(description.family, familyOf(json, where));
  LINNET_ASSIGN(description.ignored_keys, checkKeys(json, where, description.family->keys()));
  LINNET_TRY(readArchitecture(json, where, description));
  LINNET_TRY(readLabels(json, where, description));
  if (description.classifies()) LINNET_TRY(readHead(json, where, description.head));
  if (description.classifies()) LINNET_TRY(readProblemType(json, where, description.problem_type));
  JsonReader reader(json, where);
  LINNET_TRY(description.family->read(reader, description));
  reader.boolean("tie_word_embeddings", description.tie_word_embeddings);
  reader.id("bos_token_id", description.bos_token_id, description.vocab_size);
  reader.ids("eos_token_id", description.eos_token_ids, description.vocab_size);
  reader.id("pad_token_id", description.pad_token_id, description.vocab_size);
  if (reader.error()) return *reader.error();
  if (!description.classifies()) {
    LINNET_ASSIGN(description.generation, GenerationSettings::ofConfig(json, where, description.vocab_size));
  }
  return description;
}

Json ModelDescription::toJson() const {
  Json json = {{"model_type", family->names().model_type},
               {"architectures", {family->names().architecture(task)}}};
  family->write(*this, json);
  json["tie_word_embeddings"] = tie_word_embeddings;
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

Json ModelDescription::forRuntime() const {
  Json json = toJson();
  json["n_layer"] = n_layer;
  json["n_head"] = n_head;
  json["n_embd"] = n_embd;
  json["n_positions"] = n_positions;
  json["vocab_size"] = vocab_size;
  if (Json named = generation.toJson(); !named.empty()) json["generation_config"] = std::move(named);
  if (!chat_template.empty()) json["chat_template"] = chat_template;
  return json;
}

} // namespace linnet
