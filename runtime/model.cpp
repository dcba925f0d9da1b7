#include "linnet/model.h"
#include "linnet/version.h"
#include "runtime/artifact/format.h"
#include "runtime/language_runner.h"
#include "runtime/loaded_model.h"
#include "runtime/sampler.h"
#include "support/error.h"
#include "support/json.h"

#include <type_traits>

namespace linnet {
namespace {

Result<int64_t> positiveNumber(const Json &config, const char *key, const std::string &path) {
  auto found = config.find(key);
  if (found == config.end() || !found->is_number_integer() || found->get<int64_t>() < 1 ||
      found->get<int64_t>() > (int64_t(1) << 31))
    return errorf("{}: its config: '{}' is not a positive number", path, key);
  return found->get<int64_t>();
}

// Reads one id, a list of ids, or null. Ids outside the vocabulary (a tiny model's default) are dropped.
std::vector<TokenId> tokenIds(const Json &config, const char *key, int64_t vocab_size) {
  std::vector<TokenId> ids;
  auto add = [&](const Json &value) {
    if (value.is_number_integer() && value.get<int64_t>() >= 0 && value.get<int64_t>() < vocab_size)
      ids.push_back(static_cast<TokenId>(value.get<int64_t>()));
  };
  auto found = config.find(key);
  if (found == config.end()) return ids;
  if (found->is_array())
    for (const Json &value : *found) add(value);
  else
    add(*found);
  return ids;
}

// Whether a classifier reads the last token's state. Only Linnet's head may pool in another way.
bool poolsLast(const Json &json) {
  auto head = json.find("_linnet_head");
  return head == json.end() || !head->is_object() || head->value("pooling", Json("last")) == "last";
}

// Reads labels, problem type and padding token of a classifier's configuration.
Result<void> readLabels(const std::string &path, const Json &json, ModelConfig &config) {
  auto pads = tokenIds(json, "pad_token_id", config.vocab_size);
  if (!pads.empty() && poolsLast(json)) config.pad_id = pads.front();
  auto labels = json.find("id2label");
  if (labels == json.end() || !labels->is_object() || labels->empty())
    return errorf("{}: its config: 'id2label' names no labels", path);
  for (size_t i = 0; i < labels->size(); ++i) {
    auto name = labels->find(std::to_string(i));
    if (name == labels->end() || !name->is_string())
      return errorf("{}: its config: id2label has no name for {}", path, i);
    config.labels.push_back(name->get<std::string>());
  }
  auto type = json.find("problem_type");
  if (type == json.end() || type->is_null() || *type == "single_label_classification") return {};
  if (*type == "multi_label_classification")
    config.problem_type = ProblemType::MultiLabel;
  else if (*type == "regression")
    config.problem_type = ProblemType::Regression;
  else
    return errorf("{}: its config: problem_type is {}, expected single_label_classification, "
                  "multi_label_classification or regression",
                  path, type->dump());
  return {};
}

Result<std::optional<Tokenizer>> readTokenizer(const Artifact &artifact) {
  const fb::Blob *blob = artifact.metadata().tokenizer();
  if (!blob) return std::optional<Tokenizer>();
  auto tokenizer = Tokenizer::fromBytes(artifact.blob(*blob)); // LoadedModel keeps the artifact alive
  if (!tokenizer) return errorf("{}: its tokenizer: {}", artifact.path(), tokenizer.error().message);
  return std::optional<Tokenizer>(std::move(*tokenizer));
}

// Checks that the model has entry `name`, and that its output has `columns` f32 per row.
Result<LanguageEntry> checkEntry(const LoadedArtifact &file, const char *name, const char *output,
                                 size_t columns) {
  LINNET_ASSIGN(LanguageEntry entry, bindLanguageEntry(file.artifact, *file.program, name));
  int number = entry.output(output);
  if (number < 0) return errorf("{}: entry '{}' has no output '{}'", file.artifact.path(), name, output);
  const fb::Port &port = *file.program->entries()
                              ->Get(static_cast<uint32_t>(entry.index))
                              ->outputs()
                              ->Get(static_cast<uint32_t>(number));
  uint64_t need = static_cast<uint64_t>(entry.max_batch) * columns * 4;
  if (port.dtype() != fb::DType::f32 || port.bytes() < need)
    return errorf("{}: entry '{}': expected {} of {} x {} f32, found {} bytes of {}", file.artifact.path(),
                  name, output, entry.max_batch, columns, port.bytes(), dtypeName(port.dtype()));
  return entry;
}

// The generation settings in the artifact's config.json. Empty if the checkpoint had none or the compiler was
// older.
Result<Json> generationJson(const Json &config, const std::string &path) {
  auto found = config.find("generation_config");
  if (found == config.end() || found->is_null()) return Json::object();
  if (!found->is_object()) return errorf("{}: its generation settings are no JSON object", path);
  return *found;
}

Result<Json> configJson(const Artifact &artifact) {
  LINNET_ASSIGN(Json json,
                parseJson(artifact.metadata().config()->string_view(), artifact.path() + ": config.json"));
  if (!json.is_object()) return errorf("{}: its config is no JSON object", artifact.path());
  return json;
}

} // namespace

const char *version() { return "0.1.0"; }
unsigned artifactFormatVersion() { return format::kVersion; }

Result<ModelConfig> parseModelConfig(const Artifact &artifact) {
  const std::string &path = artifact.path();
  ModelConfig config;
  const std::string_view kind = artifact.metadata().kind()->string_view();
  if (kind == format::kGraph) return errorf("{}: holds a graph, not a language model", path);
  if (kind != format::kLanguageModel && kind != format::kClassifier)
    return errorf("{}: expected a model of kind {} or {}, found \"{}\": compile the model again", path,
                  format::kLanguageModel, format::kClassifier, kind.substr(0, 40));
  LINNET_ASSIGN(Json json, configJson(artifact));
  LINNET_ASSIGN(config.n_layer, positiveNumber(json, "n_layer", path));
  LINNET_ASSIGN(config.n_head, positiveNumber(json, "n_head", path));
  LINNET_ASSIGN(config.n_embd, positiveNumber(json, "n_embd", path));
  LINNET_ASSIGN(config.vocab_size, positiveNumber(json, "vocab_size", path));
  LINNET_ASSIGN(config.n_positions, positiveNumber(json, "n_positions", path));
  LINNET_ASSIGN(Json generation, generationJson(json, path));
  config.eos_ids = tokenIds(generation, "eos_token_id", config.vocab_size);
  if (config.eos_ids.empty()) config.eos_ids = tokenIds(json, "eos_token_id", config.vocab_size);
  auto bos = tokenIds(json, "bos_token_id", config.vocab_size);
  if (!bos.empty()) config.bos_id = bos.front();
  if (kind == format::kClassifier) LINNET_TRY(readLabels(path, json, config));
  return config;
}

Result<GenerateOptions> parseGeneration(const Artifact &artifact) {
  LINNET_ASSIGN(Json config, configJson(artifact));
  LINNET_ASSIGN(Json json, generationJson(config, artifact.path()));
  GenerateOptions options;
  const char *wrong = nullptr;
  auto read = [&](const char *key, auto &out) {
    using Value = std::remove_reference_t<decltype(out)>;
    auto found = json.find(key);
    if (found == json.end()) return;
    const bool fits = std::is_same_v<Value, bool> ? found->is_boolean()
                      : std::is_integral_v<Value> ? found->is_number_integer()
                                                  : found->is_number();
    if (fits)
      out = found->get<Value>();
    else
      wrong = key;
  };
  read("do_sample", options.do_sample);
  read("temperature", options.temperature);
  read("top_k", options.top_k);
  read("top_p", options.top_p);
  read("repetition_penalty", options.repetition_penalty);
  read("max_new_tokens", options.max_new_tokens);
  if (wrong)
    return errorf("{}: its generation settings: {} is {}", artifact.path(), wrong, json[wrong].dump());
  if (auto checked = checkOptions(options); !checked)
    return errorf("{}: its generation settings: {}", artifact.path(), checked.error().message);
  return options;
}

Result<LoadedArtifact> LoadedArtifact::open(const std::string &path, const LoadOptions &options) {
  LoadedArtifact file;
  LINNET_ASSIGN(file.artifact, Artifact::open(path));
  const auto &programs = *file.artifact.metadata().programs();
  if (programs.size() == 0) return errorf("{}: holds no program", path);
  std::string spec = options.device;
  if (spec.empty()) spec = file.artifact.program("cpu") ? "cpu" : programs.Get(0)->target()->str();
  LINNET_ASSIGN(file.program, file.artifact.requireProgram(std::string_view(spec).substr(0, spec.find(':'))));
  LINNET_ASSIGN(file.device, openDevice(spec));
  file.options.threads = options.threads;
  return file;
}

Result<std::unique_ptr<Executable>> LoadedModel::takeExecutable() {
  {
    std::lock_guard lock(mutex);
    if (spare) return std::move(spare);
  }
  return file.load();
}

Result<Model> Model::load(const std::string &path, const LoadOptions &options) {
  auto loaded = std::make_shared<LoadedModel>();
  LINNET_ASSIGN(loaded->file, LoadedArtifact::open(path, options));
  const Artifact &artifact = loaded->file.artifact;
  LINNET_ASSIGN(loaded->config, parseModelConfig(artifact));
  LINNET_ASSIGN(loaded->generation, parseGeneration(artifact));
  loaded->config_json = artifact.metadata().config()->str();
  LINNET_ASSIGN(loaded->tokenizer, readTokenizer(artifact));
  const ModelConfig &config = loaded->config;
  LINNET_ASSIGN(LanguageEntry entry,
                config.classifies()
                    ? checkEntry(loaded->file, "classify", "scores", config.labels.size())
                    : checkEntry(loaded->file, "generate", "logits", static_cast<size_t>(config.vocab_size)));
  loaded->config.context = entry.context;
  loaded->config.max_batch = entry.max_batch;
  if (loaded->config.eos_ids.empty() && loaded->tokenizer && loaded->tokenizer->eosId())
    loaded->config.eos_ids.push_back(*loaded->tokenizer->eosId());
  if (!loaded->config.bos_id && loaded->tokenizer) loaded->config.bos_id = loaded->tokenizer->bosId();
  LINNET_ASSIGN(loaded->spare, loaded->file.load());
  loaded->memory = loaded->spare->memory();
  return Model(std::move(loaded));
}

const std::string &Model::path() const { return state->file.artifact.path(); }
const ModelConfig &Model::config() const { return state->config; }
const GenerateOptions &Model::generation() const { return state->generation; }
const std::string &Model::configJson() const { return state->config_json; }
const std::optional<Tokenizer> &Model::tokenizer() const { return state->tokenizer; }
std::string Model::device() const { return state->file.deviceText(); }
DeviceKind Model::deviceKind() const { return state->file.device->kind(); }
MemoryUse Model::memory() const { return state->memory; }

std::vector<std::string> Model::targets() const {
  std::vector<std::string> list;
  for (const fb::Program *program : *state->file.artifact.metadata().programs())
    list.push_back(program->target()->str());
  return list;
}

} // namespace linnet
