// Linnet's passes: what each does, what it preserves, what is legal after it. docs/passes.md is made from this file.
#ifndef LINNET_PASSES_PASSES_TD
#define LINNET_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

class Linnet_Pass<string argument> : Pass<argument, "::mlir::ModuleOp"> {
  let dependentDialects = ["::linnet::ir::LinnetDialect"];
}
def Linnet_TargetOption : Option<"target_name", "target", "std::string", "\"cpu\"",
  "the target to plan for: cpu, reference">;

def FuseEpilogue : Linnet_Pass<"linnet-fuse-epilogue"> {
  let summary = "bias, activation and residual into linnet.matmul";
  let description = [{
    Takes what follows a matmul into its epilogue, in the order that the op computes it:

        add(matmul(a, b), bias)       ->  matmul(a, b) bias bias          bias of shape (N)
        gelu|relu(matmul(a, b))       ->  matmul(a, b) {activation = ...}
        add(matmul(a, b), residual)   ->  matmul(a, b) residual residual  residual of the result's shape

    Reason to exist: the sum is still in registers when the epilogue runs; each op taken in saves one pass over
    an activation and one command.

    Fires only where the matmul has no other user, and only in the order activation(ab + bias) + residual: a bias
    behind an activation, or an activation behind a residual, would mean something else and stays.
    Preserves: every value that the module returns, exactly, for f32 (a narrower type loses a rounding step).
    Locations: the matmul gets the fused location of both ops.
  }];
  let statistics = [
    Statistic<"num_biases", "biases", "biases taken in">,
    Statistic<"num_activations", "activations", "activations taken in">,
    Statistic<"num_residuals", "residuals", "residuals taken in">];
}

def FuseElementwise : Linnet_Pass<"linnet-fuse-elementwise"> {
  let summary = "trees of elementwise ops into one linnet.fused";
  let description = [{
    An elementwise op (or a `linnet.fused`) takes in each producer that is elementwise (or fused), has the same
    shape and no other user. Constant tensors of one value move into the region as scalars. Repeated until nothing
    fires, the regions are maximal.

    Reason to exist: an elementwise op is bound by memory traffic; a tree of n ops as one kernel reads its inputs
    once and writes one result instead of n.

    A producer with a smaller shape stays outside: it would be computed again for each element it broadcasts to.
    Preserves: every value that the module returns, exactly (regions compute in the types of the ops they hold).
    Locations: the fused op gets the fused location of its parts; ops in the region keep theirs.
  }];
  let statistics = [
    Statistic<"num_fused", "fused", "producers taken in">,
    Statistic<"num_constants", "constants", "constant tensors turned into scalars">];
}

def WrapElementwise : Linnet_Pass<"linnet-wrap-elementwise"> {
  let summary = "each elementwise op on tensors into a linnet.fused of its own";
  let description = [{
    Reason to exist: backends lower one op, `linnet.fused`, and no elementwise op by itself. This makes that legal
    whether or not `linnet-fuse-elementwise` ran.

    Legal after it: elementwise ops on tensors occur only inside `linnet.fused`, as scalars.
    Preserves: every value that the module returns, exactly; locations.
  }];
  let statistics = [Statistic<"num_wrapped", "wrapped", "ops wrapped">];
}

def AssignLayout : Linnet_Pass<"linnet-assign-layout"> {
  let summary = "weights that matmul reads into the target's packed layout";
  let description = [{
    A param or constant matrix that a matmul has as rhs gets the panel layout that the target prefers for its
    element type: the param's or constant's own type says so, and the weight is packed at compile time. (What
    cannot say so itself is followed by a `linnet.relayout`.) All uses
    of a weight in all entries are looked at together. One packed copy serves all of them where each use can read
    it: a tied embedding (`embed` and matmul with transpose_rhs) is stored once when the target's `embed` reads
    panels. A use that cannot read the chosen layout keeps its own copy; between copies that could serve it, the
    one that is needed anyway wins, so that the number of copies is the least possible.

    Reason to exist: one token at a time, a matmul is bound by reading its weights; a packed panel is read as one
    stream, at the machine's bandwidth.

    Preserves: every value (a layout says how a weight is stored, the shape stays the logical one).
  }];
  let options = [Linnet_TargetOption];
  let statistics = [
    Statistic<"num_packed", "packed", "uses that read a packed weight">,
    Statistic<"num_copies", "copies", "weights stored in more than one layout">];
}

def Alias : Linnet_Pass<"linnet-alias"> {
  let summary = "views, in-place caches, and the copies that these demand";
  let description = [{
    Decides which results need no memory of their own.

    `linnet.view`: every reshape; a slice when the target reads rows with gaps there, asked for each user, through
    reshapes. Other slices are materialized.
    `linnet.in_place`: every cache_append. It may write into its cache's buffer when that buffer is a state or an
    activation of this call, and nothing reads the old value afterwards; otherwise the cache is copied first.

    Inserts copies (a `linnet.fused` that yields its input) where a function returns what cannot be computed
    straight into the result's memory: an argument, a weight, a view, a cache that was updated in place, a value
    returned twice, or a state's new value that is not its updated self.

    Reason to exist: without it a KV cache would be copied at every token, and q, k and v cut out of one matmul's
    result by three copies.

    Legal after it: reshape, slice and cache_append have no side but the one their attribute names; each returned
    value is computed by one op that can write it in its final place.
    Preserves: every value; locations (a copy has the location of what it copies).
  }];
  let options = [Linnet_TargetOption];
  let statistics = [
    Statistic<"num_views", "views", "reshapes and slices without memory">,
    Statistic<"num_in_place", "in-place", "caches updated in place">,
    Statistic<"num_copies", "copies", "copies inserted">];
}

def PlanMemory : Linnet_Pass<"linnet-plan-memory"> {
  let summary = "a place in one arena for every activation";
  let description = [{
    Gives each op result that `linnet-alias` left with memory of its own either the memory of the function result
    it is returned as (`linnet.output`) or a slot of the arena (`linnet.slot`), sized for the largest bounds and
    aligned for the target. Slots of values alive at one time are disjoint. An elementwise op overwrites an operand
    that dies there, when both have the same type and nothing broadcasts. Offsets are assigned largest first into
    the best-fitting gap; of several orders the one with the lowest peak is taken (passes/MemoryPlanner.h).

    Reason to exist: memory is known before it is needed: the exact peak is a number in the artifact, allocated
    once at load.

    Sets linnet.arena_bytes and linnet.live_bytes on each entry. Legal after it: what passes/Plan.h says.
    Preserves: every value; locations.
  }];
  let options = [Linnet_TargetOption];
  let statistics = [
    Statistic<"num_slots", "slots", "results in the arena">,
    Statistic<"num_reused", "overwritten", "operands overwritten by an elementwise op">];
}

def VerifyPlan : Linnet_Pass<"linnet-verify-plan"> {
  let summary = "refuses a plan in which two live values share memory";
  let description = [{
    Recomputes which values live at each op and checks the rules of passes/Plan.h: each result has exactly one
    place, slots fit in the arena and are large enough, live slots are disjoint, an in-place update destroys no
    value that is read later, a view's operand is where the view says.

    Reason to exist: a plan can come from a person's editor as well as from a pass. Changes nothing.
  }];
}

def PrintCounters : Linnet_Pass<"linnet-print-counters"> {
  let summary = "prints how often the passes before it in the pipeline fired";
  let description = [{
    One line a counter on standard error: `linnet-fuse-epilogue biases 4`. The same numbers as mlir's
    `--mlir-pass-statistics`, which distributions' release builds of MLIR leave out. Changes nothing.
  }];
}

#endif
