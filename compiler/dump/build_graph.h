// Converts an entry of a module to a graph for drawing.
#pragma once
#include "compiler/dump/graph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace linnet::dump {

/// `stage` is a part of the title: "as read", "as planned for cpu".
Graph graphOf(mlir::func::FuncOp function, const std::string &stage);

/// Whether the op is numbered: all except params, constants, views and the terminator. Commands have other
/// numbers if ops share a command or one op needs several.
bool computes(mlir::Operation *op);
/// "batch×seq×768 f32", followed by the layout if it is not row-major.
std::string typeText(mlir::Type type);
/// At most three names in the op's location, joined by " + "; or file:line.
std::string placeOf(mlir::Operation *op);
/// The part of a location up to its first number: "blocks.3" for "blocks.3.attn.qkv". Empty if there is no
/// number.
std::string layerOf(const std::string &place);
GraphNode::Kind kindOf(mlir::Operation *op);

} // namespace linnet::dump
