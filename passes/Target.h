// What the passes know of a target. A backend describes itself with one of these; no pass asks for its name.
#pragma once
#include "ir/Linnet.h"

#include <optional>
#include <string>
#include <vector>

namespace linnet {

/// A packed layout for matmul's constant operand: panels of n_block columns, rows in blocks of k_block,
/// `interleave` consecutive rows together (see #linnet.panel).
struct PanelShape {
  int64_t k_block, n_block, interleave;
};

struct TargetDescription {
  std::string name;
  /// Slots begin at multiples of this many bytes.
  int64_t alignment = 64;
  /// Epilogues run inside matmul: bias, activation, residual.
  bool matmul_epilogue = false;
  /// Elementwise trees run as one kernel.
  bool fused_elementwise = false;
  /// linnet.attention is one kernel.
  bool attention = false;
  /// matmul multiplies many rows faster by integers when they are rounded to bytes (int8_rows).
  bool int8_rows = false;
  /// attention of several queries multiplies bf16 faster (bf16_rows).
  bool bf16_attention = false;
  /// matmul reads its lhs in bf16 beside weights in bf16.
  bool bf16_lhs = false;
  /// Slices stay views where their users allow it (acceptsStridedRows), and caches are updated in place.
  bool views = false;
  bool in_place_caches = false;
  /// Runs of ops that linnet-join marks are one command where they have little to do.
  bool joins = false;
  /// Its device decodes many tokens without the host in between, so that language models get an entry that
  /// draws tokens.
  bool decodes = false;
  /// Types of fewer bits than f32 that weights can be stored in (PipelineSpec::dtype), those first that a
  /// token is decoded the fastest with; of equally fast ones what prompts are faster with, then what is more
  /// exact.
  std::vector<std::string> fastest_dtypes = {"int4", "int8", "bf16", "f16"};
  /// The layout that matmul wants its weights in, by element type; nothing: row-major.
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

/// Makes a target known to passes. The description must live as long as the program; a later one of the same
/// name replaces an earlier one. Backends do this (backends/common/backend.h), before any compilation starts.
void registerTarget(const TargetDescription &target);
/// The description of `name`, whose part after a colon is ignored; null if no backend registered it.
const TargetDescription *findTarget(llvm::StringRef name);
/// The registered names, "cpu, vulkan, reference", for messages.
std::string targetNames();

} // namespace linnet
