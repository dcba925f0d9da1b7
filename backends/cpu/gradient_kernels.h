// Generators of the kernels that only training needs. Conventions as in kernels.h.
#pragma once
#include "backends/common/training.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

/// Rows of logits; args {logits, labels, out}. A label below 0 gives 0; one beyond the columns reads the
/// last.
KernelSource crossEntropyKernel(const RowSpec &spec);
/// args {logits, labels, gradient, out}; out may be logits.
KernelSource crossEntropyGradKernel(const RowSpec &spec);
/// args {x, gain, gradient, out}; spec as of layerNormKernel.
KernelSource layerNormGradKernel(const RowSpec &spec);

/// args {x, key (2, i32), out}; out may be x. Items are elements.
using backend::DropoutSpec;
KernelSource dropoutKernel(const DropoutSpec &spec);

/// out[n] = accumulator[n] + sum_i x[i, n], i < rows in order; args {accumulator, x, out}, out may be the
/// accumulator. Items are columns.
struct SumRowsSpec {
  Extent rows, columns;
};
KernelSource sumRowsKernel(const SumRowsSpec &spec);

/// table[ids[i], c] += rows[i, c] for i < count in order; args {table, ids, rows}. Items are columns, so that
/// no two threads add to one element. Ids are clamped to the table.
struct ScatterAddSpec {
  int64_t table_rows;
  Extent count, columns;
};
KernelSource scatterAddKernel(const ScatterAddSpec &spec);

/// Gradients of attention without past; args {q, k, v, gradient, length, dq, dk, dv}, all dense; length is
/// not read when !length. Items are heads b * H + h. For each query the scores are computed again; no T x S
/// matrix.
struct AttentionGradSpec {
  Extent queries, heads, capacity;
  int64_t head_size, largest_capacity;
  float scale = 1;
  bool causal = true, length = false;
};
KernelSource attentionGradKernel(const AttentionGradSpec &spec);

/// args {gradient, length, out}; items are elements of out (B, T, C).
KernelSource poolGradKernel(const PoolSpec &spec);

/// args {param, gradient, m, v, lr, scale, m_scale, v_scale, start, new_param, cleared, new_m, new_v}; each
/// result may be its operand. Items are elements.
using backend::AdamWSpec;
KernelSource adamwKernel(const AdamWSpec &spec);

} // namespace linnet::cpu
