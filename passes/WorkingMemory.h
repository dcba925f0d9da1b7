// Working memory: what a command needs of the arena while it runs, besides its operands and results. The
// passes place it (linnet.working in passes/Plan.h) and the backends lay it out, both by the sizes that are
// defined here, so that the plan has all that a run uses.
#pragma once
#include <cstdint>

namespace mlir {
class Operation;
}

namespace linnet {

/// cpu: a row of `k` activations as integers, to multiply weights by that have a scale for each `group` rows
/// (0: one for all). Room for two planes of bytes, a factor and sums; never less than the floats it is made
/// of.
int64_t integerRowBytes(int64_t k, int64_t group);

/// vulkan: how the work of few rows is shared among workgroups.
namespace sharing {
constexpr int64_t kFillingGroups = 128; ///< workgroups that keep a GPU busy
// A product of a few rows and a weight in panels.
constexpr int64_t kMostRows = 8, kSlices = 4; ///< rows; workgroups for the columns of a panel
constexpr int64_t kMostPartsOfPanel = 4;      ///< that look for a row's largest product
// Attention of a few queries.
constexpr int64_t kMostQueries = 7, kLeastKeys = 128; ///< queries of a call; keys of a workgroup
constexpr int64_t kStatistics = 3;                    ///< floats for each query of attention's gradient

/// Workgroups along k, where `panels` are too few to fill a GPU and k is long enough.
int64_t piecesOfProduct(int64_t panels, int64_t k);
/// Workgroups that share the keys of a query; 1: they are not shared.
int64_t partsOfAttention(int64_t heads, int64_t capacity);
inline int64_t bytesOfPart(int64_t head_size) { return 4 * (head_size + 2); }
} // namespace sharing

/// Bytes that `op` needs on the target, at its entry's bounds; 0: none. For TargetDescription.
int64_t cpuWorkingBytes(mlir::Operation *op);
int64_t vulkanWorkingBytes(mlir::Operation *op);

} // namespace linnet
