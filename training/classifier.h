// A compiled classifier at work: texts in, labels with probabilities out.
#pragma once
#include "linnet/graph.h"
#include "support/result.h"
#include "tokenizer/tokenizer.h"
#include "training/dataset.h"

#include <functional>
#include <string>
#include <vector>

namespace linnet::training {

struct Answer {
  size_t label = 0;
  std::vector<double> probabilities; ///< by label, of sum 1
};

class Classifier {
public:
  /// An artifact of GPT2ForSequenceClassification with its tokenizer; anything else is an error that says
  /// what it is.
  static Result<Classifier> load(const std::string &path, const LoadOptions &options = {});

  const LabelNames &labels() const { return names; }
  /// In the records' order. Texts longer than the model's context lose their ends.
  Result<std::vector<Answer>> classify(const std::vector<Record> &records, const std::string &where,
                                       const std::function<void(double fraction)> &progress = {});

private:
  Classifier(Graph g, Tokenizer t) : graph(std::move(g)), tokenizer(std::move(t)) {}
  Graph graph;
  Tokenizer tokenizer;
  LabelNames names;
  int64_t max_batch = 1, max_seq = 1;
};

} // namespace linnet::training
