// Multiplies several rows of a by a panel, one block of the panel's rows after another (see BlockShape).
#include "backends/cpu/ops/packed.h"

#include <numeric>

namespace linnet::cpu {
namespace {

/// bytes of a tile's columns in a block, half of a first-level cache
constexpr int64_t kTileBytes = 16 << 10;
constexpr int64_t kPadding = 256; ///< bytes between tiles, so that they begin in different cache sets
constexpr int64_t kChunk = 32;    ///< rows of w between two prefetches
/// Up to kFewRows rows of a, floats are memory-bound rather than compute-bound. Their blocks then fill half of a
/// first-level cache with all columns, and each prefetch has fewer lines.
constexpr int64_t kFewRows = 48, kShortDepth = 64, kShortChunk = 8;
constexpr int64_t kFloatDepth = 256;
constexpr int kFewRegisters = 16;

} // namespace

bool rowsCollide(const Emitter &e, const PackedMatmulSpec &spec) {
  constexpr int64_t kWayBytes = 4096; // of a first-level cache: 64 sets of one line; a set has 8 lines or 12
  return e.isa.registers > kFewRegisters && spec.a_stride * sizeOf(spec.a) % kWayBytes == 0;
}

namespace {

/// Whether blocks are faster at this level than tiles that read whole panels.
bool gains(const Emitter &e, const PackedMatmulSpec &spec) {
  const bool few = e.isa.registers <= kFewRegisters;
  if (spec.scaled()) return !e.isa.vnni && (spec.w == Type::i8 ? few : spec.int8_rows > 0);
  // f32 without FMA is too slow to wait for caches.
  if (few) return e.isa.fma || spec.w != Type::f32;
  // With many registers, tiles have so many rows that they wait for caches only if the rows collide there.
  return spec.w == Type::f32 && rowsCollide(e, spec);
}

/// Bytes of one row of w in a panel.
int64_t rowBytes(const PackedMatmulSpec &spec) {
  return spec.w == Type::i4 ? spec.n_block / 2 : spec.n_block * sizeOf(spec.w);
}

/// Copies elements [k0, k0 + count) of rows [begin, begin + rows) of a as f32.
void widenRows(const PackedItem &item, Value *stride, Value *begin, Value *rows, Value *k0, Value *count) {
  Emitter &e = item.e;
  e.loop(e.i64(0), rows, 1, [&](Value *row) {
    Value *from = e.muladd(e.b.CreateAdd(begin, row), e.i64(item.spec.a_stride), k0);
    Value *to = e.b.CreateMul(row, stride);
    e.forVectors(e.i64(0), count, [&](Value *k, int lanes) {
      Value *x = e.load(item.spec.a, item.a, e.b.CreateAdd(from, k), lanes);
      e.store(Type::f32, item.widened, e.b.CreateAdd(to, k), x);
    });
  });
}

} // namespace

std::optional<BlockShape> blockShape(const Emitter &e, const PackedMatmulSpec &spec) {
  if (!gains(e, spec)) return {};
  BlockShape shape;
  shape.vectors = 2;
  shape.rows = std::min((e.isa.registers - 4) / shape.vectors, kTallRows);
  const int64_t width = shape.vectors * e.lanes(), padded = (spec.k + 15) / 16 * 16;
  shape.parts = spec.n_block / width;
  shape.stride = 0;
  if (!spec.scaled()) {
    shape.depth = std::min(kFloatDepth, padded);
    return shape;
  }
  const int64_t bytes = spec.w == Type::i8 ? 2 : 1;
  const int64_t most = std::min(kTileBytes / width / bytes, spec.w == Type::i8 ? kWide : spec.k);
  int64_t unit = kChunk;
  for (int numbers : {1, 2}) {
    if (spec.w == Type::i4 && numbers == 2) continue; // no block is multiplied by two planes
    if (spec.w == Type::i8 && numbers == 1 && spec.int8_group)
      continue; // bytes with exponents are words here
    if (!sumsSections(spec, numbers)) continue;
    const int64_t section = spec.integerRows().section(numbers);
    unit = section < spec.k ? std::lcm(unit, section) : std::max(unit, padded);
  }
  if (unit > 2 * most) return {}; // a section must end in the block where it begins
  const int64_t units = (padded + unit - 1) / unit, blocks = (units * unit + most - 1) / most;
  shape.depth = std::min((units + blocks - 1) / blocks * unit, padded);
  shape.stride = shape.depth * width * bytes + kPadding;
  return shape;
}

BlockShape BlockShape::ofTwoRows(const Emitter &e, const PackedMatmulSpec &spec) const {
  BlockShape shape = *this;
  shape.rows = 2, shape.vectors = 4;
  shape.parts = spec.n_block / (shape.vectors * e.lanes());
  return shape;
}

void prefetchNext(Emitter &e, const BlockTile &tile, Value *chunk) {
  Value *first = e.b.CreateAdd(tile.first_chunk, chunk);
  auto lineAt = [&](Value *number) { return e.b.CreateLShr(e.b.CreateMul(number, tile.share), 16); };
  e.loop(lineAt(first), lineAt(e.b.CreateAdd(first, e.i64(1))), 1,
         [&](Value *line) { e.prefetch(e.address(Type::i8, tile.next, e.b.CreateMul(line, e.i64(kLine)))); });
}

void blockedTiles(const PackedItem &item, const BlockShape &shape) {
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  Value *depth = e.i64(shape.depth), *chunk = e.i64(kChunk);
  if (!spec.scaled()) {
    Value *few = e.b.CreateICmpSLE(item.m, e.i64(kFewRows));
    depth = e.b.CreateSelect(few, e.i64(std::min(kShortDepth, shape.depth)), depth);
    chunk = e.b.CreateSelect(few, e.i64(kShortChunk), chunk);
  }
  Value *widened_row = e.i64(shape.widenedRow());
  Value *chunks = e.b.CreateUDiv(e.b.CreateSub(e.b.CreateAdd(depth, chunk), e.i64(1)), chunk);
  Value *lines = e.b.CreateUDiv(e.b.CreateMul(depth, e.i64(rowBytes(spec))), e.i64(kLine));
  auto oneBlock = [&](Value *begin, Value *rows, Value *k0) {
    Value *count = e.min(e.b.CreateSub(e.i64(spec.k), k0), depth);
    Value *is_last = e.b.CreateICmpEQ(e.b.CreateAdd(k0, count), e.i64(spec.k));
    if (spec.scaled()) expandIntegers(item, shape, k0, count);
    if (item.widened) widenRows(item, widened_row, begin, rows, k0, count);
    Value *next =
        e.address(Type::i8, item.panel, e.b.CreateMul(e.b.CreateAdd(k0, depth), e.i64(rowBytes(spec))));
    e.loop(e.i64(0), e.i64(shape.parts), 1, [&](Value *part) {
      Value *columns =
          item.block ? e.address(Type::i8, item.block, e.b.CreateMul(part, e.i64(shape.stride))) : nullptr;
      Value *column = e.b.CreateMul(part, e.i64(shape.vectors * e.lanes()));
      forTiles(e, shape.rows, rows, [&](int size, Value *row, Value *number, Value *of) {
        PackedTile tile{size, shape.vectors, e.b.CreateAdd(begin, row), column, e.b.CreateSub(rows, row)};
        tile.scratch_row = row;
        Value *all_chunks = e.b.CreateMul(e.b.CreateMul(of, chunks), e.i64(shape.parts));
        Value *scaled_lines = e.b.CreateShl(lines, 16);
        const BlockTile of_block{
            .shape = shape,
            .tile = tile,
            .columns = columns,
            .k0 = k0,
            .count = count,
            .widened =
                item.widened ? e.address(Type::f32, item.widened, e.b.CreateMul(row, widened_row)) : nullptr,
            .next = next,
            .chunk = chunk,
            .first_chunk = e.b.CreateMul(e.muladd(part, of, number), chunks),
            .share =
                e.b.CreateUDiv(e.b.CreateSub(e.b.CreateAdd(scaled_lines, all_chunks), e.i64(1)), all_chunks)};
        spec.scaled() ? integerBlockSums(item, of_block) : floatBlockSums(item, of_block);
        e.ifThen(is_last, [&] { epilogue(item, tile); });
      });
    });
  };
  forRowBlocks(e, item.m, kBlockRows, [&](Value *begin, Value *rows) {
    Value *blocks = e.b.CreateUDiv(e.b.CreateAdd(e.b.CreateSub(depth, e.i64(1)), e.i64(spec.k)), depth);
    e.loop(e.i64(0), blocks, 1, [&](Value *block) { oneBlock(begin, rows, e.b.CreateMul(block, depth)); });
  });
}

} // namespace linnet::cpu
