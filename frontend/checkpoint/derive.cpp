#include "frontend/checkpoint/derive.h"
#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/init.h"
#include "frontend/model/chat_template.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

namespace linnet {
namespace {

constexpr std::string_view kTrained = "param.";
/// The only problem type that Linnet trains.
constexpr const char *kOneLabelOfSeveral = "single_label_classification";

/// The padding token, by which transformers finds a row's last token. A model without one uses its end of
/// text.
Result<std::optional<int64_t>> paddingToken(const Checkpoint &base) {
  if (base.config().pad_token_id) return base.config().pad_token_id;
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, base.tokenizer());
  if (tokenizer && tokenizer->padId()) return std::optional<int64_t>(*tokenizer->padId());
  if (const auto &ends = base.config().endTokens(); !ends.empty()) return std::optional(ends.front());
  if (tokenizer && tokenizer->eosId()) return std::optional<int64_t>(*tokenizer->eosId());
  return std::optional<int64_t>();
}

/// Whether two heads have the same labels and shape, so that one can be the start of the other.
bool sameHead(const ModelDescription &a, const ModelDescription &b) {
  const bool meant_alike =
      a.problem_type == b.problem_type || a.problem_type.empty() || b.problem_type.empty();
  return a.classifies() && meant_alike && a.id2label == b.id2label && a.head.pooling == b.head.pooling &&
         a.head.hidden == b.head.hidden && a.head.activation == b.head.activation;
}

} // namespace

Result<void> deriveCheckpoint(const Checkpoint &base, const Derivation &derivation,
                              const std::string &directory) {
  const ModelDescription &config = derivation.config;
  std::vector<TensorToWrite> tensors;
  uint64_t stream = 0;
  for (const TensorSpec &want : config.tensors()) {
    auto found = derivation.replaced.find(want.name);
    const TensorView *view = found == derivation.replaced.end() ? base.find(want.name) : &found->second;
    const bool head = want.role == TensorRole::classifier;
    if (head && view && found == derivation.replaced.end() && !sameHead(base.config(), config))
      view = nullptr;
    if (view && view->shape != want.shape)
      return errorf("tensor \"{}\" is {}, the configuration asks for {}", want.name, shapeText(view->shape),
                    shapeText(want.shape));
    ++stream;
    if (view)
      tensors.push_back(convertedTensor(*view, exportedName(want, config), derivation.type));
    else
      tensors.push_back(
          randomTensor(want, exportedName(want, config), derivation.seed, stream, config, derivation.type));
  }
  LINNET_TRY(writeSafetensors(directory + "/model.safetensors", tensors, {{"format", "pt"}}));
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, base.tokenizer());
  if (tokenizer) LINNET_TRY(saveTokenizer(*tokenizer, config, directory));
  if (!config.classifies()) {
    LINNET_TRY(writeGenerationConfig(config.generation, directory));
    LINNET_TRY(writeChatTemplate(config.chat_template, directory));
  }
  Json json = config.toJson();
  json["torch_dtype"] = torchName(derivation.type);
  return writeTextFile(directory + "/config.json", json.dump(2) + "\n");
}

Result<void> makeLanguageModel(const Checkpoint &base, const std::string &directory) {
  Derivation derivation;
  derivation.config = base.config();
  derivation.config.task = ModelTask::language_model;
  return deriveCheckpoint(base, derivation, directory);
}

Result<void> makeClassifier(const Checkpoint &base, const std::map<int64_t, std::string> &labels,
                            const ClassifierHead &head, uint64_t seed, const std::string &directory) {
  Derivation derivation;
  derivation.config = base.config();
  derivation.config.task = ModelTask::classifier;
  derivation.config.id2label = labels;
  derivation.config.problem_type = kOneLabelOfSeveral;
  derivation.config.head = head;
  derivation.config.head.score_bias =
      base.config().head.score_bias && sameHead(base.config(), derivation.config);
  LINNET_ASSIGN(derivation.config.pad_token_id, paddingToken(base));
  derivation.seed = seed;
  return deriveCheckpoint(base, derivation, directory);
}

Result<void> writeTrained(const Checkpoint &base, const std::string &parameters, StorageType type,
                          bool as_language_model, const std::string &directory) {
  LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(parameters));
  Derivation derivation;
  derivation.config = base.config();
  if (as_language_model) derivation.config.task = ModelTask::language_model;
  derivation.type = type;
  for (const TensorView &tensor : file.tensors())
    if (tensor.name.starts_with(kTrained)) derivation.replaced[tensor.name.substr(kTrained.size())] = tensor;
  for (const auto &[name, tensor] : derivation.replaced)
    if (!base.find(name))
      return errorf("{}: \"{}\" is not a tensor of {}", parameters, tensor.name, base.path());
  return deriveCheckpoint(base, derivation, directory);
}

} // namespace linnet
