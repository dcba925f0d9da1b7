// What all variants of the packed matmul have in common. Each is a function of its own file: direct.cpp,
// lanes.cpp, tiled.cpp, half.cpp, matrix.cpp. Rows and what normalizes them: rows.cpp; what comes behind the
// sums: output.cpp.
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/matmul/argmax.h"
#include "backends/vulkan/panel.h"

#include <array>
#include <optional>
#include <span>

namespace linnet::vulkan {

struct PackedMatmul {
  Emitter &e;
  const PackedMatmulSpec &spec;
  const MatmulVariant &variant;
  Builder &b = e.b;
  Shared scratch = {}; ///< of sums over rows
  std::optional<MatmulArgmax> argmax = {};

  /// 16 invocations in x own four columns each of a panel.
  static constexpr uint32_t kQuads = 16;
  /// Of a workgroup of a direct or lanes variant.
  static uint32_t quadsOf(const MatmulVariant &variant) { return kQuads / variant.slices; }
  uint32_t quads() const { return quadsOf(variant); }
  Value me() { return b.add(b.mul(b.localId(1), e.u(quads())), b.localId(0)); }

  uint32_t scaleOperand() const { return 3; }
  uint32_t biasOperand() const { return scaleOperand() + spec.scaled; }
  uint32_t residualOperand() const { return biasOperand() + spec.bias; }
  uint32_t gainOperand() const { return residualOperand() + spec.residual; }
  uint32_t betaOperand() const { return gainOperand() + 1; }
  uint32_t lengthOperand() const { return gainOperand() + (spec.norm ? 2 : 0); }
  uint32_t tokenOperand() const { return lengthOperand() + spec.selects(); }
  /// Of workgroups that share out k; where they do, there is no token.
  uint32_t partsOperand() const { return tokenOperand(); }
  static uint32_t operands(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
    return 3u + spec.scaled + spec.bias + spec.residual + (spec.norm ? 2u : 0u) + spec.selects() +
           (spec.argmax ? 3u : 0u) + (variant.pieces > 1 ? 2u : 0u);
  }

  // --- rows.cpp

  /// A row of a: where it begins, and what normalizes it.
  struct Row {
    Value base, mean, inverse;
  };
  /// The tile's rows from `first` on. Each workgroup, or each subgroup, normalizes those that it reads.
  std::vector<Row> rowsOf(Value first);
  /// Row number `row` of a as it is.
  Row plainRow(Value row) { return {b.mul(row, e.u(uint64_t(spec.a_stride))), {}, {}}; }
  /// a[row, k .. k + 4), the same for all of a workgroup's columns; a[row, k].
  std::array<Value, 4> activations(const Row &row, Value k);
  Value activation(const Row &row, Value k);
  /// Of all rows the last of the sequence's.
  Value lastOf(Value sequence);
  Value clampedRow(Value first, uint32_t r);

  // --- output.cpp: always in loops, so that a driver compiles it once

  /// A column of the result, and what all of its elements have.
  struct Column {
    Value number, scale, bias;
  };
  /// Column number `at` of the panel, if it is inside of the result.
  void withColumn(Value panel, Value at, const std::function<void(const Column &)> &body);
  /// An element whose row may lie behind the last one.
  void storeInside(Value row, const Column &column, Value x);
  /// Four columns of consecutive rows, by way of this invocation's own elements of `scratch`, from `own` on.
  template <class Array>
  void storeBlock(Array scratch, Value own, Value first, Value panel, Value quad,
                  std::span<const Variable> sums);

  // --- the weight

  /// The reader of four columns of a panel.
  PanelReader weights(Value panel, Value quad) {
    return PanelReader(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
  }
  /// Factors of four columns of w, and offsets that are added after them. Null: none.
  struct Scaling {
    Value factor, offset;
  };
  /// The scaling of row k of w, if scales differ along k. Other scales multiply the sums.
  Scaling scalesInside(Value panel, Value quad, Value k);
  /// Scales four columns of a row.
  Value scaled(Value line, const Scaling &scaling) {
    if (!scaling.factor) return line;
    return scaling.offset ? b.fma(line, scaling.factor, scaling.offset) : b.mul(line, scaling.factor);
  }

  /// Rows [k, k + 4) of the quad's columns of a panel.
  struct Place {
    Value panel, quad, k;
  };
  /// sums += a[:, k .. k + count) w[k .. k + count, :], count at most 4.
  void multiplyAdd(std::span<const Variable> sums, std::span<const Row> rows, PanelReader &w,
                   const Place &place, uint32_t count);

  // --- what a workgroup does

  /// Panels over the workgroups in x, tiles of rows over those in y.
  void forTiles(const std::function<void(Value panel, Value first_row)> &body);
  void forRows(const std::function<void(Value first_row)> &body);
  void forPanels(const std::function<void(Value panel)> &body);
  /// Sums of nothing: four columns of so many rows.
  std::vector<Variable> zeros(uint32_t rows);

private:
  // Four elements of a row of a at once: only where every row begins at a multiple of four words.
  bool vectorRows() const { return spec.a_stride % 4 == 0 && !e.beginsInside(0); }
  Value fourOf(const Row &row, Value k) { return e.load4(0, b.shiftRight(b.add(row.base, k), e.u(2))); }
  Value oneOf(const Row &row, Value k) { return e.load(0, b.add(row.base, k), Type::f32); }
  Value normed4(Value x, const Row &row, Value four);
  /// Each subgroup normalizes the rows for itself.
  bool bySubgroup() const { return variant.subgroup || variant.kind == MatmulVariant::lanes; }
  using Term = std::function<Value(const Row &, Value)>;
  std::vector<Value> totals(std::span<const Row> rows, const Term &term);
  std::vector<Value> reduced(const std::vector<Value> &mine);
  void store(Value row, const Column &column, Value x);
};

void directMatmul(PackedMatmul &matmul);
constexpr uint32_t kLanesInvocations = 128; ///< of a workgroup
void lanesMatmul(PackedMatmul &matmul);
/// Rows of workgroups along y, each of 16 invocations: of the tiled and the half variant.
constexpr uint32_t kMatmulTileY = 8;
void tiledMatmul(PackedMatmul &matmul);
void halfMatmul(PackedMatmul &matmul);
constexpr uint32_t kMatrixSubgroups = 4; ///< of a workgroup
void matrixMatmul(PackedMatmul &matmul);

} // namespace linnet::vulkan
