// How well a classifier does, counted.
#pragma once
#include "training/dataset.h"

#include <cstdint>
#include <span>
#include <vector>

namespace linnet::training {

/// Row: the true label; column: the predicted one.
class Confusion {
public:
  explicit Confusion(size_t labels) : size(labels), counts(labels * labels, 0) {}
  void add(size_t truth, size_t predicted) { ++counts[truth * size + predicted]; }

  size_t labels() const { return size; }
  int64_t at(size_t truth, size_t predicted) const { return counts[truth * size + predicted]; }
  int64_t total() const;
  /// Share of the examples that are predicted right; 0 of none.
  double accuracy() const;
  /// Of the examples predicted as `label`, those that are; of those that are, the predicted ones. 0 where
  /// there are none.
  double precision(size_t label) const;
  double recall(size_t label) const;
  /// Their harmonic mean, 2 tp / (2 tp + fp + fn); 0 where that is 0 / 0.
  double f1(size_t label) const;
  /// The mean of f1 over the labels.
  double macroF1() const;
  /// Share of the most frequent true label: what always saying it would get right.
  double largestShare() const;

private:
  int64_t rowSum(size_t label) const;
  int64_t columnSum(size_t label) const;
  size_t size;
  std::vector<int64_t> counts;
};

/// The first of the largest.
size_t argmax(std::span<const float> scores);

} // namespace linnet::training
