#include "frontend/model/config_keys.h"
#include "support/error.h"
#include "support/json.h"

#include <map>
#include <set>

namespace linnet {
namespace {

using Names = std::set<std::string, std::less<>>;

// Keys of transformers' PretrainedConfig that change nothing at inference, or that ModelDescription reads.
// Keys that start with _ are transformers' private bookkeeping (_name_or_path, _num_labels).
const Names kHarmless = {
    "architectures", "attn_implementation", "bos_token_id", "chunk_size_feed_forward", "dtype",
    "eos_token_id", "finetuning_task", "gradient_checkpointing", "id2label", "initializer_range",
    "keys_to_ignore_at_inference", "label2id", "model_type", "unk_token_id", "is_decoder", "is_composition",
    "xla_device", "loss_type", "output_attentions", "output_hidden_states", "output_past", "pad_token_id",
    "problem_type", "return_dict", "sep_token_id", "cls_token_id", "mask_token_id", "task_specific_params",
    "tie_word_embeddings", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version",
    "use_cache", "vocab_file", "num_labels", "return_dict_in_generate", "generation_config",
    // generation settings of old files: see generation_settings.h
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
    "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
    "output_scores", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "prefix",
    "decoder_start_token_id", "tf_legacy_loss", "use_bfloat16", "max_new_tokens", "min_new_tokens"};

// Notes about the model that users and tools add, with values of any type. They change no numbers and are
// listed as ignored.
const Names kNotes = {"auto_map",
                      "author",
                      "authors",
                      "base_model",
                      "citation",
                      "contact",
                      "created",
                      "custom_pipelines",
                      "date",
                      "datasets",
                      "description",
                      "homepage",
                      "language",
                      "languages",
                      "library_name",
                      "license",
                      "license_link",
                      "license_name",
                      "metrics",
                      "model_name",
                      "pipeline_tag",
                      "seed",
                      "tags",
                      "transformers.js_config",
                      "trust_remote_code",
                      "unsloth_fixed",
                      "unsloth_version",
                      "url",
                      "version"};

// Keys that change the numbers in every family unless they have this value.
const std::map<std::string, Json, std::less<>> kOnlyValue = {
    {"add_cross_attention", false},           {"is_encoder_decoder", false},
    {"pruned_heads", Json::object()},         {"quantization_config", nullptr},
    {"cross_attention_hidden_size", nullptr}, {"tie_encoder_decoder", false}};

/// Whether the value disables a setting.
bool isOff(const Json &value) {
  return value.is_string() || value.is_null() || value == false ||
         ((value.is_object() || value.is_array()) && value.empty());
}

constexpr size_t kShownValue = 60; // characters

std::string shown(const Json &value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, kShownValue);
}

/// Parses JSON. Other texts become strings; ill-formed UTF-8 becomes U+FFFD.
Json settingValue(const std::string &text) {
  if (auto json = parseJson(text, "--set")) return std::move(*json);
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

/// Whether the alias has the same value as the key, or names the same activation function.
bool repeats(const Json &config, const ConfigKeys::Alias &alias, const Json &value) {
  auto found = config.find(alias.key);
  const Json &known = found == config.end() ? alias.usual : *found;
  if (value.is_null() || value == known) return true;
  if (!value.is_string() || !known.is_string()) return false;
  auto function = activationNamed(value.get<std::string>());
  return function && function == activationNamed(known.get<std::string>());
}

} // namespace

Result<std::vector<std::string>> applySettings(Json &config, const ConfigSettings &settings) {
  std::vector<std::string> changes;
  for (const std::string &setting : settings) {
    size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      return errorf("--set: expected KEY=VALUE, found '{}'", setting.substr(0, kShownValue));
    std::string key = setting.substr(0, equals), text = setting.substr(equals + 1);
    Json value = settingValue(text);
    auto found = config.find(key);
    std::string before = found == config.end() ? "nothing" : shown(*found);
    if (found == config.end() || *found != value)
      changes.push_back(fmt::format("{}: {} instead of {}", key, shown(value), before));
    config[key] = std::move(value);
  }
  return changes;
}

Result<std::vector<std::string>> checkKeys(const Json &config, const std::string &where,
                                           const ConfigKeys &family) {
  std::vector<std::string> ignored;
  for (auto &[key, value] : config.items()) {
    if (family.read.count(key) || family.harmless.count(key)) continue;
    if (kHarmless.count(key) || key.starts_with("_")) continue;
    auto only = kOnlyValue.find(key), own = family.only_value.find(key);
    auto alias = family.aliases.find(key);
    if (only != kOnlyValue.end() || own != family.only_value.end()) {
      const Json &expected = own != family.only_value.end() ? own->second : only->second;
      if (value != expected && !value.is_null() && !(value.is_object() && value.empty()))
        return errorf("{}: {} = {} is not supported (only {})", where, key, shown(value), expected.dump());
    } else if (kNotes.count(key) ||
               (alias != family.aliases.end() ? repeats(config, alias->second, value) : isOff(value))) {
      ignored.push_back(key);
    } else {
      return errorf("{}: \"{}\" = {} is not a setting of {} that Linnet knows; it may change the numbers "
                    "('linnet compile --set {}=null' compiles without it)",
                    where, key, shown(value), family.title, key);
    }
  }
  return ignored;
}

} // namespace linnet
