// Interfaces: properties of ops that passes and backends query without naming an op.
#ifndef LINNET_IR_LINNETINTERFACES_TD
#define LINNET_IR_LINNETINTERFACES_TD

include "mlir/IR/OpBase.td"

def Linnet_ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    result[i] = f(operand_0[i], operand_1[i], ...) with f on scalars. backends/common/scalar.h defines f for every
    backend. The op is also legal on scalar operands inside `linnet.fused`.
  }];
}

def Linnet_ViewOpInterface : OpInterface<"ViewOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The result is a range or all of operand 0's elements in storage order. A backend may alias instead of copying.
  }];
}

def Linnet_InPlaceOpInterface : OpInterface<"InPlaceOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The result is operand 0 with some elements overwritten or added to. With the unit attribute `linnet.in_place` a
    backend changes operand 0's buffer.
  }];
}

def Linnet_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The op builds its vector-Jacobian product as IR. See ir/Gradients.h.
  }];
  let methods = [InterfaceMethod<[{
    Reads the gradients of the op's results from `gradients` and adds this op's contribution to the gradient of each
    operand that wants one. Emits an error if the op, with these attributes and types, has no gradient.
  }], "::mlir::LogicalResult", "buildGradient",
    (ins "::mlir::OpBuilder &":$builder, "::linnet::ir::Gradients &":$gradients)>];
}

def Linnet_FlopsOpInterface : OpInterface<"FlopsOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The op computes with floating-point numbers. Profiles and dumps compare its operations with a kernel's time.
    An op without this interface only moves data.
  }];
  let methods = [InterfaceMethod<[{
    Operations of the formula, whatever a kernel does. By default one for each element of the first result.
  }], "::linnet::ir::Flops", "flops", (ins), "", [{
    return {1, $_op->getResult(0)};
  }]>];
}

#endif
