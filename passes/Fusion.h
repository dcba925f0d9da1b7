// Building linnet.fused out of elementwise ops: shared by the passes that fuse.
#pragma once
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/IR/PatternMatch.h"

namespace linnet {

/// An elementwise op on tensors (not one inside a fused region) with one result.
bool isTensorElementwise(mlir::Operation *op);

/// The shape that an elementwise op, or a fused region, is computed at: that of its results, or of its inputs
/// where it reduces.
llvm::SmallVector<ir::Dim> elementShape(mlir::Operation *op);

/// A linnet.fused, built at the rewriter's insertion point, that computes what the elementwise `op` computes.
ir::FusedOp asFused(mlir::RewriterBase &rewriter, mlir::Operation *op);

/// A linnet.fused that computes what `consumer` does with its input number `input` computed inside from
/// `producer`'s inputs. Both are fused, producer has one result. Inputs that occur twice are joined.
ir::FusedOp mergeProducer(mlir::RewriterBase &rewriter, ir::FusedOp consumer, ir::FusedOp producer);

/// `fused` without its inputs that are constants of one value, which move into the region; null when there
/// are none that could (the others must still broadcast to the result's shape).
ir::FusedOp absorbSplats(mlir::RewriterBase &rewriter, ir::FusedOp fused);

/// A linnet.fused that yields its input: a copy of `value` with a row-major type.
ir::FusedOp makeCopy(mlir::OpBuilder &builder, mlir::Value value);

} // namespace linnet
