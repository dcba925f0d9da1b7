#include "training/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace linnet::training {
namespace {
double ratio(int64_t part, int64_t whole) {
  return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}
} // namespace

int64_t Confusion::total() const { return std::accumulate(counts.begin(), counts.end(), int64_t(0)); }

int64_t Confusion::rowSum(size_t label) const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i) sum += at(label, i);
  return sum;
}

int64_t Confusion::columnSum(size_t label) const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i) sum += at(i, label);
  return sum;
}

double Confusion::accuracy() const {
  int64_t right = 0;
  for (size_t i = 0; i < size; ++i) right += at(i, i);
  return ratio(right, total());
}

double Confusion::precision(size_t label) const { return ratio(at(label, label), columnSum(label)); }
double Confusion::recall(size_t label) const { return ratio(at(label, label), rowSum(label)); }
double Confusion::f1(size_t label) const {
  return ratio(2 * at(label, label), rowSum(label) + columnSum(label));
}

double Confusion::macroF1() const {
  double sum = 0;
  for (size_t i = 0; i < size; ++i) sum += f1(i);
  return size ? sum / static_cast<double>(size) : 0;
}

double Confusion::largestShare() const {
  int64_t largest = 0;
  for (size_t i = 0; i < size; ++i) largest = std::max(largest, rowSum(i));
  return ratio(largest, total());
}

size_t argmax(std::span<const float> scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

} // namespace linnet::training
