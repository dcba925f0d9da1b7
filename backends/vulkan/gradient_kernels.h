// Generators of the kernels that only training needs. Conventions as in kernels.h; all floats are f32.
// `in_parts`: the operands named "cut" may be bound in parts, whose units firstUnit() and unitCount() say;
// without, they are bound whole, and a dispatch may still have only some of the units.
#pragma once
#include "backends/common/training.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

using backend::AdamWSpec;
using backend::DropoutSpec;

/// Rows of logits, units are rows, one a workgroup; cut: logits and the gradient's out. A label below 0 gives
/// 0; one beyond the columns is the last.
struct CrossEntropySpec {
  Extent columns;
  bool in_parts = false;
  Operands where = {};
};
/// Operands {logits, labels, out}.
Kernel crossEntropyKernel(const CrossEntropySpec &spec);
/// Operands {logits, labels, gradient, out}; out may be logits.
Kernel crossEntropyGradKernel(const CrossEntropySpec &spec);

/// Operands {x, gain, gradient, out}; rows, one a workgroup.
Kernel layerNormGradKernel(const RowSpec &spec);

/// Operands {x, key (2, i32), out}; out may be x. Units are elements; cut: x and out.
struct VulkanDropoutSpec : DropoutSpec {
  bool in_parts = false;
  Operands where = {};
};
Kernel dropoutKernel(const VulkanDropoutSpec &spec);

/// out[n] = accumulator[n] + sum_i x[i, n]; operands {accumulator, x, out}, out may be the accumulator. A
/// workgroup sums kColumns columns, each in kSlices sums that are added in order.
struct SumRowsSpec {
  static constexpr uint32_t kColumns = 16, kSlices = 8;
  Extent rows, columns;
  Operands where = {};
};
Kernel sumRowsKernel(const SumRowsSpec &spec);

/// table[ids[i], c] += rows[i, c] for i < count in order. Units are rows of the table, one a workgroup, which
/// gathers what is for it: no two invocations add to one element. Operands {ids, rows, table}; cut: table.
/// Ids are clamped to the table.
struct ScatterAddSpec {
  int64_t table_rows;
  Extent count, columns;
  bool in_parts = false;
  Operands where = {};
};
Kernel scatterAddKernel(const ScatterAddSpec &spec);

/// Gradients of attention without past, all dense, in two kernels: each query's row of dq, then each key's
/// rows of dk and dv. Both compute the scores again; no T x S matrix. The first leaves what the second needs
/// of each query (b, h, t): the largest score, the inverse of the sum of the weights, the mean of gradient .
/// v. With the first four operands as texels, for a head size of a multiple of four, they are for drivers
/// that run on a CPU.
struct AttentionGradSpec {
  static constexpr int64_t kStatistics = 3; ///< f32, of a query
  Extent batch, queries, heads, capacity;
  int64_t head_size;
  float scale = 1;
  bool causal = true, length = false;
  Operands where = {};
};
/// Operands {q, k, v, gradient, statistics, dq, length?}, a query (b, h, t) a workgroup.
Kernel attentionQueryGradKernel(const AttentionGradSpec &spec);
/// Operands {q, k, v, gradient, statistics, dk, dv, length?}, a key (b, h, j) a workgroup.
Kernel attentionKeyGradKernel(const AttentionGradSpec &spec);

/// Operands {gradient, length, out}; items are elements of out (B, T, C).
Kernel poolGradKernel(const PoolSpec &spec);

/// Operands {param, gradient, m, v, scale, lr, m_scale, v_scale, start?}, and, unless they are the first four
/// themselves (`in_place`), {new_param, cleared, new_m, new_v}. Units are elements; cut: all but scale, lr,
/// m_scale and v_scale.
struct VulkanAdamWSpec : AdamWSpec {
  bool in_place = true, in_parts = false;
  Operands where = {};
};
Kernel adamwKernel(const VulkanAdamWSpec &spec);

} // namespace linnet::vulkan
