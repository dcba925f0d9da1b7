// Instructions that compute values from values.
#include "backends/vulkan/spirv/words.h"

#include <spirv/unified1/GLSL.std.450.h>

#include <cassert>

namespace linnet::spirv {

Value Builder::splat(Value scalar, int width) {
  if (width == 1) return scalar;
  Type type = {scalar.type.kind, static_cast<uint8_t>(width)};
  Words operands = {typeId(type), m.newId()};
  operands.insert(operands.end(), width, scalar.id);
  emit(body, spv::Op::OpCompositeConstruct, operands);
  return {operands[1], type};
}

Value Builder::arithmetic(Value a, Value b, spv::Op integer, spv::Op real) {
  assert(a.type == b.type);
  return op(isFloat(a.type) ? real : integer, a.type, {a.id, b.id});
}
Value Builder::add(Value a, Value b) { return arithmetic(a, b, spv::Op::OpIAdd, spv::Op::OpFAdd); }
Value Builder::sub(Value a, Value b) { return arithmetic(a, b, spv::Op::OpISub, spv::Op::OpFSub); }
Value Builder::mul(Value a, Value b) { return arithmetic(a, b, spv::Op::OpIMul, spv::Op::OpFMul); }
Value Builder::div(Value a, Value b) {
  return arithmetic(a, b, a.type.kind == Kind::i32 ? spv::Op::OpSDiv : spv::Op::OpUDiv, spv::Op::OpFDiv);
}
Value Builder::mod(Value a, Value b) {
  return arithmetic(a, b, a.type.kind == Kind::i32 ? spv::Op::OpSMod : spv::Op::OpUMod, spv::Op::OpFMod);
}
Value Builder::min(Value a, Value b) {
  auto which = isFloat(a.type) ? GLSLstd450FMin : a.type.kind == Kind::i32 ? GLSLstd450SMin : GLSLstd450UMin;
  return extended(which, a.type, {a.id, b.id});
}
Value Builder::max(Value a, Value b) {
  auto which = isFloat(a.type) ? GLSLstd450FMax : a.type.kind == Kind::i32 ? GLSLstd450SMax : GLSLstd450UMax;
  return extended(which, a.type, {a.id, b.id});
}
Value Builder::neg(Value a) {
  return op(isFloat(a.type) ? spv::Op::OpFNegate : spv::Op::OpSNegate, a.type, {a.id});
}
Value Builder::fma(Value a, Value b, Value c) { return add(mul(a, b), c); }
Value Builder::fmaScaled(Value a, Value b, Value c) {
  return add(op(spv::Op::OpVectorTimesScalar, b.type, {b.id, a.id}), c);
}
Value Builder::floor(Value a) { return extended(GLSLstd450Floor, a.type, {a.id}); }
Value Builder::roundEven(Value a) { return extended(GLSLstd450RoundEven, a.type, {a.id}); }
Value Builder::sqrt(Value a) { return extended(GLSLstd450Sqrt, a.type, {a.id}); }
Value Builder::abs(Value a) {
  return extended(isFloat(a.type) ? GLSLstd450FAbs : GLSLstd450SAbs, a.type, {a.id});
}
Value Builder::shiftLeft(Value a, Value bits) {
  return op(spv::Op::OpShiftLeftLogical, a.type, {a.id, bits.id});
}
Value Builder::shiftRight(Value a, Value bits) {
  auto opcode = a.type.kind == Kind::i32 ? spv::Op::OpShiftRightArithmetic : spv::Op::OpShiftRightLogical;
  return op(opcode, a.type, {a.id, bits.id});
}
Value Builder::bitAnd(Value a, Value b) { return op(spv::Op::OpBitwiseAnd, a.type, {a.id, b.id}); }
Value Builder::bitOr(Value a, Value b) { return op(spv::Op::OpBitwiseOr, a.type, {a.id, b.id}); }
Value Builder::bitXor(Value a, Value b) { return op(spv::Op::OpBitwiseXor, a.type, {a.id, b.id}); }
Value Builder::bitNot(Value a) { return op(spv::Op::OpNot, a.type, {a.id}); }
Value Builder::bitExtract(Value a, Value offset, Value count) {
  auto opcode = a.type.kind == Kind::i32 ? spv::Op::OpBitFieldSExtract : spv::Op::OpBitFieldUExtract;
  return op(opcode, a.type, {a.id, offset.id, count.id});
}
Value Builder::unpackHalf2(Value bits) { return extended(GLSLstd450UnpackHalf2x16, f32(2), {bits.id}); }
Value Builder::packHalf2(Value pair) { return extended(GLSLstd450PackHalf2x16, u32(), {pair.id}); }

Value Builder::compare(Value a, Value b, spv::Op u, spv::Op i, spv::Op f) {
  assert(a.type == b.type);
  Type type = {Kind::boolean, a.type.width};
  return op(isFloat(a.type) ? f : a.type.kind == Kind::i32 ? i : u, type, {a.id, b.id});
}
Value Builder::eq(Value a, Value b) {
  return compare(a, b, spv::Op::OpIEqual, spv::Op::OpIEqual, spv::Op::OpFOrdEqual);
}
Value Builder::ne(Value a, Value b) {
  return compare(a, b, spv::Op::OpINotEqual, spv::Op::OpINotEqual, spv::Op::OpFUnordNotEqual);
}
Value Builder::lt(Value a, Value b) {
  return compare(a, b, spv::Op::OpULessThan, spv::Op::OpSLessThan, spv::Op::OpFOrdLessThan);
}
Value Builder::le(Value a, Value b) {
  return compare(a, b, spv::Op::OpULessThanEqual, spv::Op::OpSLessThanEqual, spv::Op::OpFOrdLessThanEqual);
}
Value Builder::logicalAnd(Value a, Value b) { return op(spv::Op::OpLogicalAnd, a.type, {a.id, b.id}); }
Value Builder::logicalOr(Value a, Value b) { return op(spv::Op::OpLogicalOr, a.type, {a.id, b.id}); }
Value Builder::select(Value condition, Value a, Value b) {
  assert(a.type == b.type);
  return op(spv::Op::OpSelect, a.type, {condition.id, a.id, b.id});
}

Value Builder::convert(Value a, Type to) {
  if (a.type == to) return a;
  if (isFloat(a.type) && isFloat(to)) return op(spv::Op::OpFConvert, to, {a.id});
  if (isFloat(a.type))
    return op(to.kind == Kind::i32 ? spv::Op::OpConvertFToS : spv::Op::OpConvertFToU, to, {a.id});
  if (isFloat(to))
    return op(a.type.kind == Kind::i32 ? spv::Op::OpConvertSToF : spv::Op::OpConvertUToF, to, {a.id});
  return bitcast(a, to);
}
Value Builder::bitcast(Value a, Type to) { return a.type == to ? a : op(spv::Op::OpBitcast, to, {a.id}); }

Value Builder::vector(std::span<const Value> scalars) {
  Type type = {scalars[0].type.kind, static_cast<uint8_t>(scalars.size())};
  Words operands = {typeId(type), m.newId()};
  for (Value scalar : scalars) operands.push_back(scalar.id);
  emit(body, spv::Op::OpCompositeConstruct, operands);
  return {operands[1], type};
}
Value Builder::extract(Value a, int index) {
  if (a.type.width == 1) return a;
  return op(spv::Op::OpCompositeExtract, {a.type.kind, 1}, {a.id, word(index)});
}

} // namespace linnet::spirv
