// Weights and constants.
#include "backends/reference/ops.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include <algorithm>

using namespace mlir;

namespace linnet::reference {
namespace {

Result<Tensor> constant(ir::ConstantOp op, const Inputs &) {
  auto type = llvm::dyn_cast<RankedTensorType>(op.getType());
  auto dense = llvm::dyn_cast<DenseElementsAttr>(op.getValue());
  if (!type || !dense) return Error{"expected a dense tensor constant"};
  Tensor tensor = Tensor::zeros(kindOf(type.getElementType()), type.getShape().vec());
  if (tensor.isFloat()) {
    std::transform(dense.value_begin<APFloat>(), dense.value_end<APFloat>(), tensor.data(),
                   [](const APFloat &x) {
                     APFloat value = x;
                     bool lost;
                     value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
                     return value.convertToFloat();
                   });
  } else {
    std::transform(dense.value_begin<APInt>(), dense.value_end<APInt>(), tensor.ints(),
                   [](const APInt &x) { return static_cast<int32_t>(x.getSExtValue()); });
  }
  return tensor;
}

Result<Tensor> param(ir::ParamOp op, const Inputs &x) {
  auto type = llvm::cast<RankedTensorType>(op.getType());
  LINNET_ASSIGN(Tensor tensor, x.weights(op.getName()));
  if (ArrayRef<int64_t>(tensor.shape) != type.getShape())
    return errorf("weight \"{}\" is {}, the module says {}", op.getName().str(), describe(tensor),
                  ir::describe(type));
  Kind kind = kindOf(type.getElementType());
  if (tensor.kind == kind || !tensor.isFloat()) return tensor;
  Tensor out = Tensor::zeros(kind, tensor.shape);
  if (!out.isFloat()) { // a program for target "reference" stores every weight as floats
    std::transform(tensor.floats->begin(), tensor.floats->end(), out.ints(),
                   [](float x) { return static_cast<int32_t>(x); });
    return out;
  }
  std::transform(tensor.floats->begin(), tensor.floats->end(), out.data(),
                 [&](float x) { return rounded(kind, x); });
  return out;
}

} // namespace

void addValues(OpTable &table) {
  table.add<ir::ConstantOp>(constant);
  table.add<ir::ParamOp>(param);
}

} // namespace linnet::reference
