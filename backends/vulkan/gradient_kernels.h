// Generators of the kernels that only training needs. Meaning and operands: backends/common/specs.
// `in_parts`: the operands named "cut" may be bound in parts; firstUnit() and unitCount() tell which units a part has.
// Otherwise they are bound whole, and a dispatch may still have only some of the units.
#pragma once
#include "backends/common/specs/training.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

// Units are rows, one a workgroup; cut: logits and the gradient's out.
Kernel crossEntropyKernel(const CrossEntropySpec &spec, const Operands &where, bool in_parts);
Kernel crossEntropyGradKernel(const CrossEntropyGradSpec &spec, const Operands &where, bool in_parts);

/// Rows, one a workgroup.
Kernel layerNormGradKernel(const LayerNormGradSpec &spec, const Operands &where = {});

/// Units are elements; cut: x and out.
Kernel dropoutKernel(const DropoutSpec &spec, const Operands &where, bool in_parts);

/// A workgroup sums kSummedColumns columns, each in kSummedSlices sums that are added in order.
constexpr uint32_t kSummedColumns = 16, kSummedSlices = 8;
Kernel sumRowsKernel(const SumRowsSpec &spec, const Operands &where = {});

/// Units are rows of the table, one per workgroup. A workgroup gathers the rows with its id, so that no two
/// invocations add to one element. Cut: table.
Kernel scatterAddKernel(const ScatterAddSpec &spec, const Operands &where, bool in_parts);

// Gradients of attention in two kernels: each query's row of dq, then each key's rows of dk and dv. Both compute the
// scores again; no T x S matrix. The first stores three numbers per query (b, h, t) for the second: the largest score,
// the inverse of the sum of the weights, the mean of gradient . v. Variants for drivers that run on a CPU read the
// first four operands as texels; their head size is a multiple of four.
constexpr int64_t kQueryStatistics = 3; ///< f32
/// Operands {q, k, v, gradient, statistics, dq, length?}, a query (b, h, t) a workgroup.
Kernel attentionQueryGradKernel(const AttentionGradSpec &spec, const Operands &where = {});
/// Operands {q, k, v, gradient, statistics, dk, dv, length?}, a key (b, h, j) a workgroup.
Kernel attentionKeyGradKernel(const AttentionGradSpec &spec, const Operands &where = {});

/// Items are elements.
Kernel poolGradKernel(const PoolGradSpec &spec, const Operands &where = {});

/// Units are elements; cut: all but lr and the scales. `in_place`: there are no operands for the results, which are in
/// the memory of param, gradient, m and v.
Kernel adamwKernel(const AdamWSpec &spec, const Operands &where, bool in_parts, bool in_place);

} // namespace linnet::vulkan
