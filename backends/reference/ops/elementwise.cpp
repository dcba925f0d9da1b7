// Elementwise ops with broadcasting, and fused ops.
#include "backends/common/scalar.h"
#include "backends/reference/ops.h"
#include "backends/reference/scalar_double.h"
#include "support/error.h"

namespace linnet::reference {
namespace {

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

void addElementwise(OpTable &table) {
  table.add<ir::FusedOp>([](ir::FusedOp op, const Inputs &x) { return elementwise(op, x.operands); });
}

} // namespace linnet::reference
