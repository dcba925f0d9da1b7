// Reading a matrix that is packed in panels (#linnet.panel).
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

/// Element (k, n), f32 or i32, of the matrix that is operand `operand`, whose first panel there is number
/// `first`.
Value panelElement(Emitter &e, const PanelSpec &spec, OperandNumber operand, Value first, Value k, Value n);

/// Reads one panel, four neighbouring columns at a time. `quad`: which four of the panel (n_block / 4 of
/// them); neighbouring quads lie side by side.
class PanelReader {
public:
  /// `panel` is a panel's number within the operand's memory.
  PanelReader(Emitter &e, const PanelSpec &spec, uint32_t operand, Value panel, Value quad);
  /// Rows [k, k + 4) of the four columns as vectors of f32; k is a multiple of 4.
  std::array<Value, 4> rows4(Value k);

private:
  Emitter &e;
  const PanelSpec &spec;
  uint32_t operand;
  Value base; ///< of the panel's row 0 at `quad`, in units of what one load takes
};

} // namespace linnet::vulkan
