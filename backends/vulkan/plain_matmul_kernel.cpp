// Matmuls of two row-major operands, each as it lies or transposed: what attention without a kernel of its
// own and the backward pass have. One invocation an element; blocks by a subgroup, for drivers that run on a
// CPU; tiles in shared memory.
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

#include <fmt/format.h>

#include <span>

namespace linnet::vulkan {
namespace {

std::string nameOf(const std::string &how, const MatmulSpec &spec) {
  using backend::nameOf;
  std::string name =
      fmt::format("matmul_{}_{}_a_{}_w_{}_{}{}{}", how, nameOf(spec.type), nameOf(spec.a), nameOf(spec.w),
                  spec.transpose_a ? "t" : "n", spec.transpose_w ? "t" : "n", spec.shared_w ? "_shared" : "");
  name += fmt::format("{}{}{}", spec.bias ? "_bias" : "", suffixOf(spec.activation),
                      spec.residual ? "_residual" : "");
  if (spec.scaled) name += fmt::format("_scaled{}of{}", spec.group, spec.scale_groups);
  static const char *const kCuts[] = {"", "_cut_columns", "_cut_rows", "_cut_depth"};
  return name + kCuts[spec.cut];
}

/// f32 at multiples of four words: one load.
bool fours(const MatmulSpec &spec, uint32_t operand, Type type, const Extent &fastest) {
  return type == Type::f32 && !(spec.where.inside >> operand & 1) && fastest.isStatic() &&
         fastest.factor % 4 == 0;
}
bool foursOfA(const MatmulSpec &spec) {
  return !spec.transpose_a && fours(spec, 0, spec.a, spec.cut == MatmulSpec::depth ? spec.depth_all : spec.k);
}
bool foursOfW(const MatmulSpec &spec) { return fours(spec, 1, spec.w, spec.transpose_w ? spec.k : spec.n); }

struct PlainMatmul {
  Emitter &e;
  const MatmulSpec &spec;
  Builder &b = e.b;
  Value groups = e.anySize(spec.groups), m = e.anySize(spec.m), k_size = e.anySize(spec.k),
        n = e.anySize(spec.n);
  Value a_base = {}, w_base = {}, out_base = {};
  const bool by_columns = spec.cut == MatmulSpec::columns, by_rows = spec.cut == MatmulSpec::rows,
             by_depth = spec.cut == MatmulSpec::depth;
  Value depth_first = by_depth ? e.anySize(spec.depth_first) : Value();
  Value depth_all = by_depth ? e.anySize(spec.depth_all) : k_size;
  /// Rows and columns that this dispatch has.
  Value m_here = by_rows ? e.unitCount() : m, n_here = by_columns ? e.unitCount() : n;

  static uint32_t operands(const MatmulSpec &spec) { return 3u + spec.bias + spec.residual + spec.scaled; }

  void of(Value group) {
    a_base = b.mul(group, b.mul(m, k_size));
    w_base = spec.shared_w ? e.u(0) : b.mul(group, b.mul(k_size, n));
    out_base = b.mul(group, b.mul(m, n));
  }
  Value aAt(Value row, Value k) {
    if (by_rows) row = b.add(row, e.firstUnit());
    if (by_depth) k = b.add(k, depth_first);
    return b.add(a_base, spec.transpose_a ? b.add(b.mul(k, m), row) : b.add(b.mul(row, depth_all), k));
  }
  Value wAt(Value k, Value column) {
    return b.add(w_base, spec.transpose_w ? b.add(b.mul(column, k_size), k) : b.add(b.mul(k, n), column));
  }
  Value a(Value row, Value k) { return e.load(0, aAt(row, k), spec.a); }
  Value w(Value k, Value column) {
    Value x = b.convert(e.load(1, wAt(k, column), spec.w), Builder::f32());
    return spec.scaled ? b.mul(x, scale(k, column)) : x;
  }
  /// Bias, activation, residual.
  void store(Value row, Value column, Value sum) {
    if (by_columns) column = b.add(column, e.firstUnit());
    Value at = b.add(out_base, b.add(b.mul(row, n), column));
    if (spec.bias) sum = b.add(sum, e.load(3, column, spec.type));
    sum = e.activation(spec.activation, sum);
    if (spec.residual) sum = b.add(sum, e.load(3u + spec.bias, at, spec.type));
    e.store(2, at, spec.type, sum);
  }
  /// Four columns of consecutive rows, what is inside. By way of this invocation's own part of `scratch`, one
  /// float an element from `own` on, so that a driver compiles what comes behind the sums once, not for each.
  void storeBlock(Shared scratch, Value own, Value row, Value column, std::span<const Variable> sums) {
    for (uint32_t r = 0; r < sums.size(); ++r)
      for (uint32_t j = 0; j < 4; ++j)
        b.store(scratch, b.add(own, e.u(4 * r + j)), b.extract(b.get(sums[r]), int(j)));
    b.forRange(e.u(0), e.u(4 * sums.size()), e.u(1), [&](Value i) {
      Value at_row = b.add(row, b.shiftRight(i, e.u(2))), at_column = b.add(column, b.bitAnd(i, e.u(3)));
      b.ifThen(b.logicalAnd(b.lt(at_row, m_here), b.lt(at_column, n_here)),
               [&] { store(at_row, at_column, b.load(scratch, b.add(own, i))); });
    });
  }
  /// Tiles of `rows` by `columns` over the workgroups: columns in x with the groups, rows in y.
  void forTiles(uint32_t rows, uint32_t columns, const std::function<void(Value row, Value column)> &body) {
    auto tiles = [&](Value size, uint32_t tile) { return b.div(b.add(size, e.u(tile - 1)), e.u(tile)); };
    Value across = tiles(n_here, columns);
    b.forRange(b.groupId(1), tiles(m_here, rows), b.groupCount(1), [&](Value down) {
      e.forGroups(b.mul(across, groups), [&](Value number) {
        of(b.div(number, across));
        body(b.mul(down, e.u(rows)), b.mul(b.mod(number, across), e.u(columns)));
      });
    });
  }

private:
  Value scale(Value k, Value column) {
    Value g = spec.group ? b.div(k, e.u(uint64_t(spec.group))) : e.u(0);
    Value at = spec.transpose_w ? b.add(b.mul(column, e.u(uint64_t(spec.scale_groups))), g)
                                : b.add(b.mul(g, n), column);
    return e.load(3u + spec.bias + spec.residual, at, Type::f32);
  }
};

/// Eight invocations own four columns each of sixteen rows. Each loads of two of the rows, and the subgroup
/// knows them all.
struct SubgroupBlocks : PlainMatmul {
  static constexpr uint32_t kLanes = 8, kRows = 16, kColumns = 4 * kLanes;

  const bool a_fours = foursOfA(spec), w_fours = foursOfW(spec);

  using Four = std::array<Value, 4>;
  Four parts(Value four) {
    return {b.extract(four, 0), b.extract(four, 1), b.extract(four, 2), b.extract(four, 3)};
  }
  Four aFour(Value row, Value k) {
    if (a_fours) return parts(e.load4(0, b.shiftRight(aAt(row, k), e.u(2))));
    Four four;
    for (uint32_t i = 0; i < 4; ++i) four[i] = a(row, b.add(k, e.u(i)));
    return four;
  }
  Value wRow(Value k, const Four &columns) {
    return b.vector({w(k, columns[0]), w(k, columns[1]), w(k, columns[2]), w(k, columns[3])});
  }
  /// Rows k .. k + 4 of w, this invocation's columns.
  Four wFour(Value k, const Four &columns) {
    Four rows;
    if (!w_fours || !spec.transpose_w) {
      for (uint32_t i = 0; i < 4; ++i) {
        Value at = b.add(k, e.u(i));
        rows[i] = w_fours ? e.load4(1, b.shiftRight(wAt(at, columns[0]), e.u(2))) : wRow(at, columns);
      }
      return rows;
    }
    Four lines;
    for (uint32_t j = 0; j < 4; ++j) lines[j] = e.load4(1, b.shiftRight(wAt(k, columns[j]), e.u(2)));
    for (int i = 0; i < 4; ++i)
      rows[size_t(i)] = b.vector(
          {b.extract(lines[0], i), b.extract(lines[1], i), b.extract(lines[2], i), b.extract(lines[3], i)});
    return rows;
  }

  void emit() {
    Value lane = b.subgroupLane();
    Shared scratch = e.shared(Builder::f32(), kLanes * 4 * kRows, "sums");
    forTiles(kRows, kColumns, [&](Value row, Value tile) {
      Value first = b.add(tile, b.mul(lane, e.u(4))), last = b.sub(n_here, e.u(1));
      // What is beyond is computed from what is there, and not stored. A four stays a four.
      Four columns;
      for (uint32_t j = 0; j < 4; ++j)
        columns[j] = w_fours && !spec.transpose_w ? b.add(b.min(first, b.sub(n_here, e.u(4))), e.u(j))
                                                  : b.min(b.add(first, e.u(j)), last);
      Value mine = b.min(b.add(row, lane), b.sub(m_here, e.u(1)));
      Value other = b.min(b.add(row, b.add(lane, e.u(kLanes))), b.sub(m_here, e.u(1)));
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < kRows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      auto step = [&](std::span<const Value> low, std::span<const Value> high, std::span<const Value> rows) {
        for (uint32_t r = 0; r < kRows; ++r) {
          Value sum = b.get(sums[r]);
          for (size_t i = 0; i < rows.size(); ++i) {
            Value x = b.subgroupBroadcast(r < kLanes ? low[i] : high[i], r % kLanes);
            sum = b.fma(b.splat(x, 4), rows[i], sum);
          }
          b.set(sums[r], sum);
        }
      };
      Value whole = b.bitAnd(k_size, e.u(0xfffffffcu));
      b.forRange(e.u(0), whole, e.u(4), [&](Value k) {
        const Four low = aFour(mine, k), high = aFour(other, k), rows = wFour(k, columns);
        step(low, high, rows);
      });
      b.forRange(whole, k_size, e.u(1), [&](Value k) {
        const Value low = a(mine, k), high = a(other, k), line = wRow(k, columns);
        step({&low, 1}, {&high, 1}, {&line, 1});
      });
      storeBlock(scratch, b.mul(lane, e.u(4 * kRows)), row, first, sums);
    });
  }
};

/// Both operands through shared memory: 64 x 64 a workgroup, 16 invocations in x own four columns each, 8 in
/// y eight rows each.
struct Tiles : PlainMatmul {
  static constexpr uint32_t kTile = 64, kQuads = 16, kTall = 8, kRows = kTile / kTall, kDepth = 16;
  Shared a_tile = e.shared(Builder::f32(), kDepth *kTile, "a");
  Shared w_tile = e.shared(Builder::f32(4), kDepth *kQuads, "w");
  Value x = b.localId(0), y = b.localId(1), me = b.add(b.mul(y, e.u(kQuads)), x);

  /// Numbers of the invocation's share of a `slow` x `fast` array.
  void share(uint32_t slow, uint32_t fast, const std::function<void(Value slow, Value fast)> &body) {
    for (uint32_t i = 0; i < slow * fast; i += kQuads * kTall) {
      Value number = i ? b.add(me, e.u(i)) : me;
      body(b.div(number, e.u(fast)), b.mod(number, e.u(fast)));
    }
  }
  /// Invocations next to each other load elements next to each other.
  void fillA(Value row, Value k0) {
    auto fill = [&](Value r, Value k) {
      Variable value = b.variable(e.f(0));
      Value at_row = b.add(row, r), at_k = b.add(k0, k);
      b.ifThen(b.logicalAnd(b.lt(at_row, m_here), b.lt(at_k, k_size)),
               [&] { b.set(value, a(at_row, at_k)); });
      b.store(a_tile, b.add(b.mul(k, e.u(kTile)), r), b.get(value));
    };
    if (spec.transpose_a)
      share(kDepth, kTile, [&](Value k, Value r) { fill(r, k); });
    else
      share(kTile, kDepth, fill);
  }
  void fillW(Value column, Value k0) {
    auto fill = [&](Value k, Value quad) {
      Variable value = b.variable(b.splat(e.f(0), 4));
      Value first = b.add(column, b.mul(quad, e.u(4))), at_k = b.add(k0, k), last = b.sub(n_here, e.u(1));
      b.ifThen(b.lt(at_k, k_size), [&] {
        Value four[4];
        for (uint32_t j = 0; j < 4; ++j) four[j] = w(at_k, b.min(b.add(first, e.u(j)), last));
        b.set(value, b.vector({four[0], four[1], four[2], four[3]}));
      });
      b.store(w_tile, b.add(b.mul(k, e.u(kQuads)), quad), b.get(value));
    };
    if (spec.transpose_w)
      share(kQuads, kDepth, [&](Value quad, Value k) { fill(k, quad); });
    else
      share(kDepth, kQuads, fill);
  }

  void emit() {
    forTiles(kTile, kTile, [&](Value row, Value column) {
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < kRows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      b.forRange(e.u(0), k_size, e.u(kDepth), [&](Value k0) {
        b.barrier(); // the step before is done with both
        fillA(row, k0);
        fillW(column, k0);
        b.barrier();
        for (uint32_t k = 0; k < kDepth; ++k) {
          Value four = b.load(w_tile, b.add(x, e.u(k * kQuads)));
          for (uint32_t r = 0; r < kRows; ++r) {
            Value factor = b.load(a_tile, b.add(b.mul(y, e.u(kRows)), e.u(k * kTile + r)));
            b.set(sums[r], b.fma(b.splat(factor, 4), four, b.get(sums[r])));
          }
        }
      });
      b.barrier(); // all are done with the tile of a, which takes the sums, two rows at a time
      Value first_row = b.add(row, b.mul(y, e.u(kRows))), first = b.add(column, b.mul(x, e.u(4)));
      constexpr uint32_t kEach = kDepth * kTile / (kQuads * kTall) / 4;
      for (uint32_t r = 0; r < kRows; r += kEach)
        storeBlock(a_tile, b.mul(me, e.u(4 * kEach)), b.add(first_row, e.u(r)), first,
                   std::span<const Variable>(sums).subspan(r, kEach));
    });
  }
};

} // namespace

Kernel matmulKernel(const MatmulSpec &spec) {
  Emitter e(nameOf("each", spec), PlainMatmul::operands(spec), kItems, spec.where);
  Builder &b = e.b;
  PlainMatmul body{e, spec};
  Value step = b.mul(b.groupCount(0), e.u(kItems));
  b.forRange(b.globalId(0), b.mul(b.mul(body.groups, body.m), body.n), step, [&](Value i) {
    Value column = b.mod(i, body.n), line = b.div(i, body.n), row = b.mod(line, body.m);
    body.of(b.div(line, body.m));
    Variable sum = b.variable(e.f(0));
    b.forRange(e.u(0), body.k_size, e.u(1),
               [&](Value k) { b.set(sum, b.fma(body.a(row, k), body.w(k, column), b.get(sum))); });
    body.store(row, column, b.get(sum));
  });
  return e.finish();
}

Kernel subgroupMatmulKernel(const MatmulSpec &spec) {
  static_assert(SubgroupBlocks::kRows == kSubgroupMatmulTile.rows &&
                SubgroupBlocks::kColumns == kSubgroupMatmulTile.columns);
  const std::string name =
      fmt::format("subgroup{}{}", foursOfA(spec) ? "_a4" : "", foursOfW(spec) ? "_w4" : "");
  Emitter e(nameOf(name, spec), PlainMatmul::operands(spec), SubgroupBlocks::kLanes, spec.where);
  for (const char *feature : {"cpu", "subgroup_basic", "subgroup_ballot"}) e.require(feature);
  e.requireSubgroup(SubgroupBlocks::kLanes);
  SubgroupBlocks{{e, spec}}.emit();
  return e.finish();
}

Kernel tiledMatmulKernel(const MatmulSpec &spec) {
  static_assert(Tiles::kTile == kTiledMatmulTile.rows && Tiles::kTile == kTiledMatmulTile.columns);
  Emitter e(nameOf("tiled", spec), PlainMatmul::operands(spec), Tiles::kQuads, spec.where, Tiles::kTall);
  Tiles{{e, spec}}.emit();
  return e.finish();
}

} // namespace linnet::vulkan
