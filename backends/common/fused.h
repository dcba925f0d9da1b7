// What backends share when they lower linnet.fused: the region's name, the shape that it is computed at.
#pragma once
#include "backends/common/kernel_types.h"
#include "ir/Linnet.h"

#include <string>
#include <vector>

namespace linnet::backend {

/// "fused_add_gelu_1a2b3c4d": what it does at a glance, and a hash of the region's text that tells all.
std::string nameOfRegion(ir::FusedOp op);

/// The shape that a region is computed at: its results', or, where it reduces, what its inputs broadcast to.
struct RegionShape {
  mlir::RankedTensorType type;
  bool reduces = false; ///< the last dimension; one element is its own sum and needs no reduction
};
RegionShape shapeOfRegion(ir::FusedOp op);

/// The shape of an elementwise computation while it is gathered, dimensions of size 1 left out.
struct MergedShape {
  Extents extents;
  std::vector<uint32_t> flags; ///< bit i: input i has size 1 here
  std::vector<bool> border;    ///< dimensions do not merge across the beginning of this one

  /// Neighbours that every input treats alike as one. Sets bit d of broadcast[i] where input i has size 1 in
  /// dimension d of the result.
  Extents merge(std::vector<uint32_t> &broadcast) const;
};

} // namespace linnet::backend
