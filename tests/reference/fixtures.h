// Golden checkpoints and their expectations as tensors of the interpreter.
#pragma once
#include "backends/reference/interpreter.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace linnet::testing {

inline reference::Tensor toTensor(const TensorView &view) {
  if (view.type == StorageType::i64) {
    std::vector<int32_t> values(view.elements());
    for (size_t i = 0; i < values.size(); ++i) {
      int64_t value;
      std::memcpy(&value, view.bytes.data() + 8 * i, 8);
      values[i] = static_cast<int32_t>(value);
    }
    return reference::Tensor::of(view.shape, values);
  }
  std::vector<float> values(view.elements());
  if (auto read = readF32(view, 0, values); !read) throw std::runtime_error(read.error().message);
  return reference::Tensor::of(view.shape, values);
}

/// A checkpoint's weights for the interpreter. The checkpoint must outlive the result.
inline reference::WeightProvider weightsOf(const Checkpoint &checkpoint) {
  return [&checkpoint](std::string_view name) -> Result<reference::Tensor> {
    const TensorView *view = checkpoint.find(name);
    if (!view) return Error{"no weight " + std::string(name)};
    return toTensor(*view);
  };
}

/// Largest difference relative to the largest value of `expected`.
inline double relativeError(const reference::Tensor &found, const reference::Tensor &expected) {
  if (found.shape != expected.shape) return HUGE_VAL;
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::fabs(double(found.data()[i]) - expected.data()[i]));
    largest = std::max(largest, std::fabs(double(expected.data()[i])));
  }
  return worst / largest;
}

} // namespace linnet::testing
