// The formula of each elementwise op, written once for every backend. The interpreter, the CPU backend (LLVM) and the
// Vulkan backend (SPIR-V) instantiate these templates with their own builders.
//
// A builder B has a copyable type B::Value, a number in a type that B computes with, and these functions:
//
//   Value constant(double);                      in the compute type
//   Value add|sub|mul|div|max|min(Value, Value); max and min: NaN if either operand is NaN
//   Value neg|exp|log|tanh|erf|sqrt(Value);
//   Value cast(Value, mlir::Type from, mlir::Type to);
//
// math.h needs more.
//
// A builder rounds results of f16 and bf16 when it stores them. Between ops it may compute in a wider type.
#pragma once
#include "backends/common/math.h"
#include "ir/Linnet.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cassert>
#include <span>
#include <vector>

namespace linnet {

inline backend::Activation activationOf(ir::GeluForm form) {
  switch (form) {
  case ir::GeluForm::erf:
    return backend::Activation::gelu_erf;
  case ir::GeluForm::tanh:
    return backend::Activation::gelu_tanh;
  case ir::GeluForm::quick:
    return backend::Activation::gelu_quick;
  }
  return backend::Activation::none;
}

/// One element of an elementwise op's result from one element of each operand.
template <class B>
typename B::Value emitScalar(mlir::Operation *op, B &b, std::span<const typename B::Value> x) {
  using Value = typename B::Value;
  return llvm::TypeSwitch<mlir::Operation *, Value>(op)
      .template Case<ir::AddOp>([&](auto) { return b.add(x[0], x[1]); })
      .template Case<ir::SubOp>([&](auto) { return b.sub(x[0], x[1]); })
      .template Case<ir::MulOp>([&](auto) { return b.mul(x[0], x[1]); })
      .template Case<ir::DivOp>([&](auto) { return b.div(x[0], x[1]); })
      .template Case<ir::MaxOp>([&](auto) { return b.max(x[0], x[1]); })
      .template Case<ir::MinOp>([&](auto) { return b.min(x[0], x[1]); })
      .template Case<ir::NegOp>([&](auto) { return b.neg(x[0]); })
      .template Case<ir::ExpOp>([&](auto) { return b.exp(x[0]); })
      .template Case<ir::LogOp>([&](auto) { return b.log(x[0]); })
      .template Case<ir::TanhOp>([&](auto) { return b.tanh(x[0]); })
      .template Case<ir::ErfOp>([&](auto) { return b.erf(x[0]); })
      .template Case<ir::SqrtOp>([&](auto) { return b.sqrt(x[0]); })
      .template Case<ir::RsqrtOp>([&](auto) { return b.div(b.constant(1.0), b.sqrt(x[0])); })
      .template Case<ir::ReluOp>([&](auto) { return b.max(x[0], b.constant(0.0)); })
      .template Case<ir::SiluOp>([&](auto) { return emitSigmoidLinear(b, x[0], kSiluSlope); })
      .template Case<ir::GeluOp>(
          [&](ir::GeluOp gelu) { return emitActivation(b, activationOf(gelu.getForm()), x[0]); })
      .template Case<ir::CastOp>([&](ir::CastOp cast) {
        return b.cast(x[0], mlir::getElementTypeOrSelf(cast.getOperand().getType()),
                      mlir::getElementTypeOrSelf(cast.getType()));
      })
      .Default([&](mlir::Operation *) -> Value {
        assert(false && "not an elementwise op");
        return b.constant(0.0);
      });
}

/// The elements that a fused op's region yields for one element of each input.
template <class B>
std::vector<typename B::Value> emitRegion(ir::FusedOp fused, B &b,
                                          std::span<const typename B::Value> inputs) {
  using Value = typename B::Value;
  llvm::DenseMap<mlir::Value, Value> values;
  mlir::Block &block = fused.getBody().front();
  for (auto [argument, input] : llvm::zip(block.getArguments(), inputs)) values.try_emplace(argument, input);
  for (mlir::Operation &op : block.without_terminator()) {
    if (auto constant = llvm::dyn_cast<ir::ConstantOp>(op)) {
      double value = 0;
      if (auto real = llvm::dyn_cast<mlir::FloatAttr>(constant.getValue()))
        value = real.getValueAsDouble();
      else
        value = static_cast<double>(llvm::cast<mlir::IntegerAttr>(constant.getValue()).getInt());
      values.try_emplace(constant.getResult(), b.constant(value));
      continue;
    }
    std::vector<Value> operands;
    for (mlir::Value operand : op.getOperands()) operands.push_back(values.find(operand)->second);
    values.try_emplace(op.getResult(0), emitScalar(&op, b, std::span<const Value>(operands)));
  }
  std::vector<Value> results;
  for (mlir::Value operand : block.getTerminator()->getOperands())
    results.push_back(values.find(operand)->second);
  return results;
}

} // namespace linnet
