// The memory plan of a module, for the backends that lower it. `linnet-alias` and `linnet-plan-memory` write
// it, `linnet-verify-plan` checks it.
//
// In an entry, each tensor result of an op that computes something has exactly one of these attributes:
//
//   linnet.slot = #linnet.slot<offset, size>  at [offset, offset + size) of the arena; offset is a
//                                             multiple of the target's alignment (at least 64 bytes)
//   linnet.output = i                         in the memory of the function's i-th result: the output
//                                             port, or the state's buffer if that result has linnet.state
//   linnet.in_place                           (cache_append) in the buffer of its operand 0, a state
//   linnet.view                               (reshape, slice) elements of operand 0, without separate memory
//
// An op with several results (fused) has `linnet.places` instead, an array with one entry per result, in
// order: a #linnet.slot<...>, or an i64 i that stands for linnet.output = i. `linnet.param` and
// `linnet.constant` have no attribute.
//
// linnet.joined marks an op that may run in one command with the command before it (see isCommand).
// `linnet-join` writes it. The operands of such a group are alive until its last op.
//
// The function has `linnet.arena_bytes` (the extent of its slots) and `linnet.live_bytes` (the largest sum of
// slots that are alive at one time: no plan can need less). The module has `linnet.target = "cpu"`.
//
// A backend completes the plan when it lowers the module. linnet.working = [#linnet.slot<offset, size>, ...]
// is the working memory of the commands that compute the op. linnet.commands = [first, last] are their
// numbers in the entry. linnet.arena_bytes and linnet.live_bytes then include working memory.
//
// Sizes and offsets hold for the largest bounds. Two slots may coincide if an elementwise op overwrites an
// operand that dies there: same offset, same type, element i written after element i is read. Otherwise the
// slots of values that are alive at one time are disjoint. A returned value is not a view, is not returned
// twice, and is not an argument (except an unchanged state). The passes insert copies to ensure this: a
// `linnet.fused` that yields its input.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>
#include <string>

namespace linnet {

/// The memory of one value.
struct Placement {
  enum Kind {
    none,     ///< an op result without a placement: the module is not planned
    argument, ///< `index` is the function argument's number (an input port or a state)
    param,    ///< a linnet.param
    constant, ///< a linnet.constant
    slot,     ///< [offset, offset + size) of the arena
    output,   ///< `index` is the function result's number (an output port or a state)
    in_place, ///< the buffer of the defining op's operand 0
    view,     ///< elements of the defining op's operand 0
  };
  Kind kind = none;
  int index = 0;
  int64_t offset = 0, size = 0;
};
Placement placementOf(mlir::Value value);

constexpr llvm::StringLiteral kJoined = "linnet.joined", kWorking = "linnet.working",
                              kCommands = "linnet.commands";
/// Whether `op` of an entry's block computes something: it is not a view, weight or terminator.
bool isCommand(mlir::Operation *op);

/// Gives the result a slot, or the memory of function result `output`. Writes linnet.places if the op has
/// several results.
void placeInSlot(mlir::OpResult result, int64_t offset, int64_t size);
void placeInOutput(mlir::OpResult result, int64_t output);
/// Removes every plan attribute of `op`.
void clearPlacement(mlir::Operation *op);

/// The position of a value's elements in memory. Views and in-place updates are followed to `base`, whose
/// placement is an argument, param, constant, slot or output. The value's element i (row-major) is element
///
///     offset + i / row * stride + i % row
///
/// of base's buffer. row == stride means consecutive elements.
struct Storage {
  mlir::Value base;
  int64_t offset = 0, row = 1, stride = 1;
  bool dense() const { return row == stride; }
};
/// Follows `linnet.view` and `linnet.in_place`. A dense value has row = stride = product of its static
/// dimensions.
Storage storageOf(mlir::Value value);
/// The storage of `view`, a slice or reshape, as a view; nothing if Storage cannot express it.
std::optional<Storage> viewStorage(mlir::Operation *view);

/// linnet.arena_bytes and linnet.live_bytes of a planned function; 0 if absent.
int64_t arenaBytes(mlir::func::FuncOp function);
int64_t liveBytes(mlir::func::FuncOp function);
void setArena(mlir::func::FuncOp function, int64_t arena_bytes, int64_t live_bytes);

/// Recomputes which values are alive at each op and checks every rule above. Returns the empty string, or one
/// line that names the first two values that overlap, or the op without memory.
std::string verifyPlan(mlir::func::FuncOp function);

} // namespace linnet
