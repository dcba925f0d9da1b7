// Generators of the kernels that only training needs. Conventions as in kernels.h; meaning and operands:
// backends/common/specs.
#pragma once
#include "backends/common/specs/training.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

KernelSource crossEntropyKernel(const CrossEntropySpec &spec);         ///< rows
KernelSource crossEntropyGradKernel(const CrossEntropyGradSpec &spec); ///< rows
KernelSource layerNormGradKernel(const LayerNormGradSpec &spec);       ///< rows
KernelSource dropoutKernel(const DropoutSpec &spec);                   ///< elements
KernelSource sumRowsKernel(const SumRowsSpec &spec);                   ///< columns
/// columns, so that no two threads add to one element
KernelSource scatterAddKernel(const ScatterAddSpec &spec);
/// heads b * H + h. For each query the scores are computed again; no T x S matrix. At most `largest_capacity` keys.
KernelSource attentionGradKernel(const AttentionGradSpec &spec, int64_t largest_capacity);
KernelSource poolGradKernel(const PoolGradSpec &spec); ///< elements
KernelSource adamwKernel(const AdamWSpec &spec);       ///< elements

} // namespace linnet::cpu
