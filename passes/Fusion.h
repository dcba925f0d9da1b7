// Builds linnet.fused from elementwise ops, for the passes that fuse.
#pragma once
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/IR/PatternMatch.h"

namespace linnet {

/// An elementwise op on tensors (not one inside a fused region) with one result.
bool isTensorElementwise(mlir::Operation *op);

/// The iteration shape of an elementwise op or a fused region: the shape of its results, or of its inputs if
/// it reduces.
llvm::SmallVector<ir::Dim> elementShape(mlir::Operation *op);

/// The elementwise `op` as a linnet.fused, built at the rewriter's insertion point.
ir::FusedOp asFused(mlir::RewriterBase &rewriter, mlir::Operation *op);

/// `consumer` with the computation of `producer`, one of its inputs, moved inside. `producer` has one result.
/// Duplicate inputs are merged.
ir::FusedOp mergeProducer(mlir::RewriterBase &rewriter, ir::FusedOp consumer, ir::FusedOp producer);

/// `fused` without its inputs that are constants of one value, which move into the region. Null if no input
/// can move: the remaining ones must still broadcast to the result's shape.
ir::FusedOp absorbSplats(mlir::RewriterBase &rewriter, ir::FusedOp fused);

/// A linnet.fused that yields its input: a copy of `value` with a row-major type.
ir::FusedOp makeCopy(mlir::OpBuilder &builder, mlir::Value value);

} // namespace linnet
