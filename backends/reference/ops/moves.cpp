// Ops that only move elements.
#include "backends/reference/ops.h"
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

/// Returns `from` with the shape of `result`. Its dynamic dimensions get the sizes of the operand's, in order.
Tensor reshaped(const Tensor &from, mlir::RankedTensorType operand, mlir::RankedTensorType result) {
  Tensor out = from;
  out.shape.clear();
  std::vector<int64_t> dynamic;
  for (int64_t i = 0; i < operand.getRank(); ++i)
    if (operand.isDynamicDim(i)) dynamic.push_back(from.shape[i]);
  size_t next = 0;
  for (int64_t size : result.getShape())
    out.shape.push_back(mlir::ShapedType::isDynamic(size) ? dynamic[next++] : size);
  return out;
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

} // namespace

void addMoves(OpTable &table) {
  table.add<ir::ReshapeOp>([](ir::ReshapeOp op, const Inputs &x) {
    return reshaped(x[0], llvm::cast<mlir::RankedTensorType>(op.getOperand().getType()),
                    llvm::cast<mlir::RankedTensorType>(op.getType()));
  });
  table.add<ir::SliceOp>([](ir::SliceOp op, const Inputs &x) {
    return slice(x[0], static_cast<int64_t>(op.getDim()), static_cast<int64_t>(op.getOffset()),
                 static_cast<int64_t>(op.getSize()));
  });
  table.add<ir::TransposeOp>([](ir::TransposeOp op, const Inputs &x) {
    return transpose(x[0], std::span(op.getPermutation().data(), op.getPermutation().size()));
  });
  table.add<ir::ConcatOp>(
      [](ir::ConcatOp op, const Inputs &x) { return concat(x.operands, static_cast<int64_t>(op.getDim())); });
  table.add<ir::RelayoutOp>([](ir::RelayoutOp, const Inputs &x) { return x[0]; });
}

} // namespace linnet::reference
