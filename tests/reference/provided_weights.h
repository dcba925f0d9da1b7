// The interpreter's weights as a WeightSource for backends.
#pragma once
#include "backends/common/weights.h"
#include "backends/reference/weights.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::testing {

/// Also gives the weights that `planned` computes from those of `provider`. `planned` must outlive it.
class ProvidedWeights : public WeightSource {
public:
  ProvidedWeights(mlir::ModuleOp planned, const reference::WeightProvider &provider)
      : provider(reference::withComputedWeights(planned, provider)) {}
  Result<WeightTensor> open(std::string_view name) override {
    LINNET_ASSIGN(const reference::Tensor tensor, provider(name));
    WeightTensor weight;
    weight.dtype = fb::DType(uint8_t(tensor.kind));
    weight.shape = tensor.shape;
    weight.read = [tensor](int64_t first, std::span<float> out) -> Result<void> {
      if (first < 0 || first + int64_t(out.size()) > tensor.size()) return Error{"read beyond the end"};
      if (tensor.isFloat())
        std::copy_n(tensor.data() + first, out.size(), out.data());
      else // floats represent small integers exactly
        std::copy_n(tensor.ints() + first, out.size(), out.data());
      return {};
    };
    return weight;
  }

private:
  const reference::WeightProvider provider;
};

} // namespace linnet::testing
