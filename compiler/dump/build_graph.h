// From an entry of a module to the graph that is drawn of it.
#pragma once
#include "compiler/dump/graph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace linnet::dump {

/// `stage` goes into the title: "as read", "as planned for cpu".
Graph graphOf(mlir::func::FuncOp function, const std::string &stage);

/// Whether the op is numbered: everything but params, constants, views and the terminator. Where ops share a
/// command, or one needs several, commands have other numbers.
bool computes(mlir::Operation *op);
/// "batch×seq×768 f32", with the layout where it is not row-major.
std::string typeText(mlir::Type type);
/// Names inside of the op's location, the fused ones with " + " between, three at most; or file:line.
std::string placeOf(mlir::Operation *op);
/// "blocks.3" of "blocks.3.attn.qkv": up to the first part that is a number. Empty where there is none.
std::string layerOf(const std::string &place);
GraphNode::Kind kindOf(mlir::Operation *op);

} // namespace linnet::dump
