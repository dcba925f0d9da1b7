#include "backends/common/math.h"
#include "backends/vulkan/scalar_math.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace linnet::vulkan {

namespace {
uint32_t bindingsOf(uint32_t operands, const Operands &where) {
  return where.bind.empty() ? operands : *std::max_element(where.bind.begin(), where.bind.end()) + 1;
}
} // namespace

std::string Operands::text() const {
  std::string text = inside ? "_inside" + std::to_string(inside) : "";
  if (!bind.empty()) text += "_bind";
  for (uint32_t binding : bind) text += std::to_string(binding);
  if (!texels.empty()) text += "_texels";
  for (uint8_t words : texels) text += std::to_string(words);
  return text;
}

Emitter::Emitter(std::string name, uint32_t operands, uint32_t local_x, const Operands &where,
                 uint32_t local_y)
    : b({.name = name + where.text(),
         .local_size = {local_x, local_y, 1},
         .n_buffers = bindingsOf(operands, where),
         .texels = where.texels}),
      where(where) {
  kernel.name = name + where.text();
  kernel.operands = operands;
  kernel.bindings = bindingsOf(operands, where);
  kernel.local_size = {local_x, local_y, 1};
  kernel.texels = where.texels;
  kernel.texels.resize(where.texels.empty() ? 0 : kernel.bindings);
  kernel.push.resize(insideCount(operands), Extent(0)); // placeholders: each call sets them
}

uint32_t Emitter::insideCount(uint32_t operands) const {
  return static_cast<uint32_t>(std::popcount(where.inside & ((1u << operands) - 1)));
}

Kernel Emitter::finish() {
  kernel.words = b.finish();
  kernel.push_words = b.pushWords();
  kernel.loops = b.loops();
  return std::move(kernel);
}

//===- indices -----------------------------------------------------------------------------------------===//

uint32_t Emitter::pushNumber(const Extent &extent) {
  const uint32_t first = insideCount(kernel.operands);
  auto found = std::find(kernel.push.begin() + first, kernel.push.end(), extent);
  if (found == kernel.push.end()) found = kernel.push.insert(found, extent);
  return static_cast<uint32_t>(found - kernel.push.begin());
}

Value Emitter::extent(const Extent &extent) {
  return extent.isStatic() ? u(static_cast<uint64_t>(extent.factor)) : b.push(pushNumber(extent));
}

spirv::Most Emitter::mostOf(const Extent &extent) {
  using By = spirv::Most::By;
  if (extent.isStatic()) return {By::number, static_cast<uint32_t>(extent.factor)};
  return {By::push, pushNumber(extent)};
}

Value Emitter::anySize(const Extent &extent) {
  kernel.push.push_back(extent);
  return b.push(static_cast<uint32_t>(kernel.push.size() - 1));
}

void Emitter::forGroups(Value end, const std::function<void(Value)> &body, int axis, uint32_t each) {
  constexpr spirv::Most::By kBy[] = {spirv::Most::By::x, spirv::Most::By::y, spirv::Most::By::z};
  b.forRange(b.groupId(axis), end, b.groupCount(axis), body, {.most = spirv::Most{kBy[axis], each}});
}

void Emitter::forItems(Value items, const std::function<void(Value)> &body) {
  Value step = b.mul(b.groupCount(0), u(kernel.local_size[0]));
  b.forRange(b.globalId(0), items, step, body, {.most = spirv::Most{spirv::Most::By::x, 1}});
}

void Emitter::forOwn(Value lane, uint32_t lanes, uint32_t size,
                     const std::function<void(uint32_t i, Value at)> &body) {
  for (uint32_t i = 0; i * lanes < size; ++i) {
    Value at = b.add(lane, u(i * lanes));
    if ((i + 1) * lanes <= size)
      body(i, at);
    else
      b.ifThen(b.lt(at, u(size)), [&] { body(i, at); });
  }
}

void Emitter::forUnits(bool in_parts, const std::function<void(Unit)> &body) {
  forItems(unitCount(), [&](Value i) {
    Value number = b.add(firstUnit(), i);
    body({in_parts ? i : number, number});
  });
}

void Emitter::forUnitsByGroup(bool in_parts, const std::function<void(Unit)> &body) {
  forGroups(unitCount(), [&](Value i) {
    Value number = b.add(firstUnit(), i);
    body({in_parts ? i : number, number});
  });
}

//===- elements ----------------------------------------------------------------------------------------===//

Value Emitter::at(uint32_t operand, Value index) {
  return beginsInside(operand) ? b.add(index, b.push(insideCount(operand))) : index;
}

Value Emitter::word(uint32_t operand, Value index, uint32_t unit) {
  if (where.bind.empty()) return index;
  Value offset = b.push(kOffsets + operand); // a multiple of 64, because memory is aligned to 256 bytes
  return b.add(index, unit > 1 ? b.shiftRight(offset, u(unit == 4 ? 2 : 1)) : offset);
}

Value Emitter::load4(OperandNumber operand, Value index) {
  if (texelWords(operand) == 4) return b.bitcast(b.fetch(operand, index), Builder::f32(4));
  return b.load4(binding(operand), word(operand, index, 4), Builder::f32());
}
Value Emitter::load2(OperandNumber operand, Value index) {
  if (texelWords(operand) == 2) {
    Value texel = b.fetch(operand, index);
    return b.vector({b.extract(texel, 0), b.extract(texel, 1)});
  }
  return b.load2(binding(operand), word(operand, index, 2), Builder::u32());
}
Value Emitter::loadFour(OperandNumber operand, Value index, Type type) {
  switch (type) {
  case Type::f32:
    return load4(operand, index);
  case Type::f16: {
    Value words = load2(operand, index);
    Value low = b.unpackHalf2(b.extract(words, 0)), high = b.unpackHalf2(b.extract(words, 1));
    return b.vector({b.extract(low, 0), b.extract(low, 1), b.extract(high, 0), b.extract(high, 1)});
  }
  case Type::bf16: {
    Value words = load2(operand, index), parts[4];
    for (int j = 0; j < 4; ++j) {
      Value word = b.extract(words, j / 2);
      parts[j] = b.bitcast(j % 2 ? b.bitAnd(word, u(0xffff0000u)) : b.shiftLeft(word, u(16)), Builder::f32());
    }
    return b.vector({parts[0], parts[1], parts[2], parts[3]});
  }
  case Type::i8:
    return integers(loadWord(operand, index), {0, 8, 16, 24}, 8);
  case Type::i4:
  case Type::i32:
    break;
  }
  return {};
}

Value Emitter::integers(Value word, std::array<uint32_t, 4> shifts, uint32_t bits) {
  Value parts[4];
  for (int j = 0; j < 4; ++j)
    parts[j] = b.convert(b.bitExtract(word, u(shifts[size_t(j)]), u(bits)), Builder::f32());
  return b.vector({parts[0], parts[1], parts[2], parts[3]});
}
Value Emitter::loadWord(OperandNumber operand, Value index) {
  if (const uint32_t words = texelWords(operand)) {
    Value texel = b.fetch(operand, words > 1 ? b.shiftRight(index, u(words / 2)) : index);
    Value part = b.bitAnd(index, u(words - 1)), value = b.extract(texel, 0);
    for (uint32_t i = 1; i < words; ++i) value = b.select(b.eq(part, u(i)), b.extract(texel, int(i)), value);
    return b.bitcast(value, Builder::i32());
  }
  return b.load(binding(operand), word(operand, index), Builder::i32());
}

Value Emitter::load(OperandNumber operand, Value index, Type type) {
  index = at(operand, index);
  switch (type) {
  case Type::f32:
    return b.bitcast(loadWord(operand, index), Builder::f32());
  case Type::i32:
    return loadWord(operand, index);
  case Type::f16:
  case Type::bf16: {
    Value word = b.bitcast(loadWord(operand, b.shiftRight(index, u(1))), Builder::u32());
    Value shift = b.shiftLeft(b.bitAnd(index, u(1)), u(4));
    Value half = b.shiftRight(word, shift);
    if (type == Type::bf16) return b.bitcast(b.shiftLeft(half, u(16)), Builder::f32());
    return b.extract(b.unpackHalf2(b.bitAnd(half, u(0xffff))), 0);
  }
  case Type::i8:
  case Type::i4: {
    const uint32_t bits = type == Type::i8 ? 8 : 4, log_per_word = type == Type::i8 ? 2 : 3;
    Value word = loadWord(operand, b.shiftRight(index, u(log_per_word)));
    Value shift = b.mul(b.bitAnd(index, u((1u << log_per_word) - 1)), u(bits));
    return b.bitExtract(word, shift, u(bits));
  }
  }
  return {};
}

/// Rounds bf16 to nearest even by integer operations; NaN stays NaN.
Value Emitter::floatBits(Value x, Type type) {
  if (type == Type::f16) return b.packHalf2(b.vector({roundTo(x, Type::f16), f(0)}));
  Value bits = b.bitcast(x, Builder::u32());
  Value even = b.bitAnd(b.shiftRight(bits, u(16)), u(1));
  Value rounded = b.shiftRight(b.add(bits, b.add(even, u(0x7fff))), u(16));
  return b.select(b.ne(x, x), u(0x7fc0), rounded);
}

/// Rounds to nearest even. f16 is rounded here because drivers may choose how PackHalf2x16 rounds. A number that f16
/// represents leaves them no choice.
Value Emitter::roundTo(Value x, Type type) {
  if (type == Type::bf16) return b.bitcast(b.shiftLeft(floatBits(x, type), u(16)), Builder::f32());
  if (type != Type::f16) return x;
  Value bits = b.bitcast(x, Builder::u32()), sign = b.bitAnd(bits, u(0x80000000u));
  Value magnitude = b.bitXor(bits, sign);
  Value even = b.bitAnd(b.shiftRight(magnitude, u(13)), u(1));
  Value normal = b.bitAnd(b.add(magnitude, b.add(even, u(0xfff))), u(0xffffe000u));
  // Below 2^-14 the unit of f16 is 2^-24, the last bit of 0.5 in f32.
  Value small = b.sub(b.add(b.bitcast(magnitude, Builder::f32()), f(0.5)), f(0.5));
  Value rounded = b.select(b.lt(magnitude, u(0x38800000u)), b.bitcast(small, Builder::u32()), normal);
  // above 65504 the result is infinite
  rounded = b.select(b.lt(rounded, u(0x47800000u)), rounded, u(0x7f800000u));
  rounded = b.select(b.lt(u(0x7f800000u), magnitude), magnitude, rounded); // NaN stays NaN
  return b.bitcast(b.bitOr(rounded, sign), Builder::f32());
}

void Emitter::store(OperandNumber operand, Value index, Type type, Value value) {
  index = at(operand, index);
  if (type == Type::f32 || type == Type::i32) return b.store(binding(operand), word(operand, index), value);
  const uint32_t bits = type == Type::i8 ? 8 : type == Type::i4 ? 4 : 16, per_word = 32 / bits;
  Value narrow = isFloat(type) ? floatBits(value, type)
                               : b.bitAnd(b.bitcast(value, Builder::u32()), u((1u << bits) - 1));
  Value shift = b.mul(b.bitAnd(index, u(per_word - 1)), u(bits));
  Value mask = b.shiftLeft(u((1u << bits) - 1), shift);
  b.setBits(binding(operand), word(operand, b.div(index, u(per_word))), b.bitNot(mask),
            b.shiftLeft(narrow, shift));
}

//===- mathematics -------------------------------------------------------------------------------------===//

namespace {
template <class F> Value with(Emitter &e, F f) {
  ScalarMath math{e};
  return f(math);
}
} // namespace

// A driver's own exp may be off by 3 + 2|x| units in the last place.
Value Emitter::exp(Value x) {
  return with(*this, [&](ScalarMath &math) { return emitExp(math, x); });
}
Value Emitter::log(Value x) {
  return with(*this, [&](ScalarMath &math) { return emitLog(math, x); });
}
Value Emitter::tanh(Value x) {
  return with(*this, [&](ScalarMath &math) { return emitTanh(math, x); });
}
Value Emitter::erf(Value x) {
  return with(*this, [&](ScalarMath &math) { return emitErf(math, x); });
}
Value Emitter::activation(Activation kind, Value x) {
  return with(*this, [&](ScalarMath &math) { return emitActivation(math, kind, x); });
}

Value Emitter::maximum(Value x, Value y) { return b.select(b.logicalOr(b.lt(x, y), b.ne(y, y)), y, x); }
Value Emitter::minimum(Value x, Value y) { return b.select(b.logicalOr(b.lt(y, x), b.ne(y, y)), y, x); }

Value Emitter::toInteger(Value x, int bits) {
  if (x.type.kind != spirv::Kind::f32) return x;
  const double limit = bits == 32 ? 2147483648.0 : double(1 << (bits - 1));
  const int64_t top = int64_t(limit) - 1;
  Value inside =
      b.convert(b.min(b.max(x, f(-limit)), f(bits == 32 ? 2147483520.0 : double(top))), Builder::i32());
  Value result = b.select(b.lt(x, f(limit)), inside, b.constant(static_cast<int32_t>(top)));
  return b.select(b.ne(x, x), b.constant(int32_t(0)), result);
}

//===- a workgroup -------------------------------------------------------------------------------------===//

Shared Emitter::shared(spirv::Type element, uint32_t count, std::string_view name) {
  kernel.shared_bytes += 4 * element.width * count;
  return b.shared(element, count, name);
}

Value Emitter::reduce(Shared scratch, Value x, const Combine &combine) {
  Value lane = b.localId(0);
  if (kernel.local_size[1] > 1) lane = b.add(b.mul(b.localId(1), u(kernel.local_size[0])), lane);
  b.barrier(); // an earlier reduction's result has been read
  b.store(scratch, lane, x);
  for (uint32_t half = invocations() / 2; half; half /= 2) {
    b.barrier();
    b.ifThen(b.lt(lane, u(half)), [&] {
      b.store(scratch, lane, combine(b.load(scratch, lane), b.load(scratch, b.add(lane, u(half)))));
    });
  }
  b.barrier();
  return b.load(scratch, u(0));
}

} // namespace linnet::vulkan
