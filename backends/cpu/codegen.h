// Machine code from kernels: one LLVM module for each instruction set is optimized, emitted and linked in this process.
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

/// Returns a relocatable object with all `kernels` for `isa`. Kernels have distinct names.
Result<std::string> compileKernels(std::span<const KernelSource> kernels, const Isa &isa,
                                   const KernelListener &listener = {});

/// Returns a shared object without dependencies that exports the functions of `object`. An undefined symbol is an
/// error.
Result<std::string> linkShared(const std::string &object, const Isa &isa);

/// Compiles and links all kernels for each instruction set, in parallel. images[i] is for isas[i]. It is empty if
/// isas[i] only extends isas[i + 1] and no kernel uses the extensions: the next image is the same.
Result<std::vector<std::string>> buildImages(std::span<const KernelSource> kernels, std::span<const Isa> isas,
                                             const KernelListener &listener = {});

} // namespace linnet::cpu
