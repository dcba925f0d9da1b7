// Metrics of a classifier.
#pragma once
#include "training/dataset.h"

#include <cstdint>
#include <span>
#include <vector>

namespace linnet::training {

/// The confusion matrix. Row: the true label; column: the predicted one.
class Confusion {
public:
  explicit Confusion(size_t labels) : size(labels), counts(labels * labels, 0) {}
  void add(size_t truth, size_t predicted) { ++counts[truth * size + predicted]; }

  size_t labels() const { return size; }
  int64_t at(size_t truth, size_t predicted) const { return counts[truth * size + predicted]; }
  int64_t total() const;
  /// Share of correctly predicted examples; 0 without examples.
  double accuracy() const;
  /// tp / (tp + fp); 0 if no example is predicted as `label`.
  double precision(size_t label) const;
  /// tp / (tp + fn); 0 if no example has the label.
  double recall(size_t label) const;
  /// The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn); 0 for 0 / 0.
  double f1(size_t label) const;
  /// The mean of f1 over the labels.
  double macroF1() const;
  /// Share of the most frequent true label: the accuracy of always predicting it.
  double largestShare() const;

private:
  int64_t rowSum(size_t label) const;
  int64_t columnSum(size_t label) const;
  size_t size;
  std::vector<int64_t> counts;
};

/// Index of the largest score; ties give the first.
size_t argmax(std::span<const float> scores);

} // namespace linnet::training
