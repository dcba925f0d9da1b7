#include "training/head.h"
#include "support/error.h"

namespace linnet::training {
namespace {

/// Suffix of the class name in every family of transformers.
constexpr const char *kClassifier = "ForSequenceClassification";

std::string text(const std::string &value) { return value; }
template <class T> std::string text(const std::vector<T> &list) {
  return fmt::format("{}", fmt::join(list, ","));
}

/// Uses the head's value for an option that is not given.
template <class T>
Result<void> agree(T &option, const T &found, const char *name, const char *what, const std::string &model) {
  if (option.empty()) option = found;
  if (option == found) return {};
  return errorf(
      "{}: the classifier's trained head has {} {}, {} is {}; leave {} out to train that head further, "
      "or give --new-head to replace it",
      model, what, found.empty() ? "none" : text(found), name, text(option), name);
}

} // namespace

std::optional<HeadSettings> headIn(const Json &config) {
  const Json none = Json::object();
  const Json &architectures = config.contains("architectures") ? config["architectures"] : none;
  if (architectures.size() != 1 || !architectures[0].is_string() ||
      !architectures[0].get_ref<const std::string &>().ends_with(kClassifier))
    return std::nullopt;
  HeadSettings head;
  const Json &labels = config.contains("id2label") ? config["id2label"] : none;
  for (size_t id = 0; id < labels.size(); ++id) head.labels.push_back(labels.value(std::to_string(id), ""));
  const Json &ours = config.contains("_linnet_head") ? config["_linnet_head"] : none;
  const std::string type = config.value("problem_type", "");
  if (type == "multi_label_classification" || type == "regression")
    head.other = type;
  else if (labels.size() == 1)
    head.other = "one label"; // its sigmoid
  head.pooling = ours.value("pooling", head.pooling);
  head.activation = ours.value("activation", head.activation);
  head.hidden = ours.value("hidden", head.hidden);
  return head;
}

Result<void> resolveHead(const std::optional<HeadSettings> &found, FinetuneOptions &options) {
  if (found && !options.new_head) {
    const std::string &model = options.model;
    if (!found->other.empty())
      return errorf(
          "{}: expected a head that chooses one label of several, which linnet finetune trains, found {}; "
          "give --new-head to replace it",
          model, found->other);
    LINNET_TRY(agree(options.pooling, found->pooling, "--pooling", "pooling", model));
    LINNET_TRY(agree(options.hidden, found->hidden, "--hidden", "hidden layers of widths", model));
    if (found->hidden.empty()) options.activation = found->activation; // without layers it has no effect
    LINNET_TRY(agree(options.activation, found->activation, "--activation", "activation", model));
    LINNET_TRY(agree(options.labels, found->labels, "--labels", "labels", model));
  }
  const HeadSettings usual;
  if (options.pooling.empty()) options.pooling = usual.pooling;
  if (options.activation.empty()) options.activation = usual.activation;
  if (options.method == Method::Layers && options.hidden.empty())
    return Error{"--method layers needs --hidden WIDTHS"};
  return {};
}

} // namespace linnet::training
