// The `linnet` dialect. Include this header instead of the generated ones.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace linnet::ir {
class Gradients;

/// Floating-point operations of an op: each * (elements of `elements`) * (size of dimension `dim` of `sized`),
/// the last factor only if `sized` is not null.
struct Flops {
  int64_t each = 0;
  mlir::Value elements = {}, sized = {};
  int64_t dim = 0;
};
} // namespace linnet::ir

#include "ir/LinnetDialect.h.inc"
#include "ir/LinnetEnums.h.inc"
#include "ir/LinnetInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/LinnetAttrs.h.inc"
#define GET_OP_CLASSES
#include "ir/LinnetOps.h.inc"
