#include "backends/vulkan/emitter.h"
#include "backends/vulkan/half_tile.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/matmul_argmax.h"
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
  Shared scratch = {}; ///< of sums over rows
  std::optional<MatmulArgmax> argmax = {};

  uint32_t scaleOperand() const { return 3; }
  uint32_t biasOperand() const { return scaleOperand() + spec.scaled; }
  uint32_t residualOperand() const { return biasOperand() + spec.bias; }
  uint32_t gainOperand() const { return residualOperand() + spec.residual; }
  uint32_t betaOperand() const { return gainOperand() + 1; }
  uint32_t lengthOperand() const { return gainOperand() + (spec.norm ? 2 : 0); }
  uint32_t tokenOperand() const { return lengthOperand() + spec.selects(); }
  static uint32_t operands(const PackedMatmulSpec &spec) {
    return 3u + spec.scaled + spec.bias + spec.residual + (spec.norm ? 2u : 0u) + spec.selects() +
           (spec.argmax ? 3u : 0u);
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

  /// The sums of term(row, x) over each row's elements, x as a vector of four or alone. Two passes, as the
  /// variance of a row with a few large numbers (GPT-2's have) cancels in one.
  using Term = std::function<Value(const Row &, Value)>;
  std::vector<Value> totals(std::span<const Row> rows, const Term &term) {
    const auto k = uint64_t(spec.w.k), fours = vectorRows() ? k / 4 : 0;
    const uint32_t lanes = variant.subgroup ? variant.subgroup : e.invocations();
    Value lane = variant.subgroup ? b.subgroupLane() : me();
    std::vector<Variable> four, one;
    for (size_t r = 0; r < rows.size(); ++r)
      four.push_back(b.variable(b.splat(e.f(0), 4))), one.push_back(b.variable(e.f(0)));
    auto addAll = [&](std::span<const Variable> sums, const std::function<Value(const Row &)> &x) {
      for (size_t r = 0; r < rows.size(); ++r)
        b.set(sums[r], b.add(b.get(sums[r]), term(rows[r], x(rows[r]))));
    };
    b.forRange(lane, e.u(fours), e.u(lanes),
               [&](Value i) { addAll(four, [&](const Row &row) { return fourOf(row, b.mul(i, e.u(4))); }); });
    if (4 * fours < k)
      b.forRange(b.add(lane, e.u(4 * fours)), e.u(k), e.u(lanes),
                 [&](Value i) { addAll(one, [&](const Row &row) { return oneOf(row, i); }); });
    std::vector<Value> sums;
    for (size_t r = 0; r < rows.size(); ++r) {
      Value parts = b.get(four[r]), sum = b.get(one[r]);
      for (int i = 0; i < 4; ++i) sum = b.add(sum, b.extract(parts, i));
      sums.push_back(variant.subgroup ? b.subgroupReduce(spirv::SubgroupOp::add, sum) : sum);
    }
    return variant.subgroup ? sums : reduced(sums);
  }
  /// The workgroup's sums, of all rows at once.
  std::vector<Value> reduced(const std::vector<Value> &mine) {
    Value sums = mine.size() > 1 ? b.vector(mine) : mine[0];
    sums = e.reduce(scratch, sums, [&](Value x, Value y) { return b.add(x, y); });
    std::vector<Value> all;
    for (size_t r = 0; r < mine.size(); ++r) all.push_back(b.extract(sums, int(r)));
    return all;
  }
  uint32_t quads() const { return kQuads / variant.slices; } ///< of a direct variant's workgroup
  Value me() { return b.add(b.mul(b.localId(1), e.u(quads())), b.localId(0)); }
  std::vector<Row> rowsOf(Value first) {
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
        for (uint32_t i = 0; i < 4; ++i) sum = b.fmaScaled(a[i], rows[i], sum);
      } else {
        for (uint32_t i = 0; i < count; ++i)
          sum = b.fmaScaled(activation(rows_of_a[r], b.add(k, e.u(i))), rows[i], sum);
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

  // --- what comes behind the sums: always in loops, so that a driver compiles it once

  /// A column of the result, and what all of its elements have.
  struct Column {
    Value number, scale, bias;
  };
  /// Column number `at` of the panel, if it is inside of the result.
  void withColumn(Value panel, Value at, const std::function<void(const Column &)> &body) {
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
  /// Scale, bias, activation, residual.
  void store(Value row, const Column &column, Value x) {
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
  void storeInside(Value row, const Column &column, Value x) {
    auto inside = [&] { store(row, column, x); };
    variant.rows > 1 ? b.ifThen(b.lt(row, e.extent(spec.m)), inside) : inside();
  }
  /// Four columns of consecutive rows, by way of this invocation's own elements of `scratch`, from `own` on.
  template <class Array>
  void storeBlock(Array scratch, Value own, Value first, Value panel, Value quad,
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

  /// Panels over the workgroups in x, tiles of rows over those in y.
  void forTiles(const std::function<void(Value panel, Value first_row)> &body) {
    forRows([&](Value first) { forPanels([&](Value panel) { body(panel, first); }); });
  }
  void forRows(const std::function<void(Value first_row)> &body) {
    Value m = e.extent(spec.m);
    Value tiles = b.div(b.add(m, e.u(variant.rows - 1)), e.u(variant.rows));
    b.forRange(b.groupId(1), tiles, b.groupCount(1),
               [&](Value tile) { body(b.mul(tile, e.u(variant.rows))); });
  }
  void forPanels(const std::function<void(Value panel)> &body) {
    b.forRange(b.groupId(0), e.unitCount(), b.groupCount(0),
               [&](Value unit) { body(b.add(unit, e.firstUnit())); });
  }

  Value clampedRow(Value first, uint32_t r) {
    Value row = r ? b.add(first, e.u(r)) : first;
    return variant.rows > 1 ? b.min(row, b.sub(e.extent(spec.m), e.u(1))) : row;
  }

  void direct() {
    Value quad = b.localId(0);
    if (variant.slices > 1) quad = b.add(quad, b.mul(b.groupId(2), e.u(quads())));
    if (spec.norm && !variant.subgroup)
      scratch = e.shared(Builder::f32(int(variant.rows)), e.invocations(), "scratch");
    Private own;
    Shared partial;
    if (variant.split > 1)
      partial = e.shared(Builder::f32(), 4 * e.invocations() * variant.rows, "partial");
    else
      own = b.privateArray(Builder::f32(), 4 * variant.rows, "own");
    if (spec.argmax) argmax.emplace(e, spec, variant, quads(), tokenOperand());
    forRows([&](Value first) {
      const std::vector<Row> rows_of_a = rowsOf(first);
      if (argmax) argmax->begin(first);
      forPanels([&](Value panel) {
        std::vector<Variable> sums;
        for (uint32_t r = 0; r < variant.rows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
        Value begin = variant.split > 1 ? b.mul(b.localId(1), e.u(4)) : e.u(0);
        PanelReader w(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
        walk(sums, rows_of_a, w, panel, quad, begin, e.u(4 * variant.split));
        if (argmax) argmax->clear(panel);
        if (variant.split > 1)
          meet(sums, partial, first, panel);
        else
          storeBlock(own, e.u(0), first, panel, quad, sums);
      });
      if (argmax) argmax->end();
    });
  }

  /// The parts of the sums over k are added up, an element an invocation.
  void meet(std::span<const Variable> sums, Shared partial, Value first, Value panel) {
    const uint32_t columns = 4 * quads();
    b.barrier(); // the sums of the tile before may still be read
    for (uint32_t r = 0; r < sums.size(); ++r)
      for (uint32_t j = 0; j < 4; ++j)
        b.store(partial, b.add(b.mul(me(), e.u(4)), e.u(4 * e.invocations() * r + j)),
                b.extract(b.get(sums[r]), int(j)));
    b.barrier();
    b.forRange(me(), e.u(columns * sums.size()), e.u(e.invocations()), [&](Value i) {
      Value r = b.div(i, e.u(columns)), column = b.mod(i, e.u(columns));
      Value from = b.add(b.mul(r, e.u(4 * e.invocations())), column);
      Variable sum = b.variable(e.f(0));
      b.forRange(e.u(0), e.u(variant.split), e.u(1), [&](Value s) {
        b.set(sum, b.add(b.get(sum), b.load(partial, b.add(from, b.mul(s, e.u(columns))))));
      });
      if (variant.slices > 1) column = b.add(column, b.mul(b.groupId(2), e.u(columns)));
      withColumn(panel, column, [&](const Column &c) { storeInside(b.add(first, r), c, b.get(sum)); });
    });
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
        b.forRange(
            e.u(0), e.u(kTileK), e.u(1),
            [&](Value k) {
              Value four = b.load(w, b.add(quad, b.mul(k, e.u(kQuads))));
              Value from = b.add(b.mul(y, e.u(per)), b.mul(k, e.u(variant.rows)));
              for (uint32_t r = 0; r < per; ++r)
                b.set(sums[r], b.fmaScaled(b.load(a, b.add(from, e.u(r))), four, b.get(sums[r])));
            },
            true);
      });
      b.barrier(); // all are done with the tile of a, which takes the sums, some rows at a time
      const uint32_t each = kTileK * variant.rows / (kQuads * kTileY) / 4;
      for (uint32_t r = 0; r < per; r += each)
        storeBlock(a, b.mul(me(), e.u(4 * each)), b.add(first, b.add(b.mul(y, e.u(per)), e.u(r))), panel,
                   quad, std::span<const Variable>(sums).subspan(r, each));
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

  // --- half: as tiled, in 16-bit arithmetic

  Value insideFourOf(Value row, Value k) {
    Variable four = b.variable(b.splat(e.f(0), 4));
    b.ifThen(b.lt(k, e.u(uint64_t(spec.w.k))), [&] {
      const auto parts = activations({b.mul(row, e.u(uint64_t(spec.a_stride))), {}, {}}, k);
      b.set(four, b.vector(parts));
    });
    return b.get(four);
  }

  void half() {
    HalfTile tile(e, !backend::isFloat(spec.w.type));
    constexpr uint32_t kEach = 2;
    Shared own = e.shared(Builder::f32(), 4 * kEach * e.invocations(), "own");
    Value quad = b.localId(0), last = b.sub(e.extent(spec.m), e.u(1));
    forTiles([&](Value panel, Value first) {
      std::vector<Variable> sums;
      for (uint32_t r = 0; r < HalfTile::kPer; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
      PanelReader w(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
      b.forRange(e.u(0), e.u(uint64_t(spec.w.k)), e.u(HalfTile::kDepth), [&](Value k0) {
        tile.load(
            [&](Value row, Value k) { return insideFourOf(b.min(b.add(first, row), last), b.add(k0, k)); },
            [&](Value k) { return w.rows4(b.add(k0, k)); });
        tile.add(sums, spec.scaled && spec.group ? scales(panel, quad, k0) : Value());
      });
      Value row = b.add(first, b.mul(b.localId(1), e.u(HalfTile::kPer)));
      for (uint32_t r = 0; r < HalfTile::kPer; r += kEach)
        storeBlock(own, b.mul(me(), e.u(4 * kEach)), b.add(row, e.u(r)), panel, quad,
                   std::span<const Variable>(sums).subspan(r, kEach));
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
          b.forRange(lane, e.u(shape.m * shape.n), e.u(shape.subgroup), [&](Value element) {
            Value row = b.add(b.add(first, first_row), b.add(e.u(i * shape.m), b.div(element, e.u(shape.n))));
            Value column = b.add(b.add(first_column, e.u(j * shape.n)), b.mod(element, e.u(shape.n)));
            withColumn(panel, column,
                       [&](const Column &c) { storeInside(row, c, b.load(out, b.add(own, element))); });
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

/// What a name says of a size. One that calls decide is a push constant, whichever it is.
std::string sizeText(const char *what, const Extent &size) {
  return size.isStatic() ? what + size.text() : "";
}

} // namespace

Kernel packedMatmulKernel(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  static const char *const kKinds[] = {"direct", "tiled", "half", "matrix"};
  std::string name = fmt::format("matmul_{}{}_{}{}", kKinds[int(variant.kind)], variant.rows, spec.w.text(),
                                 sizeText("_m", spec.m));
  if (variant.subgroup) name += fmt::format("_subgroup{}", variant.subgroup);
  if (variant.split > 1) name += fmt::format("_split{}", variant.split);
  if (variant.slices > 1) name += fmt::format("_slices{}", variant.slices);
  if (spec.a_stride != spec.w.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.scaled) name += fmt::format("_scaled{}", spec.group);
  if (spec.bias) name += fmt::format("_bias_{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  if (spec.residual) name += "_residual";
  if (spec.argmax) name += "_argmax";
  if (spec.norm) {
    name +=
        fmt::format("_norm_{}_{:x}", nameOf(spec.norm->type), std::bit_cast<uint32_t>(spec.norm->epsilon));
  }
  if (spec.selects())
    name += fmt::format("{}{}{}{}", spec.last ? "_last" : "", spec.last_residual ? "_last_residual" : "",
                        sizeText("_t", spec.positions), spec.positions == spec.m ? "_mt" : "");
  const bool direct = variant.kind == MatmulVariant::direct, matrix = variant.kind == MatmulVariant::matrix,
             half = variant.kind == MatmulVariant::half;
  const MatrixShape &shape = variant.shape;
  if (matrix) name += fmt::format("_{}x{}x{}_subgroup{}", shape.m, shape.n, shape.k, shape.subgroup);
  Emitter e(name, PackedMatmul::operands(spec),
            matrix ? PackedMatmul::kSubgroups * shape.subgroup : kQuads / variant.slices, spec.where,
            matrix   ? 1
            : direct ? variant.split
                     : uint32_t(PackedMatmul::kTileY));
  if (half)
    for (const char *feature : {"gpu", "shader_float16"}) e.require(feature);
  if (matrix) {
    for (const char *feature : {"vulkan_memory_model", "shader_float16", "subgroup_basic"})
      e.require(feature);
    e.require(fmt::format("cooperative_matrix/{}x{}x{}/f16/f32", shape.m, shape.n, shape.k));
    e.requireSubgroup(shape.subgroup);
  }
  if (variant.subgroup) {
    e.require("cpu");
    e.requireSubgroup(variant.subgroup);
    if (spec.argmax) e.require("subgroup_basic");
    if (spec.norm || spec.argmax) e.require("subgroup_arithmetic");
  }
  PackedMatmul body{e, spec, variant};
  matrix ? body.matrix() : half ? body.half() : direct ? body.direct() : body.tiled();
  return e.finish();
}

} // namespace linnet::vulkan
