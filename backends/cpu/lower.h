// The entry point of the cpu backend: lowers a planned module of the linnet dialect to a Program.
//
//   fb::ProgramT program = *lowerToCpu(module, checkpoint, sink, {});
//
// `planned` is the module after the pass pipeline for target "cpu" (passes/Plan.h). Each op becomes a command that
// calls a generated kernel; equal kernels are generated once. Weights are packed and written to `sink`, then the
// machine code, one ELF image for each instruction set. Lowering holds only a few panels of a weight at a time.
#pragma once
#include "backends/common/weights.h"
#include "backends/cpu/codegen.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

struct CpuOptions {
  std::string isas; ///< see cpu::selectIsas: "" for every level, "native", or names
  /// with more rows, the runtime uses its matmul library; the default is never
  uint32_t crossover = UINT32_MAX;
  uint32_t bf16_crossover = 64; ///< the same for weights in bf16, on processors with AMX
  bool onednn = true;           ///< false: no command calls that library
  KernelListener listener = {}; ///< if set, receives each kernel's IR, and each level's IR and assembly
};

/// If an op, a type or a form of an operand is not supported, the error names the op and its location.
Result<fb::ProgramT> lowerToCpu(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                const CpuOptions &options = {});

} // namespace linnet
