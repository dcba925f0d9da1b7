// Generators of kernels that only training needs. backends/common/specs has the formulas and operands. With `in_parts`,
// the operands listed as "cut" may be bound in parts; firstUnit() and unitCount() are then the units of a part.
// Otherwise operands are bound whole, and a dispatch may still have only some of the units.
#pragma once
#include "backends/common/specs/training.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

// Units are rows; a workgroup computes one. Cut: logits, and the gradient's out.
Kernel crossEntropyKernel(const CrossEntropySpec &spec, const Operands &where, bool in_parts);
Kernel crossEntropyGradKernel(const CrossEntropyGradSpec &spec, const Operands &where, bool in_parts);

/// Units are elements. Cut: x and out.
Kernel dropoutKernel(const DropoutSpec &spec, const Operands &where, bool in_parts);

/// Units are rows of the table; a workgroup computes one. It reads all rows with its id, so that no two invocations add
/// to the same element. Cut: table.
Kernel scatterAddKernel(const ScatterAddSpec &spec, const Operands &where, bool in_parts);

// Gradients of attention in two kernels. The first computes each query's row of dq, the second each key's rows of dk
// and dv. Both compute the scores again, without a T x S matrix. For each query (b, h, t) the first kernel stores three
// numbers for the second: the largest score, the inverse of the sum of weights, and the mean of gradient . v. Variants
// for drivers that run on a CPU read the first four operands as texels. Their head size is a multiple of four.
constexpr int64_t kQueryStatistics = 3; ///< f32 elements
/// Operands {q, k, v, gradient, statistics, dq, length?}. A workgroup computes one query (b, h, t).
Kernel attentionQueryGradKernel(const AttentionGradSpec &spec, const Operands &where = {});
/// Operands {q, k, v, gradient, statistics, dk, dv, length?}. A workgroup computes one key (b, h, j).
Kernel attentionKeyGradKernel(const AttentionGradSpec &spec, const Operands &where = {});

/// Units are elements. Cut: all operands except lr and the scales. With `in_place`, there are no operands for the
/// results, which are in the memory of param, gradient, m and v.
Kernel adamwKernel(const AdamWSpec &spec, const Operands &where, bool in_parts, bool in_place);

} // namespace linnet::vulkan
