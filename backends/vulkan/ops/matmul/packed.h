// The parts that all variants of the packed matmul share. Each variant is a function in its own file: direct.cpp,
// lanes.cpp, tiled.cpp, half.cpp, matrix.cpp. Rows and their normalization: rows.cpp. Epilogue: output.cpp.
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/ops/matmul/argmax.h"
#include "backends/vulkan/ops/panel.h"

#include <array>
#include <optional>
#include <span>

namespace linnet::vulkan {

struct PackedMatmul {
  Emitter &e;
  const PackedMatmulSpec &spec;
  const MatmulVariant &variant;
  Builder &b = e.b;
  Shared scratch = {}; ///< sums over rows, one element for each invocation
  std::optional<MatmulArgmax> argmax = {};

  /// Invocations in x for a whole panel; each owns four columns.
  static constexpr uint32_t kQuads = 16;
  /// Invocations in x for a slice of a panel, in direct and lanes variants.
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
  /// Operands of workgroups that share k. Kernels with these operands have no token.
  uint32_t partsOperand() const { return tokenOperand(); }
  static uint32_t operands(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
    return 3u + spec.scaled + spec.bias + spec.residual + (spec.norm ? 2u : 0u) + spec.selects() +
           (spec.argmax ? 3u : 0u) + (variant.pieces > 1 ? 2u : 0u);
  }

  // --- rows.cpp

  /// The index of a row's first element in a, and the factors of its normalization, null without one.
  struct Row {
    Value base, mean, inverse;
  };
  /// The tile's rows from `first` on. With a norm, each workgroup or subgroup computes the moments of its rows again.
  std::vector<Row> rowsOf(Value first);
  /// Row `row` of a, without normalization.
  Row plainRow(Value row) { return {b.mul(row, e.u(uint64_t(spec.a_stride))), {}, {}}; }
  /// Elements a[row, k .. k + 4), or a[row, k], after normalization. They are the same for all columns of a workgroup.
  std::array<Value, 4> activations(const Row &row, Value k);
  Value activation(const Row &row, Value k);
  /// The index of the sequence's last valid row among all rows.
  Value lastOf(Value sequence);
  Value clampedRow(Value first, uint32_t r);

  // --- output.cpp: code in loops, so that a driver compiles it once

  /// A column of the result, and the values that all of its elements share.
  struct Column {
    Value number, scale, bias;
  };
  /// Calls body for column `at` of the panel if the result has that column.
  void withColumn(Value panel, Value at, const std::function<void(const Column &)> &body);
  /// Stores an element if the result has its row.
  void storeInside(Value row, const Column &column, Value x);
  /// Stores four columns of consecutive rows. They pass through elements of `scratch` from `own` on, which belong to
  /// this invocation.
  template <class Array>
  void storeBlock(Array scratch, Value own, Value first, Value panel, Value quad,
                  std::span<const Variable> sums);

  // --- the weight

  /// A reader of four columns of a panel.
  PanelReader weights(Value panel, Value quad) {
    return PanelReader(e, spec.w, 2, b.sub(panel, e.firstUnit()), quad);
  }
  /// Factors of four columns of w, and offsets that are added after the multiplication. Null if there are none.
  struct Scaling {
    Value factor, offset;
  };
  /// The scaling of row k of w, if scales differ along k. Otherwise null: the scale then multiplies the sums.
  Scaling scalesInside(Value panel, Value quad, Value k);
  /// Scales four columns of a row of w.
  Value scaled(Value line, const Scaling &scaling) {
    if (!scaling.factor) return line;
    return scaling.offset ? b.fma(line, scaling.factor, scaling.offset) : b.mul(line, scaling.factor);
  }

  /// Rows [k, k + 4) of four columns of a panel.
  struct Place {
    Value panel, quad, k;
  };
  /// sums += a[:, k .. k + count) w[k .. k + count, :]. count is at most 4.
  void multiplyAdd(std::span<const Variable> sums, std::span<const Row> rows, PanelReader &w,
                   const Place &place, uint32_t count);

  // --- distribution over workgroups

  /// Distributes panels over workgroups in x and tiles of rows over workgroups in y.
  void forTiles(const std::function<void(Value panel, Value first_row)> &body);
  void forRows(const std::function<void(Value first_row)> &body);
  void forPanels(const std::function<void(Value panel)> &body);
  /// Zero sums of four columns for each of `rows` rows.
  std::vector<Variable> zeros(uint32_t rows);

private:
  // Whether rows of a begin at multiples of four words, so that four elements can be loaded at once.
  bool vectorRows() const { return spec.a_stride % 4 == 0 && !e.beginsInside(0); }
  Value fourOf(const Row &row, Value k) { return e.load4(0, b.shiftRight(b.add(row.base, k), e.u(2))); }
  Value oneOf(const Row &row, Value k) { return e.load(0, b.add(row.base, k), Type::f32); }
  Value normed4(Value x, const Row &row, Value four);
  /// Whether each subgroup computes the moments of rows itself.
  bool bySubgroup() const { return variant.subgroup || variant.kind == MatmulVariant::lanes; }
  using Term = std::function<Value(const Row &, Value)>;
  std::vector<Value> totals(std::span<const Row> rows, const Term &term);
  std::vector<Value> reduced(const std::vector<Value> &mine);
  void store(Value row, const Column &column, Value x);
};

void directMatmul(PackedMatmul &matmul);
constexpr uint32_t kLanesInvocations = 128; ///< invocations of a workgroup
void lanesMatmul(PackedMatmul &matmul);
/// Invocations in y of the tiled and half variants; there are 16 in x.
constexpr uint32_t kMatmulTileY = 8;
void tiledMatmul(PackedMatmul &matmul);
void halfMatmul(PackedMatmul &matmul);
constexpr uint32_t kMatrixSubgroups = 4; ///< subgroups of a workgroup
void matrixMatmul(PackedMatmul &matmul);

} // namespace linnet::vulkan
