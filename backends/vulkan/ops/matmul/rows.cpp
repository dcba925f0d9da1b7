#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {

std::array<Value, 4> PackedMatmul::activations(const Row &row, Value k) {
  std::array<Value, 4> a;
  if (vectorRows()) {
    Value four = normed4(fourOf(row, k), row, b.shiftRight(k, e.u(2)));
    for (int i = 0; i < 4; ++i) a[size_t(i)] = b.extract(four, i);
  } else {
    for (uint32_t i = 0; i < 4; ++i) a[i] = activation(row, b.add(k, e.u(i)));
  }
  return a;
}

Value PackedMatmul::activation(const Row &row, Value k) {
  Value x = oneOf(row, k);
  if (!spec.norm) return x;
  return b.fma(b.mul(b.sub(x, row.mean), row.inverse), e.load(gainOperand(), k, spec.norm->type),
               e.load(betaOperand(), k, spec.norm->type));
}

Value PackedMatmul::normed4(Value x, const Row &row, Value four) {
  if (!spec.norm) return x;
  Value gain = e.loadFour(gainOperand(), four, spec.norm->type);
  Value beta = e.loadFour(betaOperand(), four, spec.norm->type);
  return b.fma(b.mul(b.sub(x, b.splat(row.mean, 4)), b.splat(row.inverse, 4)), gain, beta);
}

Value PackedMatmul::lastOf(Value sequence) {
  Value positions = e.extent(spec.positions);
  Value length = b.bitcast(e.load(lengthOperand(), sequence, Type::i32), Builder::u32());
  length = b.max(b.min(length, positions), e.u(1)); // keeps the index inside the tensor for any length
  return b.add(b.mul(sequence, positions), b.sub(length, e.u(1)));
}

Value PackedMatmul::clampedRow(Value first, uint32_t r) {
  Value row = r ? b.add(first, e.u(r)) : first;
  return variant.rows > 1 ? b.min(row, b.sub(e.extent(spec.m), e.u(1))) : row;
}

std::vector<PackedMatmul::Row> PackedMatmul::rowsOf(Value first) {
  std::vector<Row> rows;
  for (uint32_t r = 0; r < variant.rows; ++r) {
    Value number = clampedRow(first, r);
    rows.push_back({b.mul(spec.last ? lastOf(number) : number, e.u(uint64_t(spec.a_stride))), {}, {}});
  }
  if (!spec.norm) return rows;
  Value size = e.f(double(spec.w.k));
  const std::vector<Value> sums = totals(rows, [](const Row &, Value x) { return x; });
  for (size_t r = 0; r < rows.size(); ++r) rows[r].mean = b.div(sums[r], size);
  const std::vector<Value> squares = totals(rows, [&](const Row &row, Value x) {
    Value d = b.sub(x, b.splat(row.mean, x.type.width));
    return b.mul(d, d);
  });
  for (size_t r = 0; r < rows.size(); ++r)
    rows[r].inverse = b.div(e.f(1), b.sqrt(b.add(b.div(squares[r], size), e.f(spec.norm->epsilon))));
  return rows;
}

/// The sums of term(row, x) over each row's elements. x is a vector of four elements, or one element. The variance
/// needs two passes: with a few large elements in a row (as in GPT-2), one pass would cancel.
std::vector<Value> PackedMatmul::totals(std::span<const Row> rows, const Term &term) {
  const auto k = uint64_t(spec.w.k), fours = vectorRows() ? k / 4 : 0;
  Value lane = bySubgroup() ? b.subgroupLane() : me();
  Value lanes = !bySubgroup()      ? e.u(e.invocations())
                : variant.subgroup ? e.u(variant.subgroup)
                                   : b.subgroupSize();
  std::vector<Variable> four, one;
  for (size_t r = 0; r < rows.size(); ++r)
    four.push_back(b.variable(b.splat(e.f(0), 4))), one.push_back(b.variable(e.f(0)));
  auto addAll = [&](std::span<const Variable> sums, const std::function<Value(const Row &)> &x) {
    for (size_t r = 0; r < rows.size(); ++r) b.set(sums[r], b.add(b.get(sums[r]), term(rows[r], x(rows[r]))));
  };
  b.forRange(lane, e.u(fours), lanes,
             [&](Value i) { addAll(four, [&](const Row &row) { return fourOf(row, b.mul(i, e.u(4))); }); });
  if (4 * fours < k)
    b.forRange(b.add(lane, e.u(4 * fours)), e.u(k), lanes,
               [&](Value i) { addAll(one, [&](const Row &row) { return oneOf(row, i); }); });
  std::vector<Value> sums;
  for (size_t r = 0; r < rows.size(); ++r) {
    Value parts = b.get(four[r]), sum = b.get(one[r]);
    for (int i = 0; i < 4; ++i) sum = b.add(sum, b.extract(parts, i));
    sums.push_back(bySubgroup() ? b.subgroupReduce(spirv::SubgroupOp::add, sum) : sum);
  }
  return bySubgroup() ? sums : reduced(sums);
}

/// The sums of the whole workgroup, for all rows at once.
std::vector<Value> PackedMatmul::reduced(const std::vector<Value> &mine) {
  Value sums = mine.size() > 1 ? b.vector(mine) : mine[0];
  sums = e.reduce(scratch, sums, [&](Value x, Value y) { return b.add(x, y); });
  std::vector<Value> all;
  for (size_t r = 0; r < mine.size(); ++r) all.push_back(b.extract(sums, int(r)));
  return all;
}

} // namespace linnet::vulkan
