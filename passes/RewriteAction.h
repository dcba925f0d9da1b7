// An MLIR action for each change that a pass makes without a pattern driver. A debugger of passes can count
// these changes and skip some, as it can with applications of patterns (MLIR's apply-pattern action).
//
//   rewrite(op, "pack", [&] { ... });      // instead of { ... }
#pragma once
#include "mlir/IR/Action.h"
#include "mlir/IR/Operation.h"

namespace linnet {

class RewriteAction : public mlir::tracing::ActionImpl<RewriteAction> {
public:
  RewriteAction(llvm::ArrayRef<mlir::IRUnit> units, llvm::StringRef name) : ActionImpl(units), name(name) {}
  static constexpr llvm::StringLiteral tag = "linnet-rewrite";
  static constexpr llvm::StringLiteral desc = "a change that a pass makes by itself";
  void print(llvm::raw_ostream &out) const override { out << name; }

private:
  llvm::StringRef name;
};

/// Runs `change`, which modifies `op`, unless the context's action handler skips it. The pass must remain
/// correct if any of its changes are skipped.
void rewrite(mlir::Operation *op, llvm::StringRef name, llvm::function_ref<void()> change);

} // namespace linnet

MLIR_DECLARE_EXPLICIT_TYPE_ID(linnet::RewriteAction)
