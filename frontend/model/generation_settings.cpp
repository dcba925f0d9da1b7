#include "frontend/model/generation_settings.h"
#include "frontend/model/description.h"
#include "frontend/model/json_reader.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <map>
#include <set>

namespace linnet {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxSettings = 1 << 14;
constexpr int64_t kMany = int64_t(1) << 40;

const std::set<std::string, std::less<>> kRead = {
    "eos_token_id", "do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens"};

// Unsupported settings of transformers' generate(), with the value that has no effect.
const std::map<std::string, Json, std::less<>> kUnsupported = {{"bad_words_ids", nullptr},
                                                               {"begin_suppress_tokens", nullptr},
                                                               {"constraints", nullptr},
                                                               {"encoder_no_repeat_ngram_size", 0},
                                                               {"encoder_repetition_penalty", 1.0},
                                                               {"epsilon_cutoff", 0.0},
                                                               {"eta_cutoff", 0.0},
                                                               {"exponential_decay_length_penalty", nullptr},
                                                               {"force_words_ids", nullptr},
                                                               {"forced_bos_token_id", nullptr},
                                                               {"forced_eos_token_id", nullptr},
                                                               {"guidance_scale", 1.0},
                                                               {"max_length", 20},
                                                               {"max_time", nullptr},
                                                               {"min_length", 0},
                                                               {"min_new_tokens", 0},
                                                               {"min_p", 0.0},
                                                               {"no_repeat_ngram_size", 0},
                                                               {"num_beam_groups", 1},
                                                               {"num_beams", 1},
                                                               {"num_return_sequences", 1},
                                                               {"penalty_alpha", 0.0},
                                                               {"sequence_bias", nullptr},
                                                               {"stop_strings", nullptr},
                                                               {"suppress_tokens", nullptr},
                                                               {"typical_p", 1.0}};

// Settings that do not change the text, or only together with an unsupported one.
const std::set<std::string, std::less<>> kHarmless = {"bos_token_id",
                                                      "cache_config",
                                                      "cache_implementation",
                                                      "compile_config",
                                                      "decoder_start_token_id",
                                                      "disable_compile",
                                                      "diversity_penalty",
                                                      "early_stopping",
                                                      "length_penalty",
                                                      "low_memory",
                                                      "num_assistant_tokens",
                                                      "num_assistant_tokens_schedule",
                                                      "output_attentions",
                                                      "output_hidden_states",
                                                      "output_logits",
                                                      "output_scores",
                                                      "pad_token_id",
                                                      "prefill_chunk_size",
                                                      "remove_invalid_values",
                                                      "renormalize_logits",
                                                      "return_dict_in_generate",
                                                      "return_legacy_cache",
                                                      "transformers_version",
                                                      "use_cache"};

bool saysNothing(const Json &value) {
  return value.is_null() || value == false ||
         (value.is_string() && value.get_ref<const std::string &>().empty()) ||
         (value.is_structured() && value.empty());
}

/// `whole`: all keys are generation settings; else the object also has keys of the model.
Result<GenerationSettings> parse(const Json &json, const std::string &where, int64_t vocab_size, bool whole) {
  GenerationSettings settings;
  JsonReader reader(json, where);
  if (whole) reader.ids("eos_token_id", settings.eos_token_ids, vocab_size);
  auto named = [&](const char *key) {
    auto found = json.find(key);
    return found != json.end() && !found->is_null();
  };
  auto number = [&](const char *key, std::optional<double> &out, const char *expected, auto fits) {
    double value = 0;
    reader.number(key, value, expected, fits);
    if (named(key)) out = value;
  };
  auto count = [&](const char *key, std::optional<int64_t> &out) {
    int64_t value = 0;
    reader.integer(key, value, 0, kMany);
    if (named(key)) out = value;
  };
  bool draws = false;
  reader.boolean("do_sample", draws);
  if (named("do_sample")) settings.do_sample = draws;
  number("temperature", settings.temperature, "0 or more", [](double x) { return x >= 0; });
  number("top_p", settings.top_p, "from 0 to 1", [](double x) { return x >= 0 && x <= 1; });
  number("repetition_penalty", settings.repetition_penalty, "above 0", [](double x) { return x > 0; });
  count("top_k", settings.top_k);
  count("max_new_tokens", settings.max_new_tokens);
  if (reader.error()) return *reader.error();
  if (auto found = json.find("top_k"); found != json.end() && found->is_null())
    settings.top_k = 0; // no limit, as in transformers; without the key the default limit holds
  for (auto &[key, value] : json.items()) {
    if (kRead.count(key) || kHarmless.count(key) || key.starts_with("_") || saysNothing(value)) continue;
    auto known = kUnsupported.find(key);
    if (known == kUnsupported.end() ? !whole : value == known->second) continue;
    constexpr size_t kShown = 40;
    settings.ignored.push_back(key + " " + value.dump().substr(0, kShown));
  }
  return settings;
}

} // namespace

Result<GenerationSettings> GenerationSettings::ofFile(std::string_view text, const std::string &where,
                                                      int64_t vocab_size) {
  LINNET_ASSIGN(Json json, parseJson(text, where, kMaxDepth, kMaxSettings));
  if (!json.is_object()) return errorf("{}: expected a JSON object", where);
  LINNET_ASSIGN(GenerationSettings settings, parse(json, where, vocab_size, true));
  settings.file = text;
  return settings;
}

Result<GenerationSettings> GenerationSettings::ofConfig(const Json &json, const std::string &where,
                                                        int64_t vocab_size) {
  return parse(json, where, vocab_size, false);
}

Json GenerationSettings::toJson() const {
  Json json = Json::object();
  auto put = [&](const char *key, const auto &value) {
    if (value) json[key] = *value;
  };
  if (!eos_token_ids.empty()) json["eos_token_id"] = idsToJson(eos_token_ids);
  put("do_sample", do_sample);
  put("temperature", temperature);
  put("top_k", top_k);
  put("top_p", top_p);
  put("repetition_penalty", repetition_penalty);
  put("max_new_tokens", max_new_tokens);
  return json;
}

Result<std::optional<GenerationSettings>> readGenerationConfig(const std::string &path, int64_t vocab_size) {
  if (!fileExists(path)) return std::optional<GenerationSettings>();
  LINNET_ASSIGN(std::string text, readTextFile(path));
  LINNET_ASSIGN(GenerationSettings settings, GenerationSettings::ofFile(text, path, vocab_size));
  return std::optional(std::move(settings));
}

Result<void> writeGenerationConfig(const GenerationSettings &settings, const std::string &directory) {
  const std::string path = directory + "/" + kGenerationConfig;
  if (!settings.file.empty()) return writeTextFile(path, settings.file);
  const Json json = settings.toJson();
  return json.empty() ? Result<void>() : writeTextFile(path, json.dump(2) + "\n");
}

} // namespace linnet
