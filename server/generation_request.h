// Requests of /v1/completions and /v1/chat/completions.
#pragma once
#include "chat/format.h"
#include "linnet/batch.h"
#include "server/fields.h"

#include <optional>
#include <string>
#include <vector>

namespace linnet::server {

/// The model, as the API presents it.
struct Served {
  Model model;
  std::string name;                   ///< the model's name for clients
  int64_t created = 0;                ///< seconds since 1970
  std::optional<chat::Format> format; ///< absent if the model has no chat template
  std::string no_format;              ///< the reason why there is no format
  Pooling pooling = Pooling::Last;    ///< the pooling of /v1/embeddings
  int64_t max_texts = 0;              ///< most texts of a request
};

struct GenerationRequest {
  bool chat = false, stream = false, include_usage = false, token_ids = false;
  int64_t choices = 1;                       ///< number of choices for each prompt
  int64_t top_logprobs = -1;                 ///< -1 for no log probabilities
  std::vector<std::vector<TokenId>> prompts; ///< at least one
  GenerateOptions options;

  /// The texts in order of their choices' indices: those of the first prompt first.
  std::vector<BatchRequest> texts() const;
};

/// Throws ApiError.
GenerationRequest readCompletion(const Json &json, const Served &served);
GenerationRequest readChat(const Json &json, const Served &served);

/// The texts of `name`: a text, a list of texts, a list of ids, or a list of lists of ids. An empty text becomes the
/// token that begins a text. Each has at most `most` tokens. Throws ApiError.
std::vector<std::vector<TokenId>> readTexts(Fields &fields, const std::string &name, const Served &served,
                                            int64_t most, int64_t most_texts = INT64_MAX);
/// Throws ApiError if the field `model` names another model.
void checkModel(Fields &fields, const Served &served);

} // namespace linnet::server
