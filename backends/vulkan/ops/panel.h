// Reads a matrix that is packed in panels (#linnet.panel).
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

/// Element (k, n) of the matrix in operand `operand`, as f32 or i32. `first` is the number of the operand's first
/// panel.
Value panelElement(Emitter &e, const PanelSpec &spec, OperandNumber operand, Value first, Value k, Value n);

/// Reads one panel, four adjacent columns at a time. `quad` is the index of these columns, below n_block / 4. Adjacent
/// quads are adjacent in memory.
class PanelReader {
public:
  /// `panel` is the index of the panel in the operand.
  PanelReader(Emitter &e, const PanelSpec &spec, uint32_t operand, Value panel, Value quad);
  /// Rows [k, k + 4) of the four columns as vectors of f32; k is a multiple of 4.
  std::array<Value, 4> rows4(Value k);

private:
  Emitter &e;
  const PanelSpec &spec;
  uint32_t operand;
  Value base; ///< the index of row 0 of the quad, counted in loads
};

} // namespace linnet::vulkan
