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

def Linnet_InPlaceOpInterface : OpInterface<"InPlaceOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The result is operand 0 with some elements written or added to: with the unit attribute `linnet.in_place` a
    backend changes operand 0's own buffer.
  }];
}

def Linnet_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::linnet::ir";
  let description = [{
    The op can be trained through: it builds its vector-Jacobian product as IR. See ir/Gradients.h.
  }];
  let methods = [InterfaceMethod<[{
    Reads the gradient of the op's results from `gradients` and adds to that of its operands what comes through
    this op; of those alone that are wanted. Emits an error where the op, as it is, has no gradient.
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
