#include "backends/vulkan/panel.h"

#include <fmt/format.h>

namespace linnet::vulkan {

std::string PanelSpec::text() const {
  return fmt::format("{}_{}x{}_panel{}x{}", nameOf(type), k, n, k_block, n_block);
}

Value panelElement(Emitter &e, const PanelSpec &spec, uint32_t operand, Value first, Value k, Value n) {
  Builder &b = e.b;
  const uint64_t interleave = spec.type == Type::i4 ? 2 : 1;
  const auto wide = static_cast<uint64_t>(spec.n_block);
  Value in_panel = b.add(b.mul(b.div(k, e.u(interleave)), e.u(wide)), b.mod(n, e.u(wide)));
  if (interleave > 1) in_panel = b.add(b.mul(in_panel, e.u(2)), b.mod(k, e.u(2)));
  Value panel = b.sub(b.div(n, e.u(wide)), first);
  return e.load(operand, b.add(b.mul(panel, e.u(uint64_t(spec.panelElements()))), in_panel), spec.type);
}

namespace {
/// Elements that lie in what one load takes: 4 columns of one k, or of two in i4.
uint64_t elementsOfLoad(Type type) { return type == Type::i4 ? 8 : 4; }
} // namespace

PanelReader::PanelReader(Emitter &e, const PanelSpec &spec, uint32_t operand, Value panel, Value quad,
                         bool wide)
    : e(e), spec(spec), operand(operand), wide(wide),
      base(e.b.add(e.b.mul(panel, e.u(uint64_t(spec.panelElements()) / elementsOfLoad(spec.type))), quad)) {}

/// Four f32 as two loads.
Value PanelReader::wideRow(Value at) {
  Builder &b = e.b;
  Value first = b.shiftLeft(at, e.u(1));
  Value low = b.bitcast(e.loadWide(operand, first), Builder::f32(2));
  Value high = b.bitcast(e.loadWide(operand, b.add(first, e.u(1))), Builder::f32(2));
  return b.vector({b.extract(low, 0), b.extract(low, 1), b.extract(high, 0), b.extract(high, 1)});
}

std::array<Value, 4> PanelReader::rows4(Value k) {
  Builder &b = e.b;
  const uint64_t quads = uint64_t(spec.n_block) / 4;
  std::array<Value, 4> rows;
  auto floats = [&](Value word, std::array<uint32_t, 4> shifts, uint32_t bits) {
    Value parts[4];
    for (int j = 0; j < 4; ++j)
      parts[j] = b.convert(b.bitExtract(word, e.u(shifts[size_t(j)]), e.u(bits)), Builder::f32());
    return b.vector({parts[0], parts[1], parts[2], parts[3]});
  };
  Value first = b.add(base, b.mul(k, e.u(spec.type == Type::i4 ? quads / 2 : quads)));
  for (uint32_t i = 0; i < 4; ++i) {
    Value at = i ? b.add(first, e.u((spec.type == Type::i4 ? i / 2 : i) * quads)) : first;
    switch (spec.type) {
    case Type::f32:
      rows[i] = wide ? wideRow(at) : e.load4(operand, at);
      break;
    case Type::f16: {
      Value words = wide ? e.loadWide(operand, at) : e.load2(operand, at);
      Value low = b.unpackHalf2(b.extract(words, 0)), high = b.unpackHalf2(b.extract(words, 1));
      rows[i] = b.vector({b.extract(low, 0), b.extract(low, 1), b.extract(high, 0), b.extract(high, 1)});
      break;
    }
    case Type::bf16: {
      Value words = wide ? e.loadWide(operand, at) : e.load2(operand, at), parts[4];
      for (int j = 0; j < 4; ++j) {
        Value word = b.extract(words, j / 2);
        parts[j] =
            b.bitcast(j % 2 ? b.bitAnd(word, e.u(0xffff0000u)) : b.shiftLeft(word, e.u(16)), Builder::f32());
      }
      rows[i] = b.vector({parts[0], parts[1], parts[2], parts[3]});
      break;
    }
    case Type::i8:
      rows[i] = floats(e.loadWord(operand, at), {0, 8, 16, 24}, 8);
      break;
    case Type::i4:
      if (i % 2 == 0) {
        Value word = e.loadWord(operand, at);
        rows[i] = floats(word, {0, 8, 16, 24}, 4), rows[i + 1] = floats(word, {4, 12, 20, 28}, 4);
      }
      break;
    case Type::i32:
      break;
    }
  }
  return rows;
}

} // namespace linnet::vulkan
