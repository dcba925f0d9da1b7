#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/panel.h"

#include <fmt/format.h>

namespace linnet::vulkan {
namespace {

using backend::nameOf;

/// 16 invocations in x own four columns each of a panel.
constexpr uint32_t kQuads = 16;

struct PackedMatmul {
  Emitter &e;
  const PackedMatmulSpec &spec;
  const MatmulVariant &variant;
  Builder &b = e.b;

  uint32_t scaleOperand() const { return 3; }
  uint32_t biasOperand() const { return scaleOperand() + spec.scaled; }
  uint32_t residualOperand() const { return biasOperand() + spec.bias; }
  static uint32_t operands(const PackedMatmulSpec &spec) {
    return 3u + spec.scaled + spec.bias + spec.residual;
  }
  /// Four elements of a row of a at once: only where every row begins at a multiple of four words.
  bool vectorRows() const { return spec.a_stride % 4 == 0 && !e.beginsInside(0); }

  /// a[row, k .. k + 4), the same for all of a workgroup's columns.
  std::array<Value, 4> activations(Value row_base, Value k) {
    std::array<Value, 4> a;
    if (vectorRows()) {
      Value four = e.load4(0, b.shiftRight(b.add(row_base, k), e.u(2)));
      for (int i = 0; i < 4; ++i) a[size_t(i)] = b.extract(four, i);
    } else {
      for (uint32_t i = 0; i < 4; ++i) a[i] = e.load(0, b.add(b.add(row_base, k), e.u(i)), Type::f32);
    }
    return a;
  }

  /// The scales of four columns for row k of w.
  Value scales(Value panel, Value quad, Value k) {
    const auto groups = spec.group ? uint64_t((spec.w.k + spec.group - 1) / spec.group) : 1;
    Value group = spec.group ? b.div(k, e.u(uint64_t(spec.group))) : e.u(0);
    Value line = b.add(b.mul(panel, e.u(groups)), group);
    return e.load4(scaleOperand(), b.add(b.mul(line, e.u(uint64_t(spec.w.n_block) / 4)), quad));
  }

  void multiplyAdd(std::span<Variable> sums, std::span<const Value> bases, PanelReader &w, Value panel,
                   Value quad, Value k, uint32_t count) {
    std::array<Value, 4> rows = w.rows4(k);
    if (spec.scaled && spec.group) {
      Value scale = scales(panel, quad, k); // a group is a multiple of 4 rows
      for (Value &row : rows) row = b.mul(row, scale);
    }
    for (size_t r = 0; r < sums.size(); ++r) {
      Value sum = b.get(sums[r]);
      if (count == 4) {
        const std::array<Value, 4> a = activations(bases[r], k);
        for (uint32_t i = 0; i < 4; ++i) sum = b.fma(b.splat(a[i], 4), rows[i], sum);
      } else {
        for (uint32_t i = 0; i < count; ++i)
          sum = b.fma(b.splat(e.load(0, b.add(b.add(bases[r], k), e.u(i)), Type::f32), 4), rows[i], sum);
      }
      b.set(sums[r], sum);
    }
  }

  /// Rows of w and of a in fours, as many fours as the subgroup has invocations: each loads one of a.
  void multiplyAddBySubgroup(std::span<Variable> sums, std::span<const Value> bases, PanelReader &w,
                             Value panel, Value quad, Value k) {
    std::vector<Value> own, totals;
    for (size_t r = 0; r < sums.size(); ++r) {
      own.push_back(e.load4(0, b.add(b.shiftRight(b.add(bases[r], k), e.u(2)), b.subgroupLane())));
      totals.push_back(b.get(sums[r]));
    }
    Value scale;
    for (uint32_t lane = 0; lane < variant.subgroup; ++lane) {
      Value k4 = lane ? b.add(k, e.u(4 * lane)) : k;
      std::array<Value, 4> rows = w.rows4(k4);
      if (spec.scaled && spec.group) {
        if (lane == 0 || spec.group % (4 * variant.subgroup)) scale = scales(panel, quad, k4);
        for (Value &row : rows) row = b.mul(row, scale);
      }
      for (size_t r = 0; r < sums.size(); ++r)
        for (uint32_t i = 0; i < 4; ++i)
          totals[r] =
              b.fma(b.splat(b.subgroupBroadcast(b.extract(own[r], int(i)), lane), 4), rows[i], totals[r]);
    }
    for (size_t r = 0; r < sums.size(); ++r) b.set(sums[r], totals[r]);
  }

  /// sums += a w over k = begin, begin + step, ... in fours, and the ragged end.
  void walk(std::span<Variable> sums, std::span<const Value> bases, PanelReader &w, Value panel, Value quad,
            Value begin, Value step) {
    const auto whole = uint64_t(spec.w.k / 4 * 4);
    if (variant.subgroup && vectorRows()) {
      const uint64_t unit = 4 * uint64_t(variant.subgroup), units = uint64_t(spec.w.k) / unit * unit;
      b.forRange(begin, e.u(units), e.u(unit),
                 [&](Value k) { multiplyAddBySubgroup(sums, bases, w, panel, quad, k); });
      begin = e.u(units);
    }
    b.forRange(begin, e.u(whole), step, [&](Value k) { multiplyAdd(sums, bases, w, panel, quad, k, 4); });
    if (const auto rest = uint32_t(spec.w.k % 4)) {
      auto tail = [&] { multiplyAdd(sums, bases, w, panel, quad, e.u(whole), rest); };
      variant.split > 1 ? b.ifThen(b.eq(b.localId(1), e.u(0)), tail) : tail();
    }
  }

  /// Bias, activation, residual, and the four elements stored where they are inside of the result.
  void store(Value row, Value panel, Value quad, Value sum) {
    const auto n = uint64_t(spec.w.n);
    Value first = b.add(b.mul(panel, e.u(uint64_t(spec.w.n_block))), b.mul(quad, e.u(4)));
    Value base = b.mul(row, e.u(n));
    if (spec.scaled && !spec.group) sum = b.mul(sum, scales(panel, quad, e.u(0)));
    for (int j = 0; j < 4; ++j) {
      Value column = b.add(first, e.u(uint64_t(j)));
      auto one = [&] {
        Value x = b.extract(sum, j), at = b.add(base, column);
        if (spec.bias) x = b.add(x, e.load(biasOperand(), column, spec.bias_type));
        x = e.activation(spec.activation, x);
        if (spec.residual) x = b.add(x, e.load(residualOperand(), at, Type::f32));
        e.store(1, at, Type::f32, x);
      };
      n % uint64_t(spec.w.n_block) ? b.ifThen(b.lt(column, e.u(n)), one) : one();
    }
  }

  /// Panels over the workgroups in x, tiles of rows over those in y.
  void forTiles(const std::function<void(Value panel, Value first_row)> &body) {
    Value m = e.extent(spec.m);
    Value tiles = b.div(b.add(m, e.u(variant.rows - 1)), e.u(variant.rows));
    b.forRange(b.groupId(1), tiles, b.groupCount(1), [&](Value tile) {
      b.forRange(b.groupId(0), e.unitCount(), b.groupCount(0),
                 [&](Value unit) { body(b.add(unit, e.firstUnit()), b.mul(tile, e.u(variant.rows))); });
    });
  }

  Value clampedRow(Value first, uint32_t r) {
    Value row = r ? b.add(first, e.u(r)) : first;
    return variant.rows > 1 ? b.min(row, b.sub(e.extent(spec.m), e.u(1))) : row;
  }
  void storeInside(Value row, Value panel, Value quad, Value sum) {
    auto inside = [&] { store(row, panel, quad, sum); };
    variant.rows > 1 ? b.ifThen(b.lt(row, e.extent(spec.m)), inside) : inside();
  }

  void direct() {
    Value quad = b.localId(0);
    Shared partial;
    if (variant.split > 1)
      partial = e.shared(Builder::f32(4), kQuads * variant.split * variant.rows, "partial");
    forTiles([&](Value panel, Value first) {
      std::vector<Variable> sums;
      std::vector<Value> bases;
      for (uint32_t r = 0; r < variant.rows; ++r) {
        sums.push_back(b.variable(b.splat(e.f(0), 4)));
        bases.push_back(b.mul(clampedRow(first, r), e.u(uint64_t(spec.a_stride))));
      }
      Value begin = variant.split > 1 ? b.mul(b.localId(1), e.u(4)) : e.u(0);
      PanelReader w(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
      walk(sums, bases, w, panel, quad, begin, e.u(4 * variant.split));
      if (variant.split == 1) {
        for (uint32_t r = 0; r < variant.rows; ++r)
          storeInside(r ? b.add(first, e.u(r)) : first, panel, quad, b.get(sums[r]));
        return;
      }
      meet(sums, partial, quad);
      for (uint32_t r = 0; r < variant.rows; ++r) { // invocation (x, r % split) stores row r
        Value row = r ? b.add(first, e.u(r)) : first;
        b.ifThen(b.eq(b.localId(1), e.u(r % variant.split)), [&] {
          Value sum = b.splat(e.f(0), 4);
          for (uint32_t s = 0; s < variant.split; ++s)
            sum = b.add(sum, b.load(partial, b.add(quad, e.u(kQuads * (r * variant.split + s)))));
          storeInside(row, panel, quad, sum);
        });
      }
    });
  }

  void meet(std::span<const Variable> sums, Shared partial, Value quad) {
    b.barrier(); // the sums of the tile before may still be read
    for (uint32_t r = 0; r < sums.size(); ++r)
      b.store(partial, b.add(b.add(quad, e.u(kQuads * variant.split * r)), b.mul(b.localId(1), e.u(kQuads))),
              b.get(sums[r]));
    b.barrier();
  }

  // --- tiled: kTileK rows of w and the same columns of a in shared memory, then 4 columns and `per` rows an
  // invocation.
  static constexpr uint32_t kTileK = 16, kTileY = 8;

  void tiled() {
    Shared a = e.shared(Builder::f32(), kTileK * variant.rows, "a"),
           w = e.shared(Builder::f32(4), kTileK * kQuads, "w");
    const uint32_t per = variant.rows / kTileY;
    Value quad = b.localId(0), y = b.localId(1);
    forTiles([&](Value panel, Value first) {
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < per; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      b.forRange(e.u(0), e.u(uint64_t(spec.w.k)), e.u(kTileK), [&](Value k0) {
        b.barrier(); // the step before is done with both
        fillWeights(w, panel, quad, y, k0);
        fillActivations(a, first, k0);
        b.barrier();
        for (uint32_t k = 0; k < kTileK; ++k) {
          Value four = b.load(w, b.add(quad, e.u(k * kQuads)));
          for (uint32_t r = 0; r < per; ++r) {
            Value x = b.load(a, b.add(b.mul(y, e.u(per)), e.u(k * variant.rows + r)));
            b.set(sums[r], b.fma(b.splat(x, 4), four, b.get(sums[r])));
          }
        }
      });
      for (uint32_t r = 0; r < per; ++r)
        storeInside(b.add(first, b.add(b.mul(y, e.u(per)), e.u(r))), panel, quad, b.get(sums[r]));
    });
  }

  /// Invocation (quad, y) with y < 4 brings rows 4 y .. 4 y + 4. Panels are padded with zeros to k_block
  /// rows.
  void fillWeights(Shared w, Value panel, Value quad, Value y, Value k0) {
    b.ifThen(b.lt(y, e.u(kTileK / 4)), [&] {
      PanelReader reader(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
      Value k = b.add(k0, b.mul(y, e.u(4)));
      std::array<Value, 4> rows = reader.rows4(k);
      Value scale = spec.scaled && spec.group ? scales(panel, quad, k) : Value();
      for (uint32_t i = 0; i < 4; ++i)
        b.store(w, b.add(b.mul(b.add(b.mul(y, e.u(4)), e.u(i)), e.u(kQuads)), quad),
                scale ? b.mul(rows[i], scale) : rows[i]);
    });
  }

  /// Invocation number i brings elements i, i + 128, ... of the tile, k fastest.
  void fillActivations(Shared a, Value first, Value k0) {
    Value me = b.add(b.mul(b.localId(1), e.u(kQuads)), b.localId(0));
    b.forRange(me, e.u(kTileK * variant.rows), e.u(kQuads * kTileY), [&](Value i) {
      Value k = b.bitAnd(i, e.u(kTileK - 1)), row = b.div(i, e.u(kTileK));
      Value x = b.add(k0, k), y = b.add(first, row);
      Variable value = b.variable(e.f(0));
      b.ifThen(b.logicalAnd(b.lt(x, e.u(uint64_t(spec.w.k))), b.lt(y, e.extent(spec.m))),
               [&] { b.set(value, e.load(0, b.add(b.mul(y, e.u(uint64_t(spec.a_stride))), x), Type::f32)); });
      b.store(a, b.add(b.mul(k, e.u(variant.rows)), row), b.get(value));
    });
  }
};

} // namespace

Kernel packedMatmulKernel(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  static const char *const kKinds[] = {"direct", "tiled"};
  std::string name = fmt::format("matmul_{}{}_{}_m{}", kKinds[int(variant.kind)], variant.rows, spec.w.text(),
                                 spec.m.text());
  if (variant.subgroup) name += fmt::format("_subgroup{}", variant.subgroup);
  if (variant.split > 1) name += fmt::format("_split{}", variant.split);
  if (spec.a_stride != spec.w.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.scaled) name += fmt::format("_scaled{}", spec.group);
  if (spec.bias) name += fmt::format("_bias_{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  if (spec.residual) name += "_residual";
  const bool tiled = variant.kind == MatmulVariant::tiled;
  Emitter e(name, PackedMatmul::operands(spec), kQuads, spec.where,
            tiled ? uint32_t(PackedMatmul::kTileY) : variant.split);
  if (variant.subgroup) {
    for (const char *feature : {"cpu", "subgroup_basic", "subgroup_ballot"}) e.require(feature);
    e.requireSubgroup(variant.subgroup);
  }
  PackedMatmul body{e, spec, variant};
  tiled ? body.tiled() : body.direct();
  return e.finish();
}

} // namespace linnet::vulkan
