// Elementwise ops with broadcasting, and ops that move elements.
#include "backends/common/scalar.h"
#include "backends/reference/kernels.h"
#include "backends/reference/scalar_double.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::reference {
namespace {

/// A tensor of `shape` whose element i is element index(i) of x. Elements are numbered in row-major order.
template <class F> Tensor gather(const Tensor &x, std::vector<int64_t> shape, F index) {
  Tensor out = Tensor::zeros(x.kind, std::move(shape));
  int64_t n = out.size();
  for (int64_t i = 0; i < n; ++i)
    if (x.isFloat())
      out.data()[i] = x.data()[index(i)];
    else
      out.ints()[i] = x.ints()[index(i)];
  return out;
}

Result<std::vector<int64_t>> broadcastShape(std::span<const Tensor> operands) {
  std::vector<int64_t> shape;
  for (const Tensor &x : operands) {
    if (x.shape.size() > shape.size()) shape.insert(shape.begin(), x.shape.size() - shape.size(), 1);
    size_t shift = shape.size() - x.shape.size();
    for (size_t i = 0; i < x.shape.size(); ++i) {
      if (shape[i + shift] == 1)
        shape[i + shift] = x.shape[i];
      else if (x.shape[i] != 1 && x.shape[i] != shape[i + shift])
        return errorf("{} does not broadcast with the other operands", describe(x));
    }
  }
  return shape;
}

/// The strides of `x` for indices of `shape`. They are 0 in broadcast dimensions.
std::vector<int64_t> broadcastStrides(const Tensor &x, const std::vector<int64_t> &shape) {
  std::vector<int64_t> strides(shape.size(), 0);
  int64_t stride = 1;
  for (size_t i = x.shape.size(); i-- > 0;) {
    if (x.shape[i] != 1) strides[shape.size() - x.shape.size() + i] = stride;
    stride *= x.shape[i];
  }
  return strides;
}

} // namespace

Result<std::vector<Tensor>> elementwise(mlir::Operation *op, std::span<const Tensor> operands) {
  auto fused = llvm::dyn_cast<ir::FusedOp>(op);
  LINNET_ASSIGN(std::vector<int64_t> shape, broadcastShape(operands));
  std::vector<Tensor> results;
  for (mlir::Type type : op->getResultTypes()) {
    auto tensor = llvm::cast<mlir::RankedTensorType>(type);
    if (operands.empty()) shape.assign(tensor.getShape().begin(), tensor.getShape().end());
    results.push_back(Tensor::zeros(kindOf(tensor.getElementType()), shape));
  }
  std::vector<std::vector<int64_t>> strides;
  for (const Tensor &x : operands) strides.push_back(broadcastStrides(x, shape));
  DoubleScalars scalars;
  std::vector<double> elements(operands.size());
  std::vector<int64_t> offsets(operands.size(), 0), index(shape.size(), 0);
  int64_t n = results.front().size();
  for (int64_t i = 0; i < n; ++i) {
    for (size_t o = 0; o < operands.size(); ++o)
      elements[o] = operands[o].isFloat() ? operands[o].data()[offsets[o]] : operands[o].ints()[offsets[o]];
    std::span<const double> x(elements);
    std::vector<double> values =
        fused ? emitRegion(fused, scalars, x) : std::vector{emitScalar(op, scalars, x)};
    for (size_t r = 0; r < results.size(); ++r)
      if (results[r].isFloat())
        results[r].data()[i] = rounded(results[r].kind, values[r]);
      else
        results[r].ints()[i] = static_cast<int32_t>(values[r]);
    for (size_t d = shape.size(); d-- > 0;) { // advances the index, and the offset of every operand
      for (size_t o = 0; o < operands.size(); ++o) offsets[o] += strides[o][d];
      if (++index[d] < shape[d]) break;
      for (size_t o = 0; o < operands.size(); ++o) offsets[o] -= strides[o][d] * shape[d];
      index[d] = 0;
    }
  }
  if (fused && fused.getReduce())
    for (Tensor &result : results) result = reduce(*fused.getReduce(), result, int64_t(shape.size()) - 1);
  return results;
}

Tensor slice(const Tensor &x, int64_t dim, int64_t offset, int64_t size) {
  int64_t inner = 1, n = x.shape[dim];
  for (size_t i = dim + 1; i < x.shape.size(); ++i) inner *= x.shape[i];
  std::vector<int64_t> shape = x.shape;
  shape[dim] = size;
  return gather(x, shape, [&](int64_t i) {
    int64_t block = size * inner;
    return i / block * n * inner + offset * inner + i % block;
  });
}

Tensor transpose(const Tensor &x, std::span<const int64_t> permutation) {
  size_t rank = permutation.size();
  std::vector<int64_t> strides(rank, 1), shape(rank);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * x.shape[i];
  for (size_t i = 0; i < rank; ++i) shape[i] = x.shape[permutation[i]];
  return gather(x, shape, [&](int64_t i) {
    int64_t source = 0;
    for (size_t d = rank; d-- > 0;) {
      source += i % shape[d] * strides[permutation[d]];
      i /= shape[d];
    }
    return source;
  });
}

Result<Tensor> concat(std::span<const Tensor> parts, int64_t dim) {
  std::vector<int64_t> shape = parts[0].shape;
  shape[dim] = 0;
  for (const Tensor &part : parts) shape[dim] += part.shape[dim];
  Tensor out = Tensor::zeros(parts[0].kind, shape);
  int64_t outer = 1, inner = 1, begin = 0;
  for (int64_t i = 0; i < dim; ++i) outer *= shape[i];
  for (size_t i = dim + 1; i < shape.size(); ++i) inner *= shape[i];
  for (const Tensor &part : parts) {
    int64_t n = part.shape[dim] * inner;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < n; ++i) {
        int64_t to = o * shape[dim] * inner + begin + i;
        if (out.isFloat())
          out.data()[to] = part.data()[o * n + i];
        else
          out.ints()[to] = part.ints()[o * n + i];
      }
    begin += n;
  }
  return out;
}

Tensor rotaryTable(std::span<const float> frequencies, int64_t positions, float scale) {
  const auto angles = static_cast<int64_t>(frequencies.size());
  Tensor table = Tensor::zeros(Kind::f32, {positions, 2 * angles});
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < angles; ++i) {
      const double angle = static_cast<float>(p) * frequencies[i]; // the angle is rounded to f32
      table.data()[p * 2 * angles + i] = static_cast<float>(scale * std::cos(angle));
      table.data()[p * 2 * angles + angles + i] = static_cast<float>(scale * std::sin(angle));
    }
  return table;
}

Result<Tensor> rotary(const Tensor &x, const Tensor &table, const Tensor &positions, bool interleaved,
                      bool inverse) {
  const int64_t size = x.shape[3], heads = x.shape[2], angles = table.shape[1] / 2;
  Tensor out = x;
  out.floats = std::make_shared<std::vector<float>>(*x.floats);
  for (int64_t token = 0; token < positions.size(); ++token) {
    const int64_t position = positions.ints()[token];
    if (position < 0 || position >= table.shape[0])
      return errorf("position {} is outside the table of {} positions", position, table.shape[0]);
    const float *turn = table.data() + position * 2 * angles;
    for (int64_t first = token * heads * size; first < (token + 1) * heads * size; first += size)
      for (int64_t n = 0; n < angles; ++n) {
        const int64_t i = first + (interleaved ? 2 * n : n),
                      j = first + (interleaved ? 2 * n + 1 : n + angles);
        const double c = turn[n], s = inverse ? -double(turn[angles + n]) : double(turn[angles + n]);
        out.data()[i] = rounded(out.kind, x.data()[i] * c - x.data()[j] * s);
        out.data()[j] = rounded(out.kind, x.data()[j] * c + x.data()[i] * s);
      }
  }
  return out;
}

} // namespace linnet::reference
