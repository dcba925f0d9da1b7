// Matmuls with a weight in panels: work items, tiles of rows, and what happens to sums behind them.
#include "backends/cpu/packed_kernels.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

/// out = activation(scratch + bias) + residual for `rows` rows and the panel's columns that exist.
void epilogue(const PackedItem &item, int rows, Value *row0, Value *column0) {
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  Value *bias = spec.bias ? e.arg(2) : nullptr, *residual = spec.residual ? e.arg(3) : nullptr,
        *out = e.arg(4);
  Value *count = e.min(e.i64(spec.n_block), e.b.CreateSub(e.i64(spec.n), column0));
  e.loop(e.i64(0), e.i64(rows), 1, [&](Value *r) {
    Value *row = e.muladd(e.b.CreateAdd(row0, r), e.i64(spec.n), column0);
    e.forVectors(e.i64(0), count, [&](Value *c, int lanes) {
      Value *x = e.load(Type::f32, item.scratch, e.muladd(r, e.i64(spec.n_block), c), lanes);
      if (bias) x = e.b.CreateFAdd(x, e.load(spec.bias_type, bias, e.b.CreateAdd(column0, c), lanes));
      x = e.activate(spec.activation, x);
      Value *at = e.b.CreateAdd(row, c);
      if (residual) x = e.b.CreateFAdd(x, e.load(spec.out, residual, at, lanes));
      e.store(spec.out, out, at, x);
    });
  });
}

constexpr int64_t kLine = 64, kLinesOfAStep = 2;

using Sums = llvm::function_ref<void(const PackedItem &, int rows, Value *row0)>;

/// All rows and the panels [begin, end). With `start`, sums begin with what columnSums puts there.
void allTiles(Emitter &e, const PackedMatmulSpec &spec, Value *m, Value *scratch, Sums sums,
              Value *start = nullptr) {
  const int64_t panel_bytes = spec.panelBytes();
  e.loop(e.begin, e.end, 1, [&](Value *number) {
    Value *panel = e.address(Type::i8, e.arg(1), e.b.CreateMul(number, e.i64(panel_bytes)));
    Value *scale = spec.scaled() ? e.address(Type::f32, e.arg(5),
                                             e.b.CreateMul(number, e.i64(spec.groups() * spec.n_block)))
                                 : nullptr;
    const PackedItem item{e, spec, e.arg(0), panel, scale, scratch, start};
    if (start) columnSums(item);
    auto tile = [&](int rows, Value *row0) {
      sums(item, rows, row0);
      epilogue(item, rows, row0, e.b.CreateMul(number, e.i64(spec.n_block)));
    };
    Value *rest = e.b.CreateURem(m, e.i64(kTileRows));
    Value *main = e.b.CreateSub(m, rest);
    e.loop(e.i64(0), main, kTileRows, [&](Value *row0) { tile(kTileRows, row0); });
    for (int rows = 1; rows < kTileRows; ++rows)
      e.ifThen(e.b.CreateICmpEQ(rest, e.i64(rows)), [&] { tile(rows, main); });
  });
}

void emitPackedMatmul(Emitter &e, const PackedMatmulSpec &spec) {
  Value *m = e.extent(Extent::symbol(0)); // dims {m}
  Value *scratch = e.scratch(kTileRows * spec.n_block);
  const bool swaps = spec.int8_rows && spec.integerRows().unsignedBytes();
  Value *start = swaps ? e.scratch(spec.n_block) : nullptr;
  if (!spec.scaled()) return allTiles(e, spec, m, scratch, floatSums);
  auto integers = [&](int bytes) {
    allTiles(
        e, spec, m, scratch,
        [bytes](const PackedItem &item, int rows, Value *row0) { integerSums(item, rows, row0, bytes); },
        bytes == 1 ? start : nullptr);
  };
  if (spec.int8_rows == 0) return integers(2);
  Value *many = e.b.CreateICmpSGE(m, e.i64(spec.int8_rows));
  e.ifElse(
      many, [&] { integers(1); }, [&] { integers(2); });
}

} // namespace

void FetchAhead::step(Emitter &e, Value *number) const {
  if (!from) return;
  Value *line = e.b.CreateMul(number, stride);
  for (int64_t i = 0; i < kLinesOfAStep; ++i)
    e.prefetch(e.address(Type::i8, from, e.b.CreateAdd(line, e.i64(i * kLine))));
}

FetchAhead fetchAhead(const PackedItem &item, Value *row0, int64_t steps) {
  Emitter &e = item.e;
  const int64_t panel = item.spec.panelBytes(), of_a_tile = steps * kLinesOfAStep * kLine;
  if (of_a_tile == 0) return {};
  Value *tile = e.b.CreateUDiv(row0, e.i64(kTileRows));
  Value *first = e.b.CreateICmpULT(tile, e.i64((panel + of_a_tile - 1) / of_a_tile));
  Value *next = e.muladd(tile, e.i64(of_a_tile), e.i64(panel));
  // Later tiles fetch what is there: a test would cost more.
  return {e.address(Type::i8, item.panel, e.b.CreateSelect(first, next, e.i64(0))),
          e.b.CreateSelect(first, e.i64(kLinesOfAStep * kLine), e.i64(0))};
}

KernelSource packedMatmulKernel(const PackedMatmulSpec &spec) {
  std::string name = fmt::format("matmul_{}_panel{}x{}", nameOf(spec.w), spec.k_block, spec.n_block);
  if (spec.a != Type::f32 || spec.out != Type::f32)
    name += fmt::format("_{}to{}", nameOf(spec.a), nameOf(spec.out));
  if (spec.bias)
    name += spec.bias_type == Type::f32 ? "_bias" : fmt::format("_bias{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  name += fmt::format("{}_k{}_n{}", spec.residual ? "_residual" : "", spec.k, spec.n);
  if (!spec.scaled() && spec.a_stride != spec.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.group) name += fmt::format("_group{}", spec.group);
  if (spec.int8_rows) name += fmt::format("_bytes_from{}", spec.int8_rows);
  return {name, [spec](Emitter &e) { emitPackedMatmul(e, spec); }};
}

} // namespace linnet::cpu
