// What a finetuned classifier's head is made of: what its checkpoint says, or what the options ask for.
#pragma once
#include "support/json.h"
#include "training/finetune.h"

#include <optional>

namespace linnet::training {

struct HeadSettings {
  LabelNames labels;
  std::string pooling = "last", activation = "gelu";
  std::vector<int64_t> hidden;
  std::string other; ///< what the scores are, if not one label of several: "regression"; else empty
};

/// The head of a checkpoint's config.json; nothing if it is not a classifier.
std::optional<HeadSettings> headIn(const Json &config);

/// Completes the options of a classifier. If the model has a head (`found`), that head is trained further:
/// what the options leave open is the head's, and what they name must be the head's, unless options.new_head
/// is set. `labels` is the part that stays open for a new head: the data name them. A head whose scores do
/// not choose one label of several is an error without options.new_head: no other kind is trained.
Result<void> resolveHead(const std::optional<HeadSettings> &found, FinetuneOptions &options);

} // namespace linnet::training
