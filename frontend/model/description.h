// The description of a model of any family: sizes, head, special tokens and generation settings.
#pragma once
#include "frontend/model/generation_settings.h"
#include "frontend/model/tensor_spec.h"
#include "support/json_fwd.h"
#include "support/result.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class Family;

/// KEY=VALUE texts of --set. VALUE replaces that of config.json. It is read as JSON, or as text if it is not
/// JSON.
using ConfigSettings = std::vector<std::string>;

/// Values of activation_function: "relu"; "gelu" (erf); "gelu_new", "gelu_pytorch_tanh" and "gelu_fast" (all
/// the tanh form); "quick_gelu"; "silu" and "swish" (the same function).
enum class ActivationFunction { relu, gelu_erf, gelu_tanh, gelu_quick, silu };

/// The part of a classifier between the last norm and the scores. The default, without "_linnet_head" in the
/// file, is the last token's state times score.weight, like transformers' ...ForSequenceClassification.
struct ClassifierHead {
  std::string pooling = "last"; ///< "last", "first", or "mean" of the positions
  std::vector<int64_t>
      hidden; ///< widths of layers before the scores, head.N.weight [in, out] and head.N.bias
  std::string activation_function = "gelu"; ///< after each hidden layer, in transformers' spelling
  ActivationFunction activation = ActivationFunction::gelu_erf;
  bool score_bias = false; ///< score.bias is among the tensors

  bool plain() const { return pooling == "last" && hidden.empty(); }
};

/// The architectures of a family. A body is a language model that may lack the head's matrix.
enum class ModelTask { language_model, body, classifier };

/// Base of a family's settings.
struct FamilySettings {
  virtual ~FamilySettings() = default;
};

/// Models of many positions would have caches of gigabytes.
inline constexpr int64_t kMostDefaultContext = 4096;

struct ModelDescription {
  const Family *family = nullptr; ///< not null after parse() and in presets
  std::shared_ptr<const FamilySettings> settings;

  int64_t n_layer = 0, n_head = 0, n_embd = 0, vocab_size = 0;
  int64_t n_positions = 0; ///< the longest text, in tokens
  int64_t n_key_head =
      0; ///< heads of keys and values, each for n_head / n_key_head heads of queries; 0: n_head
  int64_t head_size = 0; ///< 0: n_embd / n_head
  bool tie_word_embeddings = true;
  ModelTask task = ModelTask::language_model;
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;      ///< "eos_token_id": one id or a list
  std::map<int64_t, std::string> id2label; ///< labels of a classifier
  /// Problem type of a classifier: regression, single_label_classification or multi_label_classification;
  /// empty if the file has none.
  std::string problem_type;
  ClassifierHead head;
  std::vector<std::string>
      ignored_keys; ///< keys of the file that the family does not have and that have no effect
  std::vector<std::string> overridden; ///< a line for each setting that replaced a value of the file
  GenerationSettings generation;       ///< for a language model
  std::string chat_template;           ///< for a language model; not parsed, empty if there is none

  /// The tokens that end a text: those of generation_config.json, else those of config.json.
  const std::vector<int64_t> &endTokens() const {
    return generation.eos_token_ids.empty() ? eos_token_ids : generation.eos_token_ids;
  }
  bool classifies() const { return task == ModelTask::classifier; }
  int64_t headSize() const { return head_size ? head_size : n_embd / n_head; }
  /// The capacity of the KV cache unless the user asks for another one.
  int64_t defaultContext() const { return std::min<int64_t>(n_positions, kMostDefaultContext); }
  int64_t keyHeads() const { return n_key_head ? n_key_head : n_head; }
  /// All tensors, in the order of the layers: the body's, the head's if it is not tied, the classifier's.
  std::vector<TensorSpec> tensors() const;
  /// Tensors of a classifier's head: its hidden layers, score.weight, and score.bias if it has one.
  std::vector<TensorSpec> classifierTensors() const;

  /// Reads a config.json. Errors begin with `where`. `overrides` replace values of the file before the
  /// checks. An unsupported setting that would change the numbers is an error that names it.
  static Result<ModelDescription> parse(std::string_view text, const std::string &where,
                                        const ConfigSettings &overrides = {});
  static Result<ModelDescription> read(const std::string &path, const ConfigSettings &overrides = {});
  /// The canonical config.json: every field of it that this struct and the family have.
  Json toJson() const;
  /// The same for the runtime, with the sizes under the names of this struct's fields.
  Json forRuntime() const;
};

/// Token ids in transformers' form: null, a number, or a list.
Json idsToJson(const std::vector<int64_t> &ids);

/// The activation function of that name, or nothing for an unsupported name.
std::optional<ActivationFunction> activationNamed(std::string_view name);
/// The supported names, for errors.
inline constexpr const char *kActivations =
    "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, quick_gelu, relu, silu, swish";

} // namespace linnet
