// What a model is, whatever its family: sizes, head, tokens with a role, and how it continues texts.
#pragma once
#include "frontend/model/generation_settings.h"
#include "frontend/model/tensor_spec.h"
#include "support/json_fwd.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class Family;

/// KEY=VALUE each, as --set takes them: VALUE replaces what config.json says. It is read as JSON, or as text
/// where it is none.
using ConfigSettings = std::vector<std::string>;

/// activation_function: "relu"; "gelu" (erf); "gelu_new", "gelu_pytorch_tanh" and "gelu_fast" (one tanh
/// form); "quick_gelu"; "silu" and "swish" (one function).
enum class ActivationFunction { relu, gelu_erf, gelu_tanh, gelu_quick, silu };

/// The part of a classifier between the last norm and the scores. Without "_linnet_head" in the file: the
/// last token's state by score.weight, as transformers' ...ForSequenceClassification.
struct ClassifierHead {
  std::string pooling = "last"; ///< or "mean" of the positions, or "first"
  std::vector<int64_t>
      hidden; ///< widths of layers before the scores, head.N.weight [in, out] and head.N.bias
  std::string activation_function = "gelu"; ///< behind each of them, in transformers' spelling
  ActivationFunction activation = ActivationFunction::gelu_erf;
  bool score_bias = false; ///< score.bias is among the tensors

  bool plain() const { return pooling == "last" && hidden.empty(); }
};

/// What a family's architectures differ in. A body is a language model that may lack a head's matrix.
enum class ModelTask { language_model, body, classifier };

/// Settings that only the family knows.
struct FamilySettings {
  virtual ~FamilySettings() = default;
};

struct ModelDescription {
  const Family *family = nullptr; ///< never null in what parse() and presets give
  std::shared_ptr<const FamilySettings> settings;

  int64_t n_layer = 0, n_head = 0, n_embd = 0, vocab_size = 0;
  int64_t n_positions = 0; ///< the longest text, in tokens
  bool tie_word_embeddings = true;
  ModelTask task = ModelTask::language_model;
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;      ///< "eos_token_id": one id or a list
  std::map<int64_t, std::string> id2label; ///< of a classifier
  /// Of a classifier, as transformers names it: regression, single_label_classification or
  /// multi_label_classification; empty if the file names none.
  std::string problem_type;
  ClassifierHead head;
  std::vector<std::string>
      ignored_keys; ///< of the file: keys that the family does not have, and that change nothing
  std::vector<std::string> overridden; ///< a line for each setting that replaced what the file says
  GenerationSettings generation;       ///< a language model's

  /// The tokens that end a text, as generation_config.json names them, else config.json.
  const std::vector<int64_t> &endTokens() const {
    return generation.eos_token_ids.empty() ? eos_token_ids : generation.eos_token_ids;
  }
  bool classifies() const { return task == ModelTask::classifier; }
  int64_t headSize() const { return n_embd / n_head; }
  /// All tensors, in the order of the layers: the body's, the head's if it is not tied, the classifier's.
  std::vector<TensorSpec> tensors() const;
  /// Those of a classifier's head alone: its hidden layers, score.weight, and score.bias if it has one.
  std::vector<TensorSpec> classifierTensors() const;

  /// Reads a config.json. `where` starts errors. `overrides` replace values of the file before anything is
  /// checked. A setting that would change the numbers and is not supported is refused by name.
  static Result<ModelDescription> parse(std::string_view text, const std::string &where,
                                        const ConfigSettings &overrides = {});
  static Result<ModelDescription> read(const std::string &path, const ConfigSettings &overrides = {});
  /// The config.json, canonical: every field of it that this struct and the family have.
  Json toJson() const;
  /// The same for the runtime, which reads the sizes by the names that this struct has for them.
  Json forRuntime() const;
};

/// As transformers writes token ids: null, a number, or a list.
Json idsToJson(const std::vector<int64_t> &ids);

/// activation_function's value, or nothing for a name that is not supported.
std::optional<ActivationFunction> activationNamed(std::string_view name);
/// The names that are, for errors.
inline constexpr const char *kActivations =
    "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, quick_gelu, relu, silu, swish";

} // namespace linnet
