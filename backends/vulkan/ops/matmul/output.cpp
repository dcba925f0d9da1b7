#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {

void PackedMatmul::withColumn(Value panel, Value at, const std::function<void(const Column &)> &body) {
  const auto n = uint64_t(spec.w.n), wide = uint64_t(spec.w.n_block);
  Value first = b.mul(panel, e.u(wide));
  Column column{b.add(first, at), {}, {}};
  auto inside = [&] {
    if (spec.scaled && !spec.group) column.scale = e.load(scaleOperand(), column.number, Type::f32);
    if (spec.bias) column.bias = e.load(biasOperand(), column.number, spec.bias_type);
    body(column);
  };
  n % wide ? b.ifThen(b.lt(column.number, e.u(n)), inside) : inside();
}

/// Applies scale, bias, activation and residual.
void PackedMatmul::store(Value row, const Column &column, Value x) {
  Value n = e.u(uint64_t(spec.w.n));
  if (column.scale) x = b.mul(x, column.scale);
  if (column.bias) x = b.add(x, column.bias);
  x = e.activation(spec.activation, x);
  if (spec.residual) {
    Value line = spec.last_residual ? lastOf(row) : row;
    x = b.add(x, e.load(residualOperand(), b.add(b.mul(line, n), column.number), Type::f32));
  }
  e.store(1, b.add(b.mul(row, n), column.number), Type::f32, x);
  if (argmax) argmax->take(row, x, column.number);
}

void PackedMatmul::storeInside(Value row, const Column &column, Value x) {
  auto inside = [&] { store(row, column, x); };
  variant.rows > 1 ? b.ifThen(b.lt(row, e.extent(spec.m)), inside) : inside();
}

template <class Array>
void PackedMatmul::storeBlock(Array scratch, Value own, Value first, Value panel, Value quad,
                              std::span<const Variable> sums) {
  const auto rows = uint32_t(sums.size());
  for (uint32_t r = 0; r < rows; ++r)
    for (uint32_t j = 0; j < 4; ++j)
      b.store(scratch, b.add(own, e.u(j * rows + r)), b.extract(b.get(sums[r]), int(j)));
  b.forRange(e.u(0), e.u(4), e.u(1), [&](Value j) {
    withColumn(panel, b.add(b.mul(quad, e.u(4)), j), [&](const Column &column) {
      b.forRange(e.u(0), e.u(rows), e.u(1), [&](Value r) {
        storeInside(b.add(first, r), column, b.load(scratch, b.add(own, b.add(b.mul(j, e.u(rows)), r))));
      });
    });
  });
}
template void PackedMatmul::storeBlock(Private, Value, Value, Value, Value, std::span<const Variable>);
template void PackedMatmul::storeBlock(Shared, Value, Value, Value, Value, std::span<const Variable>);

} // namespace linnet::vulkan
