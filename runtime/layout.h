// The text form of a weight's layout: "" is row-major, "panel<16x64>" is packed column panels.
#pragma once
#include "linnet/api.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet {

/// Panels of n_block columns in blocks of k_block rows, with `interleave` consecutive k of a column adjacent.
/// Edges are padded with zeros. `transposed`: the weight's shape is [N, K]. docs/artifact-format.md has the
/// formula.
struct PanelLayout {
  int64_t k_block = 16, n_block = 64, interleave = 1;
  bool transposed = false;

  int64_t panels(int64_t n) const { return (n + n_block - 1) / n_block; }
  /// Elements of a packed K x N matrix, padding included.
  int64_t elements(int64_t k, int64_t n) const {
    return panels(n) * ((k + k_block - 1) / k_block) * k_block * n_block;
  }
};

/// Parses panel<16x64>, panel<16x64, interleave = 2> or panel<16x64, transposed>. Nothing for other texts.
LINNET_API std::optional<PanelLayout> parsePanelLayout(std::string_view text);

} // namespace linnet
