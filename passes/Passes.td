// Linnet's passes: effect, reason, what each preserves and makes legal. docs/passes.md is generated from this file.
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
    @loss becomes four entries. Its first result is called "loss"; training minimizes the sum of its elements.

    `evaluate`: @loss, with the trained params as states "param.NAME".
    `accumulate`: the same and its backward pass, which adds the gradients to the states "grad.NAME". Each op builds
    its vector-Jacobian product as IR (DifferentiableOpInterface), so later passes treat the backward pass like the
    forward one.
    `norm`: input grad_scale (1); returns "grad_norm", the global norm of the gradients times grad_scale.
    `update`: inputs lr, m_scale, v_scale and grad_scale, each (1). It is `linnet.adamw` for each param, with states
    "m.NAME" and "v.NAME" ("start.NAME" if `pull` is not 0), on gradients times grad_scale. The caller clips by
    grad_scale. If the norm is not finite, the caller does not call `update`, and all states keep their values.

    The attributes linnet.train and linnet.adam of @loss (passes/Training.h) select the trained params and their
    settings. Without them all params are trained. A frozen param has no gradient, and ops that only this gradient needs
    are not built.

    Reason to exist: one implementation of training for all targets. Does nothing without @loss.
    Preserves: the results of @loss. Locations: ops of the backward pass have those of the ops they come from.
  }];
  let statistics = [
    Statistic<"num_gradients", "gradients", "ops differentiated">,
    Statistic<"num_parameters", "parameters", "params trained">];
}

def FuseEpilogue : Linnet_Pass<"linnet-fuse-epilogue"> {
  let summary = "bias, activation and residual into linnet.matmul";
  let description = [{
    Moves the ops after a matmul into its epilogue, in the order of the epilogue:

        add(matmul(a, b), bias)       ->  matmul(a, b) bias bias          bias of shape (N)
        gelu|relu|silu(matmul(a, b))  ->  matmul(a, b) {activation = ...}
        add(matmul(a, b), residual)   ->  matmul(a, b) residual residual  residual of the result's shape

    Reason to exist: the sum is still in registers when the epilogue runs. Each fused op saves one pass over
    an activation and one command.

    Fires only if the matmul has no other user, and only in the order activation(ab + bias) + residual. A bias after
    an activation, or an activation after a residual, would change the result and stays.
    Preserves: every value that the module returns, exactly, for f32 (a narrower type loses a rounding step).
    Locations: the matmul gets the fused location of both ops.
  }];
  let statistics = [
    Statistic<"num_biases", "biases", "biases fused">,
    Statistic<"num_activations", "activations", "activations fused">,
    Statistic<"num_residuals", "residuals", "residuals fused">];
}

def FuseElementwise : Linnet_Pass<"linnet-fuse-elementwise"> {
  let summary = "trees of elementwise ops into one linnet.fused";
  let description = [{
    An elementwise op (or a `linnet.fused`) absorbs each producer that is elementwise (or fused), has the same
    shape and no other user. Constant tensors of one value move into the region as scalars. This repeats until nothing
    fires, so the regions are maximal. A `linnet.reduce` along the last dimension absorbs such a producer as well,
    and becomes a fused op with `reduce`.

    Reason to exist: an elementwise op is memory-bound. A tree of n ops as one kernel reads its inputs
    once and writes one result instead of n.

    A producer with a smaller shape stays outside: it would be computed again for each element it broadcasts to.
    Preserves: every value that the module returns, exactly (regions compute in the types of the ops they hold).
    Locations: the fused op gets the fused location of its parts; ops in the region keep theirs.
  }];
  let statistics = [
    Statistic<"num_fused", "fused", "producers absorbed">,
    Statistic<"num_reductions", "reductions", "reductions that absorbed a producer">,
    Statistic<"num_constants", "constants", "constant tensors turned into scalars">];
}

def FuseAttention : Linnet_Pass<"linnet-fuse-attention"> {
  let summary = "attention as separate ops into linnet.attention";
  let description = [{
    Finds this pattern for queries (B, T, H, D) and keys and values (B, H, S, D), with transposes of dimensions 1 and 2:

        transpose(matmul(softmax(mask(mul(matmul(transpose(q), k) {transpose_rhs}, scale))), v))

    The mask and the scale (mul or div by a constant of one value) are optional. The pattern becomes one
    `linnet.attention` with that scale, `past`, `length`, `causal` and `window`. mul(tanh(scores), constant) before the
    mask becomes its `cap`.

    Reason to exist: a backend's attention keeps no (B, H, T, S) matrix in memory and reads each key and value
    once.

    Preserves: every value up to rounding, except for a row whose keys are all masked: attention returns zeros and
    a softmax NaN. Locations: the fused location of the parts.
  }];
  let statistics = [Statistic<"num_fused", "fused", "attentions fused">];
}

def DecomposeAttention : Linnet_Pass<"linnet-decompose-attention"> {
  let summary = "linnet.attention into separate ops";
  let description = [{
    The reverse of `linnet-fuse-attention`. In no default pipeline.

    Reason to exist: it shows the gain of fused attention, and lets a target without an attention kernel run. Attention
    whose q and cache differ in type stays.
    Preserves: as `linnet-fuse-attention`. Legal after it: no linnet.attention on f32.
  }];
  let statistics = [Statistic<"num_decomposed", "decomposed", "attentions decomposed">];
}

def HoistPool : Linnet_Pass<"linnet-hoist-pool"> {
  let summary = "pool before the ops that it can commute with";
  let description = [{
    pool(op(x)) becomes op(pool(x)) for the modes `last` and `first`, if op treats all positions alike and only such
    pools read op(x). These ops do: layer norm, matmul with a weight (its residual is pooled, too), and elementwise ops
    with operands of the same shape or vectors.

    Reason to exist: the next token depends on the last position only. The head, the last layer norm and the last block
    after its attention then run on one position of a prompt instead of all.

    Preserves: every value, exactly for f32. Locations: each op keeps its own.
  }];
  let statistics = [Statistic<"num_hoisted", "hoisted", "ops that compute one position">,
                    Statistic<"num_merged", "merged", "pools of one value that became one">];
}

def FoldWeights : Linnet_Pass<"linnet-fold-weights"> {
  let summary = "ops on weights only, computed at compile time";
  let description = [{
    An op whose operands are params and constants, at least one of them a param, becomes a private function marked
    `linnet.weight`. Its name is the param's name followed by the op's. A `linnet.param` of that name replaces the op.
    The compiler runs such functions with the interpreter when it stores the weight. Equal functions are merged, so that
    all entries share the weight.

    Reason to exist: transposing, scaling or adding weights at every call costs memory traffic that one compilation
    can save. An op whose result is larger than its operands stays: it would make the artifact larger.

    Preserves: every value, up to the last bit (the interpreter sums in double). Locations: the param gets the op's.
  }];
  let statistics = [Statistic<"num_folded", "folded", "ops computed at compile time">];
}

def Quantize : Linnet_Pass<"linnet-quantize"> {
  let summary = "weights of matmuls as integers with scales";
  let description = [{
    Each float matrix that is a matmul's rhs becomes i8 or i4 with a `scale` (see `linnet.quantize`): one scale
    per column, or one for each `group` rows, or a scale and a minimum for each group (`asymmetric`). If `embed` reads
    the same matrix (a tied embedding), it reads the same integers. Integers and scales are weight functions, computed
    at compile time.

    Reason to exist: at one token at a time, a matmul is bound by reading its weights. These have a quarter or an
    eighth of f32's bytes.

    Does not preserve values: each weight moves by at most half a scale (its column's largest weight / 254, or its
    group's / 16). `asymmetric`: by at most a 30th of its group's range. docs/performance.md has the error of whole
    models. Locations: kept.
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "8", "8, or 4">,
    Option<"group", "group", "int64_t", "0", "rows that share a scale; 0: the whole column">,
    Option<"asymmetric", "asymmetric", "bool", "false", "a minimum for each group next to its scale">];
  let statistics = [
    Statistic<"num_matmuls", "matmuls", "matmuls with integer weights">,
    Statistic<"num_tables", "tables", "embeds that read the same integers">];
}

def Keep : Linnet_Pass<"linnet-keep"> {
  let summary = "weights as the checkpoint stores them";
  let description = [{
    The module attribute `linnet.kept` says how the checkpoint stores each weight that is not f32 (passes/Kept.h).
    A matmul or an embed that reads a weight of integers reads the params NAME.integers and NAME.scales instead. So
    does one that reads a concatenation of such weights. If concatenated weights are stored in different ways, the
    matmul becomes one for each run of weights that are stored alike. linnet-mixed-precision with `weights=kept`
    converts the weights in 16 bits.

    Reason to exist: a quantized checkpoint has 4 or 8 bits for each weight. As f32 they would take four to eight times
    as long to read, and quantizing them again would move them.

    Preserves every value, except those of weights that are marked `rounded`: they move as in linnet-quantize.
    Locations: kept.
  }];
  let statistics = [
    Statistic<"num_matmuls", "matmuls", "matmuls with integer weights">,
    Statistic<"num_tables", "tables", "embeds with integer tables">];
}

def QuantizeRows : Linnet_Pass<"linnet-quantize-rows"> {
  let summary = "activations as bytes in matmuls of many rows by integer weights";
  let description = [{
    Each matmul whose rhs is integers in panels gets `int8_rows`, the least number of rows for which its lhs is rounded
    to 8 bits, and `int8_group`, the number of elements that share a scale (see `linnet.matmul`).

    Reason to exist: a processor multiplies bytes by bytes twice as fast as wider types. With few rows a
    matmul is bound by reading its weights, and rounding would lose accuracy without a gain.

    `from` 0 is 1 if the bound of `batch` is above 1, else 2. With one sequence generated tokens are not rounded: their
    matmuls are bound by reading the weights. With several, a sequence's numbers must not depend on how many others are
    in the call, so every row is rounded.

    Does not preserve values if a matmul has at least `from` rows: each element of lhs moves by at most its
    group's largest / 127, or its row's largest / 65,024 if that is more. docs/performance.md has the error of whole
    models. Locations: kept.
  }];
  let options = [
    Option<"from", "from", "int64_t", "0",
           "least number of rows for which lhs is rounded; 0: by the bound of batch">,
    Option<"group", "group", "int64_t", "-1",
           "elements that share a scale; 0: the row; -1: 32, or a divisor of rhs's groups">];
  let statistics = [Statistic<"num_matmuls", "matmuls", "matmuls that round their lhs">];
}

def RoundAttention : Linnet_Pass<"linnet-round-attention"> {
  let summary = "attention of several queries multiplies bf16";
  let description = [{
    Each `linnet.attention` gets `bf16_rows`, the least number of queries for which the factors of its products are
    rounded to bf16. Sums stay f32.

    Reason to exist: a processor multiplies pairs of bf16 nearly twice as fast as f32, and with narrow weights
    attention takes a third of a long prompt's time. One query is bound by reading the cache, so it is not rounded.

    Does not preserve values for at least `from` queries: each factor moves by at most 1/512 of itself.
    docs/performance.md has the error of whole models. Locations: kept.
  }];
  let options = [Option<"from", "from", "int64_t", "2", "least number of queries for which products are of bf16">];
  let statistics = [Statistic<"num_attentions", "attentions", "attentions that round their factors">];
}

def MixedPrecision : Linnet_Pass<"linnet-mixed-precision"> {
  let summary = "weights of matmuls, and caches, in 16 bits";
  let description = [{
    The f32 matrices that are a matmul's rhs get the type `weights`, and so do embeddings of the same table. KV caches
    (states that only cache_append and attention use) get the type `cache`. Activations and sums stay f32, with one
    exception: if the weights are bf16, a matmul's lhs is rounded to bf16. This is a cast to bf16 and back. With
    `lhs=bf16` it is one cast and a `wide` matmul that reads bf16, which gives the same numbers. With `compute`, both
    operands of each matmul and contract in f32 are cast to that type, and the sums stay f32 (`wide`). This is for
    training, whose weights are states and stay f32.

    Reason to exist: half the bytes to read for each token. Processors that multiply pairs of bf16 do two
    multiply-adds in the time of one in f32.

    Does not preserve values: each weight and cache entry is rounded once, to 8 (bf16) or 11 (f16) bits of
    significand, and so is each input of a matmul with weights in bf16, or each operand with `compute`. Locations:
    kept.
  }];
  let options = [
    Option<"weights", "weights", "std::string", "\"bf16\"",
           "bf16, f16, f32, or kept: those that the module attribute linnet.kept lists">,
    Option<"cache", "cache", "std::string", "\"f32\"", "bf16, f16 or f32">,
    Option<"compute", "compute", "std::string", "\"f32\"", "bf16, f16 or f32">,
    Option<"lhs", "lhs", "std::string", "\"f32\"", "type of lhs if the weights are bf16: bf16 or f32">];
  let statistics = [
    Statistic<"num_products", "products", "matmuls and contracts of 16-bit operands">,
    Statistic<"num_weights", "weights", "uses of weights in 16 bits">,
    Statistic<"num_caches", "caches", "caches in 16 bits">];
}

def Schedule : Linnet_Pass<"linnet-schedule"> {
  let summary = "ops in an order that needs less memory";
  let description = [{
    Greedy list scheduling: among the ops whose operands are computed, it chooses the one that adds the fewest live
    bytes. The new order is used only if it lowers the peak of the whole entry.

    Reason to exist: interleaved independent branches keep all their results alive; branches one after the other keep
    only one alive. GPT-2 is one chain and does not change.

    Preserves: every value; locations.
  }];
  let statistics = [Statistic<"num_reordered", "reordered", "entries put in another order">];
}

def WrapElementwise : Linnet_Pass<"linnet-wrap-elementwise"> {
  let summary = "each elementwise op on tensors into a linnet.fused of its own";
  let description = [{
    Reason to exist: backends lower `linnet.fused` and no single elementwise op. This pass makes the module legal for
    them, with or without `linnet-fuse-elementwise`.

    Legal after it: elementwise ops on tensors occur only inside `linnet.fused`, as scalars.
    Preserves: every value that the module returns, exactly; locations.
  }];
  let statistics = [Statistic<"num_wrapped", "wrapped", "ops wrapped">];
}

def AssignLayout : Linnet_Pass<"linnet-assign-layout"> {
  let summary = "weights that matmul reads into the target's packed layout";
  let description = [{
    A param or constant matrix that is a matmul's rhs gets the panel layout that the target prefers for its
    element type. The type of the param or constant has the layout, and the weight is packed at compile time. (A
    `linnet.relayout` follows other values.) The pass considers all uses of a weight in all entries. One packed copy
    serves all of them if each use can read it: a tied embedding (`embed` and matmul with transpose_rhs) is stored once
    if the target's `embed` reads panels. A use that cannot read the chosen layout keeps a separate copy. Among copies
    that could serve it, one that is needed anyway is chosen, so the number of copies is minimal.

    Reason to exist: at one token at a time, a matmul is bound by reading its weights. A packed panel is read as one
    stream, at the machine's bandwidth.

    Preserves: every value (a layout defines how a weight is stored; the shape stays the logical one).
  }];
  let options = [Linnet_TargetOption];
  let statistics = [
    Statistic<"num_packed", "packed", "uses that read a packed weight">,
    Statistic<"num_copies", "copies", "weights stored in more than one layout">];
}

def Alias : Linnet_Pass<"linnet-alias"> {
  let summary = "views, in-place caches, and the copies that these need";
  let description = [{
    Decides which results need no separate memory.

    `linnet.view`: every reshape. A slice is a view if the target reads rows with gaps in each of its users, through
    reshapes. Other slices are materialized.
    `linnet.in_place`: every cache_append. It may write into its cache's buffer if that buffer is a state or an
    activation of this call, and nothing reads the old value afterwards. Otherwise the cache is copied first.

    Inserts copies (a `linnet.fused` that yields its input) if a function returns a value that cannot be computed
    directly into the result's memory: an argument, a weight, a view, a cache that was updated in place, a value
    returned twice, or a state's new value that is not the updated state.

    Reason to exist: without it a KV cache would be copied at every token, and three copies would cut q, k and v out of
    one matmul's result.

    Legal after it: reshape, slice and cache_append do only what their attribute names. Each returned
    value is computed by one op that can write it to its final memory.
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
    Marks consecutive ops that the target runs as one command if there is little work (one token):

    - a layer norm, the matmul that is its only reader, the pool before them and the argmax of the matmul's rows;
    - the pools of a matmul's lhs and of its residual;
    - two cache_append and the attention that reads the caches;
    - the lookups of tokens and positions and their sum.

    Each op of a group except the first gets `linnet.joined`. Backends that do not know the mark lower the ops one by
    one. So does a target that joins them, for calls with more rows.

    Reason to exist: on a GPU a decoded token of GPT-2 is a chain of dispatches that each wait for the one before.
    The waits of the short ones cost as much as their work. 117 dispatches become 62 at 12 layers.

    Legal after it: `linnet.joined` on ops whose predecessor, except views and weights, is of the same group. The
    operands of a group are alive until its last op.
    Preserves: every value; locations.
  }];
  let options = [Linnet_TargetOption];
  let statistics = [Statistic<"num_groups", "groups", "runs of ops marked as one command">];
}

def PlanMemory : Linnet_Pass<"linnet-plan-memory"> {
  let summary = "a slot in one arena for every activation";
  let description = [{
    `linnet-alias` decides which op results need memory. Such a result that the function returns gets the output's
    memory (`linnet.output`). Any other gets a slot of the arena (`linnet.slot`), sized for the largest bounds and
    aligned for the target. Slots of values that are alive at the same time are disjoint. An elementwise op overwrites
    an operand that dies there, if both have the same type and nothing broadcasts. Offsets are assigned largest first
    into the best-fitting gap. Among several orders, the one with the lowest peak is used (passes/MemoryPlanner.h).

    Reason to exist: the exact peak is a number in the artifact, and the memory is allocated once at load.

    Sets linnet.arena_bytes and linnet.live_bytes on each entry. Legal after it: the rules of passes/Plan.h.
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
    Recomputes which values are alive at each op and checks the rules of passes/Plan.h: each result has exactly one
    memory range, slots fit in the arena and are large enough, live slots are disjoint, an in-place update destroys no
    value that is read later, and a view has the memory of its operand.

    Reason to exist: a plan can come from a text editor as well as from a pass. Changes nothing.
  }];
}

def PrintCounters : Linnet_Pass<"linnet-print-counters"> {
  let summary = "prints how often the passes before it in the pipeline fired";
  let description = [{
    Prints one line per counter on standard error: `linnet-fuse-epilogue biases 4`. These are the numbers of MLIR's
    `--mlir-pass-statistics`, which is disabled in the release builds of distributions. Changes nothing.
  }];
}

#endif
