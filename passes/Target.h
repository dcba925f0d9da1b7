// The properties of a target that passes use. Each backend registers one description. No pass compares names.
#pragma once
#include "ir/Linnet.h"

#include <optional>
#include <string>
#include <vector>

namespace linnet {

/// A packed layout of matmul's constant operand: panels of n_block columns, rows in blocks of k_block,
/// `interleave` consecutive rows of a column adjacent (see #linnet.panel).
struct PanelShape {
  int64_t k_block, n_block, interleave;
};

struct TargetDescription {
  std::string name;
  /// Alignment of slots in bytes.
  int64_t alignment = 64;
  /// matmul has a kernel with an epilogue: bias, activation, residual.
  bool matmul_epilogue = false;
  /// An elementwise tree is one kernel.
  bool fused_elementwise = false;
  /// linnet.attention is one kernel.
  bool attention = false;
  /// matmul of many rows by integers is faster if the rows are rounded to bytes (int8_rows).
  bool int8_rows = false;
  /// attention of several queries is faster in bf16 (bf16_rows).
  bool bf16_attention = false;
  /// matmul reads its lhs in bf16 if the weights are bf16.
  bool bf16_lhs = false;
  /// Slices stay views if their users allow it (acceptsStridedRows).
  bool views = false;
  /// Caches are updated in place.
  bool in_place_caches = false;
  /// The runs of ops that linnet-join marks can be one command.
  bool joins = false;
  /// The device decodes many tokens without the host. Language models then get an entry that samples tokens.
  bool decodes = false;
  /// Types of weights narrower than f32 (PipelineSpec::dtype), the fastest for decoding first. Ties are
  /// ordered by the speed of prompts, then by accuracy.
  std::vector<std::string> fastest_dtypes = {"int4", "int8", "bf16", "f16"};
  /// The layout of matmul's weights by element type; nothing means row-major.
  std::optional<PanelShape> (*panel)(mlir::Type element) = nullptr;
  /// Whether `embed` reads the rows of a table packed for a matmul with transpose_rhs.
  bool embed_reads_panels = false;
  /// Whether operand `operand` of `op` may be rows of `row` consecutive elements with a gap between rows.
  bool (*accepts_strided_rows)(mlir::Operation *op, unsigned operand, int64_t row) = nullptr;

  std::optional<PanelShape> panelFor(mlir::Type element) const {
    return panel ? panel(element) : std::nullopt;
  }
  bool acceptsStridedRows(mlir::Operation *op, unsigned operand, int64_t row) const {
    return accepts_strided_rows && accepts_strided_rows(op, operand, row);
  }
};

/// Registers a target. The description must live as long as the process. A later one of the same name
/// replaces an earlier one. Backends call this (backends/common/backend.h) before any compilation starts.
void registerTarget(const TargetDescription &target);
/// The description of `name`; null if no backend registered it. The part of `name` after a colon is ignored.
const TargetDescription *findTarget(llvm::StringRef name);
/// The registered names, "cpu, vulkan, reference", for messages.
std::string targetNames();

} // namespace linnet
