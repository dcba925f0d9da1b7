// The cpu backend's door: a planned module of the linnet dialect becomes a Program.
//
//   fb::ProgramT program = *lowerToCpu(module, checkpoint, sink, {});
//
// `planned`: what the pass pipeline makes for target "cpu" (passes/Plan.h). Each op becomes a command that
// calls a kernel generated for it; equal kernels are one. Weights stream from `weights` through packing into
// `sink`, then the machine code, one ELF image for each instruction set. Nothing of a weight is held but a
// few panels.
#pragma once
#include "backends/common/weights.h"
#include "backends/cpu/codegen.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

struct CpuOptions {
  std::string isas;                ///< see cpu::selectIsas: "" = every level, "native", or names
  uint32_t crossover = UINT32_MAX; ///< rows above which the runtime prefers its library's matmul: never
  uint32_t bf16_crossover = 64;    ///< the same beside weights in bf16, where the processor has AMX
  bool onednn = true;              ///< false: no command calls that library
  KernelListener listener = {};    ///< if set, receives each kernel's IR, each level's IR and assembly
};

/// The error names the op and its location where an op, a type or a form of an operand is not supported.
Result<fb::ProgramT> lowerToCpu(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                const CpuOptions &options = {});

} // namespace linnet
