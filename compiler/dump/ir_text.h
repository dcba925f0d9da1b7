// A module as text for reading and comparing.
#pragma once
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet::dump {

/// The text has no locations, and large constants are elided. Values are named after the location and kind of
/// their op (%blocks.3.attn.qkv.matmul) instead of numbered, so `diff` of two passes shows only the changes.
std::string irText(mlir::ModuleOp module);

} // namespace linnet::dump
