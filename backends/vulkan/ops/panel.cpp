#include "backends/vulkan/ops/panel.h"

#include <fmt/format.h>

namespace linnet::vulkan {

std::string PanelSpec::text() const {
  return fmt::format("{}_{}x{}_panel{}x{}", nameOf(type), k, n, k_block, n_block);
}

Value panelElement(Emitter &e, const PanelSpec &spec, OperandNumber operand, Value first, Value k, Value n) {
  Builder &b = e.b;
  const uint64_t interleave = spec.type == Type::i4 ? 2 : 1;
  const auto wide = static_cast<uint64_t>(spec.n_block);
  Value in_panel = b.add(b.mul(b.div(k, e.u(interleave)), e.u(wide)), b.mod(n, e.u(wide)));
  if (interleave > 1) in_panel = b.add(b.mul(in_panel, e.u(2)), b.mod(k, e.u(2)));
  Value panel = b.sub(b.div(n, e.u(wide)), first);
  return e.load(operand, b.add(b.mul(panel, e.u(uint64_t(spec.panelElements()))), in_panel), spec.type);
}

namespace {
/// Elements of one load: 4 columns of one row, or of two rows for i4.
uint64_t elementsOfLoad(Type type) { return type == Type::i4 ? 8 : 4; }
} // namespace

PanelReader::PanelReader(Emitter &e, const PanelSpec &spec, uint32_t operand, Value panel, Value quad)
    : e(e), spec(spec), operand(operand),
      base(e.b.add(e.b.mul(panel, e.u(uint64_t(spec.panelElements()) / elementsOfLoad(spec.type))), quad)) {}

std::array<Value, 4> PanelReader::rows4(Value k) {
  Builder &b = e.b;
  const uint64_t quads = uint64_t(spec.n_block) / 4;
  const bool pairs = spec.type == Type::i4; // a word has four columns of two rows
  std::array<Value, 4> rows;
  Value first = b.add(base, b.mul(k, e.u(pairs ? quads / 2 : quads)));
  for (uint32_t i = 0; i < 4; i += pairs ? 2 : 1) {
    Value at = i ? b.add(first, e.u((pairs ? i / 2 : i) * quads)) : first;
    if (!pairs) {
      rows[i] = e.loadFour(operand, at, spec.type);
      continue;
    }
    Value word = e.loadWord(operand, at);
    rows[i] = e.integers(word, {0, 8, 16, 24}, 4), rows[i + 1] = e.integers(word, {4, 12, 20, 28}, 4);
  }
  return rows;
}

} // namespace linnet::vulkan
