#include "ir/Activations.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace linnet::ir {
namespace {

Activation activationOfForm(GeluForm form) {
  switch (form) {
  case GeluForm::erf:
    return Activation::gelu_erf;
  case GeluForm::tanh:
    return Activation::gelu_tanh;
  case GeluForm::quick:
    break;
  }
  return Activation::gelu_quick;
}

} // namespace

Value applyActivation(OpBuilder &b, Location loc, Activation activation, Value x) {
  switch (activation) {
  case Activation::none:
    break;
  case Activation::relu:
    return b.create<ReluOp>(loc, x);
  case Activation::gelu_erf:
    return b.create<GeluOp>(loc, x, GeluForm::erf);
  case Activation::gelu_tanh:
    return b.create<GeluOp>(loc, x, GeluForm::tanh);
  case Activation::gelu_quick:
    return b.create<GeluOp>(loc, x, GeluForm::quick);
  case Activation::silu:
    return b.create<SiluOp>(loc, x);
  }
  return x;
}

std::optional<Activation> activationOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Activation>>(op)
      .Case<ReluOp>([](auto) { return Activation::relu; })
      .Case<SiluOp>([](auto) { return Activation::silu; })
      .Case<GeluOp>([](GeluOp gelu) { return activationOfForm(gelu.getForm()); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace linnet::ir
