// config.json of a GPT-2 model (transformers' GPT2Config). A setting that would change the numbers and is not
// supported is refused by name.
#pragma once
#include "frontend/checkpoint/config_keys.h"
#include "frontend/checkpoint/generation_settings.h"
#include "support/json_fwd.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// activation_function: "relu"; "gelu" (erf); "gelu_new", "gelu_pytorch_tanh" and "gelu_fast" (one tanh
/// form); "quick_gelu"; "silu" and "swish" (one function).
enum class ActivationFunction { relu, gelu_erf, gelu_tanh, gelu_quick, silu };

/// What stands between the last layer norm and a classifier's scores. Without "_linnet_head" in the file:
/// transformers' GPT2ForSequenceClassification, the last token's state by score.weight.
struct ClassifierHead {
  std::string pooling = "last"; ///< or "mean" of the positions, or "first"
  std::vector<int64_t>
      hidden; ///< widths of layers before the scores, head.N.weight [in, out] and head.N.bias
  std::string activation_function = "gelu"; ///< behind each of them, in transformers' spelling
  ActivationFunction activation = ActivationFunction::gelu_erf;
  bool score_bias = false; ///< score.bias is among the tensors

  bool plain() const { return pooling == "last" && hidden.empty(); }
};

struct Gpt2Config {
  int64_t n_layer = 12, n_head = 12, n_embd = 768, n_positions = 1024, vocab_size = 50257;
  int64_t n_inner = 0; ///< 0 in the file (null): 4 n_embd; resolved after parsing
  ActivationFunction activation = ActivationFunction::gelu_tanh;
  std::string activation_function = "gelu_new"; ///< as written
  double layer_norm_epsilon = 1e-5;
  bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;
  bool tie_word_embeddings = true;
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;           ///< "eos_token_id": one id or a list
  std::string architecture = "GPT2LMHeadModel"; ///< or GPT2ForSequenceClassification, GPT2Model
  std::map<int64_t, std::string> id2label;      ///< of a classifier
  /// Of a classifier, as transformers names it: regression, single_label_classification or
  /// multi_label_classification; empty if the file names none.
  std::string problem_type;
  ClassifierHead head;
  std::vector<std::string>
      ignored_keys; ///< of the file: keys that GPT-2 does not have, and that change nothing
  std::vector<std::string> overridden; ///< a line for each setting that replaced what the file says
  GenerationSettings generation;       ///< a language model's

  /// The tokens that end a text, as generation_config.json names them, else config.json.
  const std::vector<int64_t> &endTokens() const {
    return generation.eos_token_ids.empty() ? eos_token_ids : generation.eos_token_ids;
  }
  bool classifies() const { return architecture == "GPT2ForSequenceClassification"; }
  int64_t headSize() const { return n_embd / n_head; }
  /// `where` starts errors. `overrides` replace values of the file before anything is checked.
  static Result<Gpt2Config> parse(std::string_view text, const std::string &where,
                                  const ConfigSettings &overrides = {});
  static Result<Gpt2Config> read(const std::string &path, const ConfigSettings &overrides = {});
  /// Canonical: every field of config.json that this struct has, in transformers' names.
  Json toJson() const;
};

/// As transformers writes token ids: null, a number, or a list.
Json idsToJson(const std::vector<int64_t> &ids);

/// The names that activationNamed() knows, for errors.
inline constexpr const char *kActivations =
    "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, quick_gelu, relu, silu, swish";
/// activation_function's value, or nothing for a name that is not supported.
std::optional<ActivationFunction> activationNamed(std::string_view name);

} // namespace linnet
