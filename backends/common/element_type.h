// Maps element types of the IR to those of kernels and artifacts.
#pragma once
#include "backends/common/kernel_types.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/error.h"
#include "support/result.h"

#include "mlir/IR/BuiltinTypes.h"

#include <optional>

namespace linnet::backend {

/// The element type that kernels compute with, or nothing if no kernel supports the type.
inline std::optional<Type> elementType(mlir::Type element) {
  if (element.isF32()) return Type::f32;
  if (element.isF16()) return Type::f16;
  if (element.isBF16()) return Type::bf16;
  if (element.isInteger(32)) return Type::i32;
  if (element.isInteger(8)) return Type::i8;
  if (element.isInteger(4)) return Type::i4;
  return std::nullopt;
}

/// The type's number in artifacts. The error names `owner`.
inline Result<fb::DType> dtypeOf(mlir::Type element, const std::string &owner) {
  if (const auto type = elementType(element)) return fb::DType(uint8_t(*type));
  return errorf("{}: expected elements of f32, f16, bf16, i32, i8 or i4, found others", owner);
}

} // namespace linnet::backend
