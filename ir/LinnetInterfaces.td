// What passes and backends ask of an op without knowing which one it is.
#ifndef LINNET_IR_LINNETINTERFACES_TD
#define LINNET_IR_LINNETINTERFACES_TD

include "mlir/IR/OpBase.td"

def Linnet_ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    result[i] = f(operand_0[i], operand_1[i], ...) with f on scalars, written once in
    backends/common/scalar.h for every backend. Also legal on scalar f32 operands inside `linnet.fused`.
  }];
}

def Linnet_ViewOpInterface : OpInterface<"ViewOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The result's values are some of operand 0's, in storage order: a backend may alias instead of copying.
  }];
}

#endif
