// Linnet's passes: what each does, what it preserves, what is legal after it. docs/passes.md is made from this file.
#ifndef LINNET_PASSES_PASSES_TD
#define LINNET_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

class Linnet_Pass<string argument> : Pass<argument, "::mlir::ModuleOp"> {
  let dependentDialects = ["::linnet::ir::LinnetDialect"];
}
def Linnet_TargetOption : Option<"target_name", "target", "std::string", "\"cpu\"",
  "the target to plan for, as a backend registers it: cpu, vulkan, reference">;

def Autodiff : Linnet_Pass<"linnet-autodiff"> {
  let summary = "a function @loss into the entries of training";
  let description = [{
    @loss, whose first result is called "loss", becomes four entries; the sum of loss's elements is what is made
    small:

    `evaluate`: @loss, with the trained params as states "param.NAME".
    `accumulate`: the same and its backward pass, which adds the gradients to the states "grad.NAME". Each op builds
    its vector-Jacobian product as IR (DifferentiableOpInterface), so that all that follows, fusion, layouts, memory,
    sees the backward pass as it sees the forward one.
    `norm`: input grad_scale (1); returns "grad_norm", the global norm of the gradients times grad_scale.
    `update`: inputs lr, m_scale, v_scale and grad_scale, each (1); `linnet.adamw` for each param, with states
    "m.NAME" and "v.NAME" ("start.NAME" where `pull` is not 0), on gradients times grad_scale. The caller clips by
    grad_scale, and does not call it if the norm is not finite: all states are then as they were.

    Which params are trained, and how: attributes linnet.train and linnet.adam of @loss (passes/Training.h); without
    them all are. A frozen param has no gradient, and what only that would need is not built.

    Reason to exist: one implementation of training for all targets. Does nothing where there is no @loss.
    Preserves: what @loss returns. Locations: ops of the backward pass have those of the ops they come from.
  }];
  let statistics = [
    Statistic<"num_gradients", "gradients", "ops gone through backwards">,
    Statistic<"num_parameters", "parameters", "params trained">];
}

def FuseEpilogue : Linnet_Pass<"linnet-fuse-epilogue"> {
  let summary = "bias, activation and residual into linnet.matmul";
  let description = [{
    Takes what follows a matmul into its epilogue, in the order that the op computes it:

        add(matmul(a, b), bias)       ->  matmul(a, b) bias bias          bias of shape (N)
        gelu|relu|silu(matmul(a, b))  ->  matmul(a, b) {activation = ...}
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
    fires, the regions are maximal. A `linnet.reduce` along the last dimension takes in such a producer as well,
    and becomes a fused op with `reduce`.

    Reason to exist: an elementwise op is bound by memory traffic; a tree of n ops as one kernel reads its inputs
    once and writes one result instead of n.

    A producer with a smaller shape stays outside: it would be computed again for each element it broadcasts to.
    Preserves: every value that the module returns, exactly (regions compute in the types of the ops they hold).
    Locations: the fused op gets the fused location of its parts; ops in the region keep theirs.
  }];
  let statistics = [
    Statistic<"num_fused", "fused", "producers taken in">,
    Statistic<"num_reductions", "reductions", "reductions that took a producer in">,
    Statistic<"num_constants", "constants", "constant tensors turned into scalars">];
}

def FuseAttention : Linnet_Pass<"linnet-fuse-attention"> {
  let summary = "attention written out into linnet.attention";
  let description = [{
    Finds, for queries (B, T, H, D) and keys and values (B, H, S, D), with transposes of dimensions 1 and 2,

        transpose(matmul(softmax(mask(mul(matmul(transpose(q), k) {transpose_rhs}, scale))), v))

    the mask and the scale (mul or div by a constant of one value) being optional, and makes it one
    `linnet.attention` with that scale, `past`, `length` and `causal`.

    Reason to exist: a backend's attention keeps no (B, H, T, S) matrix in memory and reads each key and value
    once.

    Preserves: every value up to rounding, but for a row that sees no key at all: there attention gives zeros and
    a softmax NaN. Locations: the fused location of the parts.
  }];
  let statistics = [Statistic<"num_fused", "fused", "attentions made">];
}

def DecomposeAttention : Linnet_Pass<"linnet-decompose-attention"> {
  let summary = "linnet.attention written out";
  let description = [{
    The reverse of `linnet-fuse-attention`. In no default pipeline.

    Reason to exist: it shows what fusing attention buys, and gives a target without an attention kernel a way to
    run. Attention of which q and the cache differ in type stays.
    Preserves: as `linnet-fuse-attention`. Legal after it: no linnet.attention on f32.
  }];
  let statistics = [Statistic<"num_decomposed", "decomposed", "attentions written out">];
}

def HoistPool : Linnet_Pass<"linnet-hoist-pool"> {
  let summary = "one position picked first, computed with afterwards";
  let description = [{
    pool(op(x)) becomes op(pool(x)) for the modes `last` and `first`, where op treats positions alike: layer norm,
    matmul with a weight (its residual is pooled, too), elementwise ops with operands of the same shape or
    vectors; and where nobody but such pools reads op(x).

    Reason to exist: who wants the next token needs the last position only; the head, the last layer norm and the
    last block behind its attention then run on one position of a prompt instead of all.

    Preserves: every value, exactly for f32. Locations: each op keeps its own.
  }];
  let statistics = [Statistic<"num_hoisted", "hoisted", "ops that compute one position">,
                    Statistic<"num_merged", "merged", "pools of one value that became one">];
}

def FoldWeights : Linnet_Pass<"linnet-fold-weights"> {
  let summary = "what depends on weights alone, computed at compile time";
  let description = [{
    An op whose operands are params and constants, a param among them, becomes a private function marked
    `linnet.weight`, called like the param with the op's name behind it, and a `linnet.param` of that name takes
    its place. The compiler runs such functions with the interpreter when it stores the weight. Equal functions
    are one, so that all entries share the weight.

    Reason to exist: transposing, scaling or adding weights at every call costs memory traffic that one compilation
    can save. An op whose result is larger than its operands stays: it would make the artifact larger.

    Preserves: every value, up to the last bit (the interpreter sums in double). Locations: the param gets the op's.
  }];
  let statistics = [Statistic<"num_folded", "folded", "ops computed at compile time">];
}

def Quantize : Linnet_Pass<"linnet-quantize"> {
  let summary = "weights of matmuls as integers with scales";
  let description = [{
    Each float matrix that a matmul has as rhs becomes i8 or i4 with a `scale` (see `linnet.quantize`): one scale
    a column, or one for each `group` rows. A table that is such a matrix, too (a tied embedding), is read from
    the same integers by `embed`. Both are weight functions, computed at compile time.

    Reason to exist: one token at a time, a matmul is bound by reading its weights; these are a quarter or an
    eighth of f32's bytes.

    Does not preserve values: each weight moves by at most half a scale (its column's largest weight / 254, or its
    group's / 16). docs/performance.md has the error of whole models. Locations: kept.
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "8", "8, or 4">,
    Option<"group", "group", "int64_t", "0", "rows that share a scale; 0: all of a column">];
  let statistics = [
    Statistic<"num_matmuls", "matmuls", "matmuls with integer weights">,
    Statistic<"num_tables", "tables", "embeds that read the same integers">];
}

def QuantizeRows : Linnet_Pass<"linnet-quantize-rows"> {
  let summary = "activations as bytes where matmuls with integer weights have many rows";
  let description = [{
    Each matmul whose rhs are integers in panels gets `int8_rows`, the number of rows from which on its lhs is rounded to
    8 bits, with one scale a row (see `linnet.matmul`).

    Reason to exist: a processor multiplies bytes by bytes twice as fast as it does anything wider. With few rows a
    matmul is bound by reading its weights, and rounding would cost accuracy for nothing.

    Does not preserve values where a matmul has at least `from` rows: each element of lhs moves by at most its row's
    largest / 254. docs/performance.md has the error of whole models. A matmul's result then depends on how many rows
    run together, so that a prompt in chunks of less than `from` gives other numbers than in one piece.
    Locations: kept.
  }];
  let options = [Option<"from", "from", "int64_t", "8", "rows from which on lhs is rounded">];
  let statistics = [Statistic<"num_matmuls", "matmuls", "matmuls that round their lhs">];
}

def RoundAttention : Linnet_Pass<"linnet-round-attention"> {
  let summary = "attention of several queries multiplies bf16";
  let description = [{
    Each `linnet.attention` gets `bf16_rows`, the number of queries from which on its products are of numbers rounded to
    bf16; sums stay f32.

    Reason to exist: a processor multiplies pairs of bf16 nearly twice as fast as f32, and beside weights of fewer bits
    attention takes a third of a long prompt. One query is bound by reading the cache, and keeps its digits.

    Does not preserve values where there are at least `from` queries: each factor moves by at most 1/512 of itself.
    docs/performance.md has the error of whole models. Locations: kept.
  }];
  let options = [Option<"from", "from", "int64_t", "2", "queries from which on products are of bf16">];
  let statistics = [Statistic<"num_attentions", "attentions", "attentions that round their factors">];
}

def MixedPrecision : Linnet_Pass<"linnet-mixed-precision"> {
  let summary = "weights of matmuls, and caches, in 16 bits";
  let description = [{
    f32 matrices that a matmul has as rhs are stored as `weights` says, embeddings of the same table with them, and
    KV caches (states that only cache_append and attention touch) as `cache` says. Activations and sums stay f32,
    but beside weights in bf16 a matmul's lhs is rounded to bf16: by a cast there and back, or, with `lhs=bf16`, by one
    cast and a matmul that reads bf16 and is `wide`, which gives the same numbers. With `compute`, both
    operands of each matmul and contract in f32 are cast to that type, and the sums stay f32 (`wide`): for training,
    whose weights are states and stay f32 themselves.

    Reason to exist: half the bytes to read for each token; and processors that multiply pairs of bf16 do two
    multiply-adds where they do one in f32.

    Does not preserve values: each weight and cache entry is rounded once, to 8 (bf16) or 11 (f16) bits of
    significand, and so is each input of a matmul with weights in bf16, or each operand with `compute`. Locations:
    kept.
  }];
  let options = [
    Option<"weights", "weights", "std::string", "\"bf16\"", "bf16, f16 or f32">,
    Option<"cache", "cache", "std::string", "\"f32\"", "bf16, f16 or f32">,
    Option<"compute", "compute", "std::string", "\"f32\"", "bf16, f16 or f32">,
    Option<"lhs", "lhs", "std::string", "\"f32\"", "type that lhs is kept in beside weights in bf16: bf16 or f32">];
  let statistics = [
    Statistic<"num_products", "products", "matmuls and contracts of 16-bit operands">,
    Statistic<"num_weights", "weights", "uses of weights in 16 bits">,
    Statistic<"num_caches", "caches", "caches in 16 bits">];
}

def Schedule : Linnet_Pass<"linnet-schedule"> {
  let summary = "ops in an order that needs less memory";
  let description = [{
    Greedy list scheduling: of the ops whose operands are there, the one that adds least to the bytes alive; taken
    only where the peak of the whole entry comes out lower than in the order found.

    Reason to exist: independent branches computed side by side keep all their results alive; one after the other,
    only one's. GPT-2 is one chain and stays as it is.

    Preserves: every value; locations.
  }];
  let statistics = [Statistic<"num_reordered", "reordered", "entries put in another order">];
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

def Join : Linnet_Pass<"linnet-join"> {
  let summary = "short runs of ops as one command";
  let description = [{
    Marks ops that follow each other and that the target runs as one command where there is little to do (one
    token): a layer norm with the matmul that alone reads it, the choice of the last position before it and the
    argmax of the product's rows behind it; that choice for both a matmul's lhs and its residual; two cache_append
    and the attention that reads the caches; the lookups of tokens and positions and their sum.
    Each op of a group but the first carries `linnet.joined`; backends that do not know the mark lower them one by
    one, and so does a target that joins them for calls with more rows.

    Reason to exist: on a GPU a decoded token of GPT-2 is a chain of dispatches that each wait for the one before;
    the waits of the short ones cost as much as their work. 117 dispatches become 62 at 12 layers.

    Legal after it: `linnet.joined` on ops whose predecessor, views and weights left out, is of the same group. What
    a group reads is alive until its last op.
    Preserves: every value; locations.
  }];
  let options = [Linnet_TargetOption];
  let statistics = [Statistic<"num_groups", "groups", "runs of ops marked as one command">];
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
