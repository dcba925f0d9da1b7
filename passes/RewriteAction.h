// The single changes of passes that no pattern driver makes, so that a debugger of passes can count them and
// leave some out, as it can the applications of patterns (MLIR's apply-pattern action).
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

/// Runs `change`, which concerns `op`, unless a handler of the context's actions leaves it out. The pass must
/// be right with any part of its changes left out.
void rewrite(mlir::Operation *op, llvm::StringRef name, llvm::function_ref<void()> change);

} // namespace linnet

MLIR_DECLARE_EXPLICIT_TYPE_ID(linnet::RewriteAction)
