#include "passes/RewriteAction.h"

#include "mlir/IR/MLIRContext.h"

MLIR_DEFINE_EXPLICIT_TYPE_ID(linnet::RewriteAction)

namespace linnet {

void rewrite(mlir::Operation *op, llvm::StringRef name, llvm::function_ref<void()> change) {
  op->getContext()->executeAction<RewriteAction>(change, {mlir::IRUnit(op)}, name);
}

} // namespace linnet
