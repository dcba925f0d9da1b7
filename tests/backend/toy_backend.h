// A whole backend: it counts the ops that it lowers, and its device is the interpreter.
// docs/adding-a-backend.md walks through this file.
#pragma once
#include "backends/common/backend.h"
#include "backends/reference/device.h"
#include "backends/reference/program.h"

#include <map>
#include <string>

namespace linnet::testing {

class ToyBackend : public Backend {
public:
  /// `ops` receives the number of lowered ops by kind.
  explicit ToyBackend(std::map<std::string, int> &ops) : ops(ops) {}

  const TargetDescription &description() const override {
    static const TargetDescription target = {.name = "toy", .alignment = 64, .matmul_epilogue = true};
    return target;
  }
  Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                             const LowerOptions &) const override {
    planned.walk([&](mlir::Operation *op) { ++ops[op->getName().stripDialect().str()]; });
    LINNET_ASSIGN(fb::ProgramT program, reference::makeReferenceProgram(planned, weights, blobs));
    program.target = "toy";
    return std::move(program);
  }

private:
  std::map<std::string, int> &ops;
};

/// Registers the target and the device.
inline void registerToy(std::map<std::string, int> &ops) {
  registerBackend(std::make_unique<ToyBackend>(ops));
  registerDevice("toy",
                 [](std::string_view) -> Result<std::unique_ptr<Device>> { return reference::makeDevice(); });
}

} // namespace linnet::testing
