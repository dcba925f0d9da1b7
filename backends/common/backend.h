// The seam between the compiler and its backends. A backend is a folder that derives from Backend, and one
// line that registers it (compiler/backends.cpp). docs/adding-a-backend.md walks through one.
#pragma once
#include "backends/common/kernel_text.h"
#include "backends/common/weights.h"
#include "passes/Target.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct LowerOptions {
  std::string argument;    ///< follows the colon of `--target NAME:ARGUMENT`; may be empty
  KernelListener listener; ///< if set, receives the text of each kernel
  bool onednn = true;      ///< whether commands of the cpu may call oneDNN
};

class Backend {
public:
  virtual ~Backend() = default;

  /// Describes this target to the passes. Lives as long as the program.
  virtual const TargetDescription &description() const = 0;
  /// An error unless `argument` may follow the colon of `--target NAME:ARGUMENT`. Empty is always allowed.
  virtual Result<void> checkArgument(const std::string &argument) const;
  /// The argument that restricts the code to this machine's processor; empty: the target has no such
  /// argument.
  virtual std::string localArgument() const { return ""; }
  /// Whether `linnet compile --emit STAGE` can print this backend's code ("llvm", "spirv"): the texts about
  /// all kernels that the listener receives, or each kernel's if there are none. `argument` is the target's.
  virtual bool emits(std::string_view stage, const std::string &argument) const { return false; }

  /// The program of a module that the pass pipeline planned for this target (passes/Plan.h). Weights stream
  /// from `weights` into `blobs`, then the code. The error names the op and its location if an op, a type or
  /// a form of an operand is not supported.
  virtual Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                     const LowerOptions &options) const = 0;
};

/// Makes the backend and its description known. A later backend of the same name replaces an earlier one.
void registerBackend(std::unique_ptr<Backend> backend);
/// The backend of target `name`, or null.
const Backend *findBackend(std::string_view name);
/// All of them, in the order of their registration.
std::vector<const Backend *> backends();

} // namespace linnet
