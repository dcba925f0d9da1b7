// From kernels to machine code: one LLVM module for each instruction set, optimized, emitted and linked in
// process.
#pragma once
#include "backends/common/kernel_text.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/kernel.h"
#include "support/result.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cpu {

/// Relocatable object with all `kernels` for `isa`. Kernels have distinct names.
Result<std::string> compileKernels(std::span<const KernelSource> kernels, const Isa &isa,
                                   const KernelListener &listener = {});

/// A shared object without dependencies that exports what `object` defines. An undefined symbol is an error.
Result<std::string> linkShared(const std::string &object, const Isa &isa);

/// Both for each instruction set, in parallel: images[i] is for isas[i]. Empty where it would be that of the
/// next one, as isas[i] only extends it and no kernel uses what it has more.
Result<std::vector<std::string>> buildImages(std::span<const KernelSource> kernels, std::span<const Isa> isas,
                                             const KernelListener &listener = {});

} // namespace linnet::cpu
