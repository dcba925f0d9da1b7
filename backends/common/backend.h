// The interface between the compiler and its backends. A backend is a folder with a class that derives from Backend,
// and one line that registers it (compiler/backends.cpp). docs/adding-a-backend.md walks through one.
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
  std::string argument;    ///< the text after the colon of `--target NAME:ARGUMENT`; may be empty
  KernelListener listener; ///< if set, receives the text of each kernel
  bool onednn = true;      ///< whether commands of the cpu may call oneDNN
};

class Backend {
public:
  virtual ~Backend() = default;

  /// Describes this target to the passes. The description lives as long as the program.
  virtual const TargetDescription &description() const = 0;
  /// Returns an error unless `argument` may follow the colon of `--target NAME:ARGUMENT`. Empty is always allowed.
  virtual Result<void> checkArgument(const std::string &argument) const;
  /// Returns the argument that restricts the code to this machine's processor. Empty if the target has no such
  /// argument.
  virtual std::string localArgument() const { return ""; }
  /// Whether `linnet compile --emit STAGE` can print this backend's code ("llvm", "spirv"). It prints the texts about
  /// all kernels that the listener receives, or each kernel's text if there are none. `argument` is the target's.
  virtual bool emits(std::string_view stage, const std::string &argument) const { return false; }

  /// Lowers a module that the pass pipeline planned for this target (passes/Plan.h). Writes the weights from `weights`
  /// to `blobs`, then the code. If an op, a type or a form of an operand is not supported, the error names the op and
  /// its location.
  virtual Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                     const LowerOptions &options) const = 0;
};

/// Registers the backend and its description. A later backend of the same name replaces an earlier one.
void registerBackend(std::unique_ptr<Backend> backend);
/// The backend of target `name`, or null.
const Backend *findBackend(std::string_view name);
/// All registered backends, in the order of their registration.
std::vector<const Backend *> backends();

} // namespace linnet
