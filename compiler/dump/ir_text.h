// A module as text to read and to compare.
#pragma once
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet::dump {

/// Without locations, large constants elided. Values are named after the place and the kind of their op
/// (%blocks.3.attn.qkv.matmul), not numbered, so that `diff` of two passes shows what changed and nothing
/// else.
std::string irText(mlir::ModuleOp module);

} // namespace linnet::dump
