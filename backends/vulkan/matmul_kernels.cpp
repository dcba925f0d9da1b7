#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/panel.h"

#include <fmt/format.h>

#include <bit>

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
  Shared scratch = {}; ///< of sums over a row

  uint32_t scaleOperand() const { return 3; }
  uint32_t biasOperand() const { return scaleOperand() + spec.scaled; }
  uint32_t residualOperand() const { return biasOperand() + spec.bias; }
  uint32_t gainOperand() const { return residualOperand() + spec.residual; }
  uint32_t betaOperand() const { return gainOperand() + 1; }
  uint32_t lengthOperand() const { return gainOperand() + (spec.norm ? 2 : 0); }
  static uint32_t operands(const PackedMatmulSpec &spec) {
    return 3u + spec.scaled + spec.bias + spec.residual + (spec.norm ? 2u : 0u) + spec.selects();
  }

  /// A row of a: where it begins, and what normalizes it.
  struct Row {
    Value base, mean, inverse;
  };
  /// Four elements of a row of a at once: only where every row begins at a multiple of four words.
  bool vectorRows() const { return spec.a_stride % 4 == 0 && !e.beginsInside(0); }

  Value fourOf(const Row &row, Value k) { return e.load4(0, b.shiftRight(b.add(row.base, k), e.u(2))); }
  Value oneOf(const Row &row, Value k) { return e.load(0, b.add(row.base, k), Type::f32); }

  /// a[row, k .. k + 4), the same for all of a workgroup's columns.
  std::array<Value, 4> activations(const Row &row, Value k) {
    std::array<Value, 4> a;
    if (vectorRows()) {
      Value four = normed4(fourOf(row, k), row, b.shiftRight(k, e.u(2)));
      for (int i = 0; i < 4; ++i) a[size_t(i)] = b.extract(four, i);
    } else {
      for (uint32_t i = 0; i < 4; ++i) a[i] = activation(row, b.add(k, e.u(i)));
    }
    return a;
  }
  Value activation(const Row &row, Value k) {
    Value x = oneOf(row, k);
    if (!spec.norm) return x;
    return b.fma(b.mul(b.sub(x, row.mean), row.inverse), e.load(gainOperand(), k, spec.norm->type),
                 e.load(betaOperand(), k, spec.norm->type));
  }
  Value normed4(Value x, const Row &row, Value four) {
    if (!spec.norm) return x;
    Value gain = e.loadFour(gainOperand(), four, spec.norm->type);
    Value beta = e.loadFour(betaOperand(), four, spec.norm->type);
    return b.fma(b.mul(b.sub(x, b.splat(row.mean, 4)), b.splat(row.inverse, 4)), gain, beta);
  }

  // --- rows; each workgroup, or each subgroup, normalizes those that it reads

  /// Of all rows the last of the sequence's.
  Value lastOf(Value sequence) {
    Value positions = e.extent(spec.positions);
    Value length = b.bitcast(e.load(lengthOperand(), sequence, Type::i32), Builder::u32());
    length = b.max(b.min(length, positions), e.u(1)); // must not lead out of the tensor
    return b.add(b.mul(sequence, positions), b.sub(length, e.u(1)));
  }

  /// The sum of term(x) over the row's elements, x as a vector of four or alone. Two passes, as the variance
  /// of a row with a few large numbers (GPT-2's have) cancels in one.
  Value total(const Row &row, const std::function<Value(Value)> &term) {
    const auto k = uint64_t(spec.w.k), fours = vectorRows() ? k / 4 : 0;
    const uint32_t lanes = variant.subgroup ? variant.subgroup : e.invocations();
    Value lane = variant.subgroup ? b.subgroupLane() : me();
    Variable four = b.variable(b.splat(e.f(0), 4)), one = b.variable(e.f(0));
    b.forRange(lane, e.u(fours), e.u(lanes),
               [&](Value i) { b.set(four, b.add(b.get(four), term(fourOf(row, b.mul(i, e.u(4)))))); });
    if (4 * fours < k)
      b.forRange(b.add(lane, e.u(4 * fours)), e.u(k), e.u(lanes),
                 [&](Value i) { b.set(one, b.add(b.get(one), term(oneOf(row, i)))); });
    Value sums = b.get(four), sum = b.get(one);
    for (int i = 0; i < 4; ++i) sum = b.add(sum, b.extract(sums, i));
    if (!variant.subgroup) return e.reduce(scratch, sum, [&](Value x, Value y) { return b.add(x, y); });
    return b.subgroupReduce(spirv::SubgroupOp::add, sum);
  }
  uint32_t quads() const { return kQuads / variant.slices; } ///< of a direct variant's workgroup
  Value me() { return b.add(b.mul(b.localId(1), e.u(quads())), b.localId(0)); }
  Row rowOf(Value number) {
    Row row{b.mul(spec.last ? lastOf(number) : number, e.u(uint64_t(spec.a_stride))), {}, {}};
    if (!spec.norm) return row;
    Value size = e.f(double(spec.w.k));
    row.mean = b.div(total(row, [](Value x) { return x; }), size);
    Value variance = b.div(total(row,
                                 [&](Value x) {
                                   Value d = b.sub(x, x.type.width == 4 ? b.splat(row.mean, 4) : row.mean);
                                   return b.mul(d, d);
                                 }),
                           size);
    row.inverse = b.div(e.f(1), b.sqrt(b.add(variance, e.f(spec.norm->epsilon))));
    return row;
  }

  /// The scales of four columns for row k of w.
  Value scales(Value panel, Value quad, Value k) {
    const auto groups = spec.group ? uint64_t((spec.w.k + spec.group - 1) / spec.group) : 1;
    Value group = spec.group ? b.div(k, e.u(uint64_t(spec.group))) : e.u(0);
    Value line = b.add(b.mul(panel, e.u(groups)), group);
    return e.load4(scaleOperand(), b.add(b.mul(line, e.u(uint64_t(spec.w.n_block) / 4)), quad));
  }

  void multiplyAdd(std::span<Variable> sums, std::span<const Row> rows_of_a, PanelReader &w, Value panel,
                   Value quad, Value k, uint32_t count) {
    std::array<Value, 4> rows = w.rows4(k);
    if (spec.scaled && spec.group) {
      Value scale = scales(panel, quad, k); // a group is a multiple of 4 rows
      for (Value &row : rows) row = b.mul(row, scale);
    }
    for (size_t r = 0; r < sums.size(); ++r) {
      Value sum = b.get(sums[r]);
      if (count == 4) {
        const std::array<Value, 4> a = activations(rows_of_a[r], k);
        for (uint32_t i = 0; i < 4; ++i) sum = b.fma(b.splat(a[i], 4), rows[i], sum);
      } else {
        for (uint32_t i = 0; i < count; ++i)
          sum = b.fma(b.splat(activation(rows_of_a[r], b.add(k, e.u(i))), 4), rows[i], sum);
      }
      b.set(sums[r], sum);
    }
  }

  /// sums += a w over k = begin, begin + step, ... in fours, and the ragged end.
  void walk(std::span<Variable> sums, std::span<const Row> rows_of_a, PanelReader &w, Value panel, Value quad,
            Value begin, Value step) {
    const auto whole = uint64_t(spec.w.k / 4 * 4);
    b.forRange(begin, e.u(whole), step, [&](Value k) { multiplyAdd(sums, rows_of_a, w, panel, quad, k, 4); });
    if (const auto rest = uint32_t(spec.w.k % 4)) {
      auto tail = [&] { multiplyAdd(sums, rows_of_a, w, panel, quad, e.u(whole), rest); };
      variant.split > 1 ? b.ifThen(b.eq(b.localId(1), e.u(0)), tail) : tail();
    }
  }

  /// Bias, activation, residual, and the four elements stored where they are inside of the result.
  void store(Value row, Value panel, Value quad, Value sum) {
    const auto n = uint64_t(spec.w.n);
    Value first = b.add(b.mul(panel, e.u(uint64_t(spec.w.n_block))), b.mul(quad, e.u(4)));
    Value base = b.mul(row, e.u(n)), residual = spec.last_residual ? b.mul(lastOf(row), e.u(n)) : base;
    if (spec.scaled && !spec.group) sum = b.mul(sum, scales(panel, quad, e.u(0)));
    for (int j = 0; j < 4; ++j) {
      Value column = b.add(first, e.u(uint64_t(j)));
      auto one = [&] {
        Value x = b.extract(sum, j), at = b.add(base, column);
        if (spec.bias) x = b.add(x, e.load(biasOperand(), column, spec.bias_type));
        x = e.activation(spec.activation, x);
        if (spec.residual) x = b.add(x, e.load(residualOperand(), b.add(residual, column), Type::f32));
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
    Value lane = b.localId(0), quad = lane;
    if (variant.slices > 1) quad = b.add(quad, b.mul(b.groupId(2), e.u(quads())));
    Shared partial;
    if (spec.norm && !variant.subgroup) scratch = e.shared(Builder::f32(), e.invocations(), "scratch");
    if (variant.split > 1)
      partial = e.shared(Builder::f32(4), quads() * variant.split * variant.rows, "partial");
    forTiles([&](Value panel, Value first) {
      std::vector<Variable> sums;
      std::vector<Row> rows_of_a;
      for (uint32_t r = 0; r < variant.rows; ++r) {
        sums.push_back(b.variable(b.splat(e.f(0), 4)));
        rows_of_a.push_back(rowOf(clampedRow(first, r)));
      }
      Value begin = variant.split > 1 ? b.mul(b.localId(1), e.u(4)) : e.u(0);
      PanelReader w(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
      walk(sums, rows_of_a, w, panel, quad, begin, e.u(4 * variant.split));
      if (variant.split == 1) {
        for (uint32_t r = 0; r < variant.rows; ++r)
          storeInside(r ? b.add(first, e.u(r)) : first, panel, quad, b.get(sums[r]));
        return;
      }
      meet(sums, partial, lane);
      for (uint32_t r = 0; r < variant.rows; ++r) { // invocation (x, r % split) stores row r
        Value row = r ? b.add(first, e.u(r)) : first;
        b.ifThen(b.eq(b.localId(1), e.u(r % variant.split)), [&] {
          Value sum = b.splat(e.f(0), 4);
          for (uint32_t s = 0; s < variant.split; ++s)
            sum = b.add(sum, b.load(partial, b.add(lane, e.u(quads() * (r * variant.split + s)))));
          storeInside(row, panel, quad, sum);
        });
      }
    });
  }

  void meet(std::span<const Variable> sums, Shared partial, Value lane) {
    b.barrier(); // the sums of the tile before may still be read
    for (uint32_t r = 0; r < sums.size(); ++r)
      b.store(partial, b.add(me(), e.u(quads() * variant.split * r)), b.get(sums[r]));
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

  // --- matrix: kMatrixK rows of w and the same columns of a in shared memory, in f16; each of four subgroups
  // computes a quarter of 64 x 64.
  static constexpr uint32_t kMatrixK = 32, kMatrixRows = 64, kQuarter = 32, kSubgroups = 4;
  static constexpr uint32_t kStrideA = kMatrixK + 8, kStrideW = 64 + 8; // rows begin in different banks

  void matrix() {
    using spirv::MatrixUse;
    const MatrixShape &shape = variant.shape;
    e.enableMatrices();
    const spirv::Type half{spirv::Kind::f16, 1};
    Shared a = b.shared(half, kMatrixRows * kStrideA, "a"), w = b.shared(half, kMatrixK * kStrideW, "w");
    Shared out = e.shared(Builder::f32(), kSubgroups * shape.m * shape.n, "out");
    e.addShared(2 * (kMatrixRows * kStrideA + kMatrixK * kStrideW));
    const spirv::MatrixType of_a{spirv::Kind::f16, shape.m, shape.k, MatrixUse::a},
        of_w{spirv::Kind::f16, shape.k, shape.n, MatrixUse::b},
        of_sum{spirv::Kind::f32, shape.m, shape.n, MatrixUse::sum};
    const uint32_t down = kQuarter / shape.m, across = kQuarter / shape.n;
    Value subgroup = b.subgroupId();
    Value first_row = b.mul(b.shiftRight(subgroup, e.u(1)), e.u(kQuarter)),
          first_column = b.mul(b.bitAnd(subgroup, e.u(1)), e.u(kQuarter));
    forTiles([&](Value panel, Value first) {
      std::vector<spirv::MatrixVariable> sums;
      for (uint32_t i = 0; i < down * across; ++i) sums.push_back(b.zeroMatrix(of_sum));
      b.forRange(e.u(0), e.u(uint64_t(spec.w.k)), e.u(kMatrixK), [&](Value k0) {
        b.barrier(); // the step before is done with both
        fillHalves(a, first, k0);
        fillHalfWeights(w, panel, k0);
        b.barrier();
        for (uint32_t k = 0; k < kMatrixK; k += shape.k) {
          std::vector<spirv::Matrix> rows, columns;
          for (uint32_t i = 0; i < down; ++i)
            rows.push_back(b.loadMatrix(
                a, b.add(b.mul(first_row, e.u(kStrideA)), e.u(i * shape.m * kStrideA + k)), kStrideA, of_a));
          for (uint32_t j = 0; j < across; ++j)
            columns.push_back(
                b.loadMatrix(w, b.add(first_column, e.u(k * kStrideW + j * shape.n)), kStrideW, of_w));
          for (uint32_t i = 0; i < down; ++i)
            for (uint32_t j = 0; j < across; ++j) {
              const spirv::MatrixVariable &sum = sums[i * across + j];
              b.set(sum, b.multiplyAdd(rows[i], columns[j], b.get(sum)));
            }
        }
      });
      // One matrix of each subgroup at a time: by way of shared memory to the invocations.
      Value own = b.mul(subgroup, e.u(shape.m * shape.n)), lane = b.subgroupLane();
      for (uint32_t i = 0; i < down; ++i)
        for (uint32_t j = 0; j < across; ++j) {
          b.barrier();
          b.storeMatrix(out, own, shape.n, b.get(sums[i * across + j]));
          b.barrier();
          b.forRange(lane, e.u(shape.m * shape.n / 4), e.u(shape.subgroup), [&](Value four) {
            Value from = b.add(own, b.mul(four, e.u(4))), quads = e.u(shape.n / 4), parts[4];
            for (uint32_t c = 0; c < 4; ++c) parts[c] = b.load(out, b.add(from, e.u(c)));
            Value row = b.add(b.add(first, first_row), b.add(e.u(i * shape.m), b.div(four, quads)));
            Value quad =
                b.add(b.shiftRight(b.add(first_column, e.u(j * shape.n)), e.u(2)), b.mod(four, quads));
            storeInside(row, panel, quad, b.vector({parts[0], parts[1], parts[2], parts[3]}));
          });
        }
    });
  }

  void storeHalves(Shared to, Value at, Value four) {
    Value halves = b.convert(four, {spirv::Kind::f16, 4});
    for (int c = 0; c < 4; ++c) b.store(to, b.add(at, e.u(uint64_t(c))), b.extract(halves, c));
  }
  void fillHalves(Shared a, Value first, Value k0) {
    constexpr uint32_t kFours = kMatrixK / 4;
    b.forRange(b.localId(0), e.u(kMatrixRows * kFours), e.u(e.invocations()), [&](Value i) {
      Value k = b.mul(b.bitAnd(i, e.u(kFours - 1)), e.u(4)), row = b.div(i, e.u(kFours));
      Value x = b.add(k0, k), y = b.add(first, row);
      Variable four = b.variable(b.splat(e.f(0), 4));
      b.ifThen(b.logicalAnd(b.lt(x, e.u(uint64_t(spec.w.k))), b.lt(y, e.extent(spec.m))), [&] {
        const auto parts = activations({b.mul(y, e.u(uint64_t(spec.a_stride))), {}, {}}, x);
        b.set(four, b.vector({parts[0], parts[1], parts[2], parts[3]}));
      });
      storeHalves(a, b.add(b.mul(row, e.u(kStrideA)), k), b.get(four));
    });
  }
  void fillHalfWeights(Shared w, Value panel, Value k0) {
    b.forRange(b.localId(0), e.u(kMatrixK / 4 * kQuads), e.u(e.invocations()), [&](Value i) {
      Value quad = b.mod(i, e.u(kQuads)), k = b.mul(b.div(i, e.u(kQuads)), e.u(4)), at = b.add(k0, k);
      Variable rows[4];
      for (Variable &row : rows) row = b.variable(b.splat(e.f(0), 4));
      b.ifThen(b.lt(at, e.u(uint64_t(spec.w.k))), [&] {
        PanelReader reader(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
        std::array<Value, 4> four = reader.rows4(at);
        Value scale = spec.scaled && spec.group ? scales(panel, quad, at) : Value();
        for (size_t r = 0; r < 4; ++r) b.set(rows[r], scale ? b.mul(four[r], scale) : four[r]);
      });
      for (uint32_t r = 0; r < 4; ++r)
        storeHalves(w, b.add(b.mul(b.add(k, e.u(r)), e.u(kStrideW)), b.mul(quad, e.u(4))), b.get(rows[r]));
    });
  }

  /// Invocation number i brings elements i, i + 128, ... of the tile, k fastest.
  void fillActivations(Shared a, Value first, Value k0) {
    b.forRange(me(), e.u(kTileK * variant.rows), e.u(kQuads * kTileY), [&](Value i) {
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
  static const char *const kKinds[] = {"direct", "tiled", "matrix"};
  std::string name = fmt::format("matmul_{}{}_{}_m{}", kKinds[int(variant.kind)], variant.rows, spec.w.text(),
                                 spec.m.text());
  if (variant.subgroup) name += fmt::format("_subgroup{}", variant.subgroup);
  if (variant.split > 1) name += fmt::format("_split{}", variant.split);
  if (variant.slices > 1) name += fmt::format("_slices{}", variant.slices);
  if (spec.a_stride != spec.w.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.scaled) name += fmt::format("_scaled{}", spec.group);
  if (spec.bias) name += fmt::format("_bias_{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  if (spec.residual) name += "_residual";
  if (spec.norm) {
    name +=
        fmt::format("_norm_{}_{:x}", nameOf(spec.norm->type), std::bit_cast<uint32_t>(spec.norm->epsilon));
  }
  if (spec.selects())
    name += fmt::format("{}{}_t{}", spec.last ? "_last" : "", spec.last_residual ? "_last_residual" : "",
                        spec.positions.text());
  const bool tiled = variant.kind == MatmulVariant::tiled, matrix = variant.kind == MatmulVariant::matrix;
  const MatrixShape &shape = variant.shape;
  if (matrix) name += fmt::format("_{}x{}x{}_subgroup{}", shape.m, shape.n, shape.k, shape.subgroup);
  Emitter e(name, PackedMatmul::operands(spec),
            matrix ? PackedMatmul::kSubgroups * shape.subgroup : kQuads / variant.slices, spec.where,
            matrix  ? 1
            : tiled ? uint32_t(PackedMatmul::kTileY)
                    : variant.split);
  if (matrix) {
    for (const char *feature : {"vulkan_memory_model", "shader_float16", "subgroup_basic"})
      e.require(feature);
    e.require(fmt::format("cooperative_matrix/{}x{}x{}/f16/f32", shape.m, shape.n, shape.k));
    e.requireSubgroup(shape.subgroup);
  }
  if (variant.subgroup) {
    e.require("cpu");
    e.requireSubgroup(variant.subgroup);
    if (spec.norm) e.require("subgroup_arithmetic");
  }
  PackedMatmul body{e, spec, variant};
  matrix ? body.matrix() : tiled ? body.tiled() : body.direct();
  return e.finish();
}

} // namespace linnet::vulkan
