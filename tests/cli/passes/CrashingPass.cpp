// A plugin with a pass that ends its process at the second layer norm that it sees:
// test-crash{how=null|stack|abort|exit}.
#include "ir/Linnet.h"
#include "passes/RewriteAction.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

#include <cstdlib>

using namespace mlir;

namespace {

int deeper(volatile int *from) {
  volatile int here[1024];
  here[0] = *from + 1;
  return deeper(here) + here[0];
}

struct CrashingPass : PassWrapper<CrashingPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CrashingPass)
  CrashingPass() = default;
  CrashingPass(const CrashingPass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "test-crash"; }
  StringRef getDescription() const override { return "ends its process"; }

  void runOnOperation() override {
    int seen = 0;
    getOperation().walk([&](linnet::ir::LayerNormOp op) {
      linnet::rewrite(op, "mark", [&] {
        if (++seen == 2) end();
        op->setAttr("marked", UnitAttr::get(&getContext()));
      });
    });
  }

  void end() {
    volatile int zero = 0;
    if (how == "null") *static_cast<volatile int *>(nullptr) = 1;
    if (how == "stack") deeper(&zero);
    if (how == "exit") std::exit(3);
    llvm::errs() << "operand 3 has no type\n";
    std::abort();
  }

  Option<std::string> how{*this, "how", llvm::cl::init("abort")};
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "crashing-pass", "1.0", [] { PassRegistration<CrashingPass>(); }};
}
