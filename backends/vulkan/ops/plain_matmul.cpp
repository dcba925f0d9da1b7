// Matmuls of two row-major operands, each plain or transposed. The backward pass and attention without its own kernel
// need these. The kernels: one element for each invocation; blocks of eight invocations, for drivers that run on a CPU;
// tiles in shared memory.
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

#include <fmt/format.h>

#include <span>

namespace linnet::vulkan {
namespace {

using Operand = MatmulSpec::Operand;

std::string nameOf(const std::string &how, const VulkanMatmulSpec &spec) {
  static const char *const kCuts[] = {"", "_cut_columns", "_cut_rows", "_cut_depth"};
  return spec.key(true) + "_" + how + kCuts[spec.cut];
}

/// Whether four elements along `fastest` can be loaded at once: f32 that begins at a multiple of four words.
bool fours(const VulkanMatmulSpec &spec, Operand operand, Type type, const Extent &fastest) {
  return type == Type::f32 && !(spec.where.inside >> positionOf(spec, operand) & 1) && fastest.isStatic() &&
         fastest.factor % 4 == 0;
}
/// Four elements are rows if a is transposed, otherwise elements of k.
bool foursOfA(const VulkanMatmulSpec &spec) {
  if (spec.transpose_a) return spec.cut != VulkanMatmulSpec::rows && fours(spec, Operand::a, spec.a, spec.m);
  return fours(spec, Operand::a, spec.a, spec.cut == VulkanMatmulSpec::depth ? spec.depth_all : spec.k);
}
bool foursOfW(const VulkanMatmulSpec &spec) {
  return fours(spec, Operand::w, spec.w, spec.transpose_w ? spec.k : spec.n);
}
bool foursOfK(const VulkanMatmulSpec &spec) { return spec.k.isStatic() && spec.k.factor % 4 == 0; }

struct PlainMatmul {
  Emitter &e;
  const VulkanMatmulSpec &spec;
  Builder &b = e.b;
  Value groups = e.anySize(spec.groups), m = e.anySize(spec.m), k_size = e.anySize(spec.k),
        n = e.anySize(spec.n);
  Value a_base = {}, w_base = {}, out_base = {};
  const bool by_columns = spec.cut == VulkanMatmulSpec::columns, by_rows = spec.cut == VulkanMatmulSpec::rows,
             by_depth = spec.cut == VulkanMatmulSpec::depth;
  Value depth_first = by_depth ? e.anySize(spec.depth_first) : Value();
  Value depth_all = by_depth ? e.anySize(spec.depth_all) : k_size;
  /// The rows and columns that this dispatch computes.
  Value m_here = by_rows ? e.unitCount() : m, n_here = by_columns ? e.unitCount() : n;

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
  Value a(Value row, Value k) { return e.load(Operand::a, aAt(row, k), spec.a); }
  Value w(Value k, Value column) {
    Value x = b.convert(e.load(Operand::w, wAt(k, column), spec.w), Builder::f32());
    if (!spec.scaled) return x;
    Value group = spec.group ? b.div(k, e.u(uint64_t(spec.group))) : e.u(0);
    if (!spec.asymmetric) return b.mul(x, scale(group, column));
    Value row = b.mul(group, e.u(2));
    return b.fma(b.add(x, e.f(8)), scale(row, column), scale(b.add(row, e.u(1)), column));
  }
  /// Applies bias, activation and residual, and stores.
  void store(Value row, Value column, Value sum) {
    if (by_columns) column = b.add(column, e.firstUnit());
    Value at = b.add(out_base, b.add(b.mul(row, n), column));
    if (spec.bias) sum = b.add(sum, load(Operand::bias, column, spec.type));
    sum = e.activation(spec.activation, sum);
    if (spec.residual) sum = b.add(sum, load(Operand::residual, at, spec.type));
    e.store(Operand::out, at, spec.type, sum);
  }
  /// Stores four columns of consecutive rows, as far as they exist. The sums pass through this invocation's part of
  /// `scratch`, one float for each element, from `own` on. A driver then compiles the epilogue once instead of once for
  /// each element.
  template <class Array>
  void storeBlock(Array scratch, Value own, Value row, Value column, std::span<const Variable> sums) {
    for (uint32_t r = 0; r < sums.size(); ++r)
      for (uint32_t j = 0; j < 4; ++j)
        b.store(scratch, b.add(own, e.u(4 * r + j)), b.extract(b.get(sums[r]), int(j)));
    b.forRange(e.u(0), e.u(4 * sums.size()), e.u(1), [&](Value i) {
      Value at_row = b.add(row, b.shiftRight(i, e.u(2))), at_column = b.add(column, b.bitAnd(i, e.u(3)));
      b.ifThen(b.logicalAnd(b.lt(at_row, m_here), b.lt(at_column, n_here)),
               [&] { store(at_row, at_column, b.load(scratch, b.add(own, i))); });
    });
  }
  /// Distributes tiles of `rows` by `columns` over the workgroups. Rows go along `axis`, columns and groups along the
  /// other of x and y.
  void forTiles(uint32_t rows, uint32_t columns, int axis,
                const std::function<void(Value row, Value column)> &body) {
    auto tiles = [&](Value size, uint32_t tile) { return b.div(b.add(size, e.u(tile - 1)), e.u(tile)); };
    auto along = [&](int which, Value end, const std::function<void(Value)> &each) {
      e.forGroups(end, each, which);
    };
    Value across = tiles(n_here, columns);
    along(axis, tiles(m_here, rows), [&](Value down) {
      along(1 - axis, b.mul(across, groups), [&](Value number) {
        of(b.div(number, across));
        body(b.mul(down, e.u(rows)), b.mul(b.mod(number, across), e.u(columns)));
      });
    });
  }

private:
  Value load(Operand operand, Value index, Type type) {
    return e.load(positionOf(spec, operand), index, type);
  }
  /// The scale of a column in row `row` of the scales.
  Value scale(Value row, Value column) {
    Value at = spec.transpose_w ? b.add(b.mul(column, e.u(uint64_t(spec.scale_rows))), row)
                                : b.add(b.mul(row, n), column);
    return load(Operand::scale, at, Type::f32);
  }
};

/// Eight invocations each own four columns of sixteen rows, and each reads all of a. They exchange nothing, because
/// llvmpipe exchanges values in a loop over all invocations.
struct CpuBlocks : PlainMatmul {
  static constexpr uint32_t kLanes = 8, kRows = 16, kColumns = 4 * kLanes;
  using Four = std::array<Value, 4>;
  using Sums = std::span<const Variable>;

  const bool a_fours = foursOfA(spec), w_fours = foursOfW(spec);
  /// rows of this tile, clamped to the last one; what repeats is computed again and not stored
  std::vector<Value> rows = {};
  /// where each row of a, or each group of four rows, begins, in units of four elements
  std::vector<Value> starts = {};
  Four columns = {};

  static Four parts(Builder &b, Value four) {
    return {b.extract(four, 0), b.extract(four, 1), b.extract(four, 2), b.extract(four, 3)};
  }
  void beginTile(Value row, Value first) {
    rows.clear(), starts.clear();
    Value last_row = b.sub(m_here, e.u(1)), last = b.sub(n_here, e.u(1));
    for (uint32_t r = 0; r < kRows; ++r) rows.push_back(b.min(b.add(row, e.u(r)), last_row));
    if (a_fours && spec.transpose_a)
      for (uint32_t r = 0; r < kRows; r += 4)
        starts.push_back(
            b.shiftRight(b.add(a_base, b.min(b.add(row, e.u(r)), b.sub(m_here, e.u(4)))), e.u(2)));
    else if (a_fours)
      for (Value &number : rows) starts.push_back(b.shiftRight(aAt(number, e.u(0)), e.u(2)));
    for (uint32_t j = 0; j < 4; ++j) // the four columns stay adjacent if they are loaded at once
      columns[j] = w_fours && !spec.transpose_w ? b.add(b.min(first, b.sub(n_here, e.u(4))), e.u(j))
                                                : b.min(b.add(first, e.u(j)), last);
  }

  Value wRow(Value k) {
    return b.vector({w(k, columns[0]), w(k, columns[1]), w(k, columns[2]), w(k, columns[3])});
  }
  /// Rows [k, k + 4) of w, in this invocation's columns.
  Four wFour(Value k) {
    Four found;
    if (!w_fours || !spec.transpose_w) {
      for (uint32_t i = 0; i < 4; ++i) {
        Value at = b.add(k, e.u(i));
        found[i] = w_fours ? e.load4(Operand::w, b.shiftRight(wAt(at, columns[0]), e.u(2))) : wRow(at);
      }
      return found;
    }
    Four lines;
    for (uint32_t j = 0; j < 4; ++j) lines[j] = e.load4(Operand::w, b.shiftRight(wAt(k, columns[j]), e.u(2)));
    for (int i = 0; i < 4; ++i)
      found[size_t(i)] = b.vector(
          {b.extract(lines[0], i), b.extract(lines[1], i), b.extract(lines[2], i), b.extract(lines[3], i)});
    return found;
  }

  void add(Variable sum, Value factor, Value row_of_w) {
    b.set(sum, b.fmaScaled(factor, row_of_w, b.get(sum)));
  }
  /// sums += a[rows, k] * row_of_w, where row_of_w is w[k].
  void addOne(Sums sums, Value k, Value row_of_w) {
    if (!a_fours || !spec.transpose_a) {
      for (uint32_t r = 0; r < kRows; ++r) add(sums[r], a(rows[r], k), row_of_w);
      return;
    }
    Value line = b.mul(k, b.shiftRight(m, e.u(2)));
    for (uint32_t r = 0; r < kRows; r += 4) {
      const Four of_rows = parts(b, e.load4(Operand::a, b.add(starts[r / 4], line)));
      for (uint32_t j = 0; j < 4; ++j) add(sums[r + j], of_rows[j], row_of_w);
    }
  }
  /// sums += a[rows, k .. k + 4) w[k .. k + 4).
  void addFour(Sums sums, Value k) {
    const Four rows_of_w = wFour(k);
    if (!a_fours || spec.transpose_a) {
      for (uint32_t i = 0; i < 4; ++i) addOne(sums, b.add(k, e.u(i)), rows_of_w[i]);
      return;
    }
    Value four = b.shiftRight(k, e.u(2));
    for (uint32_t r = 0; r < kRows; ++r) {
      const Four of_k = parts(b, e.load4(Operand::a, b.add(starts[r], four)));
      for (uint32_t i = 0; i < 4; ++i) add(sums[r], of_k[i], rows_of_w[i]);
    }
  }

  void emit() {
    spirv::Private own = b.privateArray(Builder::f32(), 4 * kRows, "own");
    forTiles(kRows, kColumns, kCpuMatmulTile.axis, [&](Value row, Value tile) {
      Value first = b.add(tile, b.mul(b.localId(0), e.u(4)));
      beginTile(row, first);
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < kRows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      Value whole = b.bitAnd(k_size, e.u(0xfffffffcu));
      b.forRange(e.u(0), whole, e.u(4), [&](Value k) { addFour(sums, k); }, {.most = b.mostOf(k_size)});
      if (!foursOfK(spec))
        b.forRange(
            whole, k_size, e.u(1), [&](Value k) { addOne(sums, k, wRow(k)); }, e.atMost(3));
      storeBlock(own, e.u(0), row, first, sums);
    });
  }
};

/// Both operands pass through shared memory. A workgroup computes 64 x 64: 16 invocations in x own four columns each, 8
/// in y own eight rows each.
struct Tiles : PlainMatmul {
  static constexpr uint32_t kTile = 64, kQuads = 16, kTall = 8, kRows = kTile / kTall, kDepth = 16;
  Shared a_tile = e.shared(Builder::f32(), kDepth *kTile, "a");
  Shared w_tile = e.shared(Builder::f32(4), kDepth *kQuads, "w");
  Value x = b.localId(0), y = b.localId(1), me = b.add(b.mul(y, e.u(kQuads)), x);

  /// Calls body for the invocation's share of the indices of a `slow` x `fast` array.
  void share(uint32_t slow, uint32_t fast, const std::function<void(Value slow, Value fast)> &body) {
    for (uint32_t i = 0; i < slow * fast; i += kQuads * kTall) {
      Value number = i ? b.add(me, e.u(i)) : me;
      body(b.div(number, e.u(fast)), b.mod(number, e.u(fast)));
    }
  }
  /// Adjacent invocations load adjacent elements.
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
    forTiles(kTile, kTile, kTiledMatmulTile.axis, [&](Value row, Value column) {
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < kRows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      b.forRange(e.u(0), k_size, e.u(kDepth), [&](Value k0) {
        b.barrier(); // all invocations have finished reading the previous step's a and w
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
      // all invocations have finished reading a, whose memory now receives sums, two rows at a time
      b.barrier();
      Value first_row = b.add(row, b.mul(y, e.u(kRows))), first = b.add(column, b.mul(x, e.u(4)));
      constexpr uint32_t kEach = kDepth * kTile / (kQuads * kTall) / 4;
      for (uint32_t r = 0; r < kRows; r += kEach)
        storeBlock(a_tile, b.mul(me, e.u(4 * kEach)), b.add(first_row, e.u(r)), first,
                   std::span<const Variable>(sums).subspan(r, kEach));
    });
  }
};

} // namespace

Kernel matmulKernel(const VulkanMatmulSpec &spec) {
  Emitter e(nameOf("each", spec), operandsOf(spec), kItems, spec.where);
  Builder &b = e.b;
  PlainMatmul body{e, spec};
  e.forItems(b.mul(b.mul(body.groups, body.m), body.n), [&](Value i) {
    Value column = b.mod(i, body.n), line = b.div(i, body.n), row = b.mod(line, body.m);
    body.of(b.div(line, body.m));
    Variable sum = b.variable(e.f(0));
    b.forRange(e.u(0), body.k_size, e.u(1),
               [&](Value k) { b.set(sum, b.fma(body.a(row, k), body.w(k, column), b.get(sum))); });
    body.store(row, column, b.get(sum));
  });
  return e.finish();
}

Operands cpuMatmulOperands(const VulkanMatmulSpec &spec, Operands alone) {
  alone.texels = {uint8_t(foursOfA(spec) ? 4 : 1), uint8_t(foursOfW(spec) ? 4 : 1)};
  return alone;
}

Kernel cpuMatmulKernel(const VulkanMatmulSpec &spec) {
  static_assert(CpuBlocks::kRows == kCpuMatmulTile.rows && CpuBlocks::kColumns == kCpuMatmulTile.columns);
  const std::string name = fmt::format("cpu{}{}{}", foursOfA(spec) ? "_a4" : "", foursOfW(spec) ? "_w4" : "",
                                       foursOfK(spec) ? "_k4" : "");
  Emitter e(nameOf(name, spec), operandsOf(spec), CpuBlocks::kLanes, spec.where);
  e.require("cpu");
  e.requireSubgroup(CpuBlocks::kLanes);
  CpuBlocks{{e, spec}}.emit();
  return e.finish();
}

Kernel tiledMatmulKernel(const VulkanMatmulSpec &spec) {
  static_assert(Tiles::kTile == kTiledMatmulTile.rows && Tiles::kTile == kTiledMatmulTile.columns);
  Emitter e(nameOf("tiled", spec), operandsOf(spec), Tiles::kQuads, spec.where, Tiles::kTall);
  Tiles{{e, spec}}.emit();
  return e.finish();
}

} // namespace linnet::vulkan
