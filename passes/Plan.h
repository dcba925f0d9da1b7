// What a planned module says about memory, for the backends that lower it. Written by `linnet-alias` and
// `linnet-plan-memory`, checked by `linnet-verify-plan`.
//
// In an entry, each tensor result of an op that computes something has exactly one of these attributes:
//
//   linnet.slot = #linnet.slot<offset, size>  at [offset, offset + size) of the arena; offset is a multiple of
//                                             the target's alignment (64 bytes at least)
//   linnet.output = i                         in the memory of the function's i-th result: the output port, or,
//                                             if that result carries linnet.state, the state's buffer
//   linnet.in_place                           (cache_append) in the buffer of its operand 0, a state
//   linnet.view                               (reshape, slice) no memory of its own: elements of operand 0
//
// linnet.joined on an op says that it may run in one command with the op before it (ops that compute nothing,
// isCommand, left out); `linnet-join` writes it. What ops of such a group read is alive until its last op.
//
// An op with several results (fused) has instead `linnet.places`, an array with one entry a result, in order:
// a #linnet.slot<...> or an i64 i that stands for linnet.output = i. `linnet.param` and `linnet.constant`
// have none. The function has `linnet.arena_bytes` (extent of the arena that its slots use) and
// `linnet.live_bytes` (the largest set of slots alive at one time: no plan can need less); the module
// `linnet.target = "cpu"`.
//
// A backend completes the plan when it lowers the module: linnet.working = [#linnet.slot<offset, size>, ...]
// is working memory of the commands that compute the op, linnet.commands = [first, last] their numbers in the
// entry. Its linnet.arena_bytes and linnet.live_bytes then count working memory, too.
//
// Sizes and offsets hold for the largest bounds. Two slots may coincide when an elementwise op overwrites an
// operand that dies there: same offset, same type, element i written after element i is read. Otherwise the
// slots of values alive at one time are disjoint. A returned value is never an argument (except a state's
// own, unchanged), a view, nor returned twice: the passes insert copies, one-op `linnet.fused` that yield
// their input.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>
#include <string>

namespace linnet {

/// Where one value's memory is.
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
/// Whether `op` of an entry's block computes something: no view, weight or terminator.
bool isCommand(mlir::Operation *op);

/// Sets result `i` of `op`: a slot, or an output by its number. Keeps the form for one and for several
/// results.
void placeInSlot(mlir::OpResult result, int64_t offset, int64_t size);
void placeInOutput(mlir::OpResult result, int64_t output);
/// Removes every plan attribute of `op`.
void clearPlacement(mlir::Operation *op);

/// How a value's elements lie in memory, views and in-place updates followed to `base`, whose placement is an
/// argument, param, constant, slot or output. The value's element number i (row-major) is element
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
/// The storage that `slice` or `reshape` has as a view, or nothing where it has no such regular form.
std::optional<Storage> viewStorage(mlir::Operation *view);

/// linnet.arena_bytes / linnet.live_bytes of a planned function; 0 when absent.
int64_t arenaBytes(mlir::func::FuncOp function);
int64_t liveBytes(mlir::func::FuncOp function);
void setArena(mlir::func::FuncOp function, int64_t arena_bytes, int64_t live_bytes);

/// Recomputes which values live at each op and checks every rule above. The empty string, or one line that
/// names the first two values that clash or the op without a place.
std::string verifyPlan(mlir::func::FuncOp function);

} // namespace linnet
