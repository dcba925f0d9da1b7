#include "lab/drawn_weights.h"

#include "support/error.h"

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>

namespace linnet::lab {
namespace {

using reference::Tensor;

/// A smaller value has no visible effect next to activations of about 1.
constexpr double kTiny = 1e-3;
/// A smaller spread, relative to the largest element, counts as none.
constexpr double kSpread = 1e-3;

struct Statistics {
  explicit Statistics(const Tensor &weight) {
    for (int64_t i = 0; i < weight.size(); ++i) {
      const double x = weight.data()[i];
      low = std::min(low, x), high = std::max(high, x);
      mean += x / static_cast<double>(weight.size());
      zeros += x == 0;
    }
    for (int64_t i = 0; i < weight.size(); ++i) {
      const double from_mean = weight.data()[i] - mean;
      deviation += from_mean * from_mean / static_cast<double>(weight.size());
    }
    deviation = std::sqrt(deviation);
    largest = std::max(std::fabs(low), std::fabs(high));
  }
  bool tiny() const { return largest < kTiny; }
  bool constant() const { return high - low <= kSpread * largest; }

  double low = HUGE_VAL, high = -HUGE_VAL, mean = 0, deviation = 0, largest = 0;
  int64_t zeros = 0;
};

/// Whether each element equals the one at other(row, column).
template <class Other> bool allEqual(const Tensor &matrix, Other other) {
  const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      if (matrix.data()[r * columns + c] != matrix.data()[other(r, c)]) return false;
  return true;
}

bool isSymmetric(const Tensor &weight) {
  if (weight.size() < 2) return false;
  if (weight.shape.size() == 1) {
    const int64_t n = weight.size();
    for (int64_t i = 0; i < n / 2; ++i)
      if (weight.data()[i] != weight.data()[n - 1 - i]) return false;
    return true;
  }
  if (weight.shape.size() != 2) return false;
  const int64_t rows = weight.shape[0], columns = weight.shape[1];
  if (rows == columns && allEqual(weight, [&](int64_t r, int64_t c) { return c * columns + r; })) return true;
  return (rows > 1 && allEqual(weight, [](int64_t, int64_t c) { return c; })) ||
         (columns > 1 && allEqual(weight, [&](int64_t r, int64_t) { return r * columns; }));
}

/// FNV-1a.
uint64_t seedOf(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

/// A random tensor with the same shape, mean and deviation, if the deviation is not negligible.
Tensor draw(const Tensor &weight, std::string_view name) {
  const Statistics is(weight);
  const double mean = is.tiny() ? 0 : is.mean;
  double deviation = is.deviation;
  if (is.tiny() || is.constant()) {
    constexpr double kOfVector = 0.25; // gains stay near their values, and biases become visible
    const int64_t least =
        weight.shape.size() < 2 ? 0 : *std::min_element(weight.shape.begin(), weight.shape.end());
    deviation = least ? 1 / std::sqrt(double(least)) : kOfVector * std::max(1.0, std::fabs(mean));
  }
  Tensor drawn = Tensor::zeros(reference::Kind::f32, weight.shape);
  std::mt19937_64 random(seedOf(name));
  std::normal_distribution<double> normal(mean, deviation);
  std::generate(drawn.floats->begin(), drawn.floats->end(), [&] { return float(normal(random)); });
  return drawn;
}

class Drawing {
public:
  Drawing(reference::WeightProvider stored, std::set<std::string> fixed)
      : stored(std::move(stored)), fixed(std::move(fixed)) {}

  Result<Tensor> operator()(std::string_view name) {
    if (auto found = kept.find(name); found != kept.end()) return found->second;
    LINNET_ASSIGN(Tensor tensor, stored(name));
    if (tensor.isFloat() && tensor.size() > 0 && !fixed.contains(std::string(name))) {
      if (hidesFaults(tensor) || !contents.insert(contentOf(tensor)).second) tensor = draw(tensor, name);
    }
    return kept.emplace(std::string(name), std::move(tensor)).first->second;
  }

private:
  /// A hash of shape and elements. A collision only causes an unnecessary draw.
  static size_t contentOf(const Tensor &tensor) {
    const llvm::StringRef bytes(reinterpret_cast<const char *>(tensor.data()),
                                tensor.floats->size() * sizeof(float));
    return llvm::hash_combine(llvm::hash_value(bytes),
                              llvm::hash_combine_range(tensor.shape.begin(), tensor.shape.end()));
  }

  reference::WeightProvider stored;
  std::set<std::string> fixed;
  std::map<std::string, Tensor, std::less<>> kept;
  std::set<size_t> contents;
};

} // namespace

bool hidesFaults(const Tensor &weight) {
  const Statistics is(weight);
  if (weight.size() == 1) return is.tiny() || is.largest == 1; // adding 0, multiplying by 1
  return is.tiny() || is.constant() || 2 * is.zeros >= weight.size() || isSymmetric(weight);
}

reference::WeightProvider withDrawn(reference::WeightProvider stored, std::set<std::string> fixed) {
  auto drawing = std::make_shared<Drawing>(std::move(stored), std::move(fixed));
  return [drawing](std::string_view name) { return (*drawing)(name); };
}

} // namespace linnet::lab
