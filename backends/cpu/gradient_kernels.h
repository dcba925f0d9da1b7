// Generators of kernels that only training needs. kernels.h has the conventions, backends/common/specs the formulas and
// operands.
#pragma once
#include "backends/common/specs/training.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

KernelSource crossEntropyKernel(const CrossEntropySpec &spec);         ///< items are rows
KernelSource crossEntropyGradKernel(const CrossEntropyGradSpec &spec); ///< items are rows
KernelSource layerNormGradKernel(const LayerNormGradSpec &spec);       ///< items are rows
KernelSource dropoutKernel(const DropoutSpec &spec);                   ///< items are elements
KernelSource sumRowsKernel(const SumRowsSpec &spec);                   ///< items are columns
/// Items are columns, so that no two threads add to the same element.
KernelSource scatterAddKernel(const ScatterAddSpec &spec);
/// Items are heads b * H + h. Computes the scores of each query again, without a T x S matrix. Keys are at most
/// `largest_capacity`.
KernelSource attentionGradKernel(const AttentionGradSpec &spec, int64_t largest_capacity);
KernelSource poolGradKernel(const PoolGradSpec &spec); ///< items are elements
KernelSource adamwKernel(const AdamWSpec &spec);       ///< items are elements

} // namespace linnet::cpu
