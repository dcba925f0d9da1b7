// Ops that read more than one element for each result.
#ifndef LINNET_IR_TENSOROPS_TD
#define LINNET_IR_TENSOROPS_TD

include "ir/ElementwiseOps.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

//===- weights and constants ---------------------------------------------------------------------------===//

def Linnet_ParamOp : Linnet_Op<"param", [Pure]> {
  let summary = "a named weight";
  let description = [{
    The checkpoint's tensor of that name. If the module has a private function with that name and the unit attribute
    `linnet.weight`, the param is that function's result instead, computed once at compile time. The result type
    defines how the weight is stored: element type, shape, and the layout as an encoding (`#linnet.panel<...>`: packed
    for matmul; the shape stays the logical one).
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Linnet_ConstantOp : Linnet_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a constant tensor or scalar";
  let description = [{
    `linnet.constant dense<...> : tensor<2x2xf32>`, or a scalar inside `linnet.fused`.
  }];
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs Linnet_NumberLike:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

//===- lookup ------------------------------------------------------------------------------------------===//

def Linnet_EmbedOp : Linnet_Op<"embed", [Pure, Linnet_Differentiable, InferTypeOpAdaptor]> {
  let summary = "rows of a table";
  let description = [{
    result[..., c] = table[ids[...], c]. table (V, C), ids any shape, result = ids' shape x C.
    An id outside [0, V) is an error that the caller must exclude; the interpreter reports it.

    A table of integers is multiplied by `scale` (V, ceil(C / group)): table[v, c] scale[v, c / group], in
    scale's element type. `group` 0 means all of C. `asymmetric` is for i4, with a scale and a minimum for each group g:
    (table[v, c] + 8) scale[v, 2 g] + scale[v, 2 g + 1].
  }];
  let arguments = (ins Linnet_WeightTensor:$table, Linnet_IntTensor:$ids, Optional<Linnet_FloatTensor>:$scale,
    DefaultValuedAttr<I64Attr, "0">:$group, UnitAttr:$asymmetric);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$table `,` $ids (`scale` $scale^)? attr-dict `:` type($table) `,` type($ids)
    (`scale` type($scale)^)?}];
  let builders = [OpBuilder<(ins "::mlir::Value":$table, "::mlir::Value":$ids)>];
  let hasVerifier = 1;
}

def Linnet_PositionsOp : Linnet_Op<"positions", [Pure, InferTypeOpAdaptor]> {
  let summary = "position of each token in its sequence";
  let description = [{
    result[b, t] = min(past[b] + t, limit - 1). past (B) is the number of cached tokens of each sequence; without it,
    it is 0. Of ids (B, T) only the shape is used. The limit keeps the padding after a short sequence of a batch inside
    the position table.
  }];
  let arguments = (ins Optional<Linnet_IntTensor>:$past, Linnet_IntTensor:$ids, I64Attr:$limit);
  let results = (outs Linnet_IntTensor:$result);
  let assemblyFormat = [{custom<PastAndIds>($past, $ids) `limit` $limit attr-dict `:`
    custom<PastAndIdsTypes>(type($past), type($ids))}];
  let hasVerifier = 1;
}

//===- linear algebra ----------------------------------------------------------------------------------===//

def Linnet_MatmulOp : Linnet_Op<"matmul", [Pure, Linnet_CountsFlops, Linnet_Differentiable, AttrSizedOperandSegments,
    InferTypeOpAdaptor]> {
  let summary = "matrix product with an optional epilogue";
  let description = [{
    result = activation(op(lhs) op(rhs) + bias) + residual

    op transposes the last two dimensions if the flag is set. lhs (..., M, K), or (K) which is treated as
    (1, K) and gives (N). rhs (K, N), shared by all leading dimensions of lhs, or (..., K, N) with the same
    leading dimensions. bias (N). residual has the result's shape. `activation` is relu, gelu_erf, gelu_tanh,
    gelu_quick or silu, with the formulas of linnet.relu, linnet.gelu and linnet.silu.
    Sums are at least f32. The result, bias and residual have lhs's element type, or f32 with `wide`; rhs may
    have another one.

    A matrix rhs of integers is multiplied by `scale` (ceil(K / group), N): rhs[k, n] scale[k / group, n]. With
    transpose_rhs, `scale` is (N, ceil(K / group)). `group` 0 means all of K. With `asymmetric`, which is for i4 in groups,
    `scale` has two entries for each group g, its scale and its minimum: (rhs[k, n] + 8) scale[2 g, n] + scale[2 g + 1, n].
    With `int8_rows` R > 0, and at least R rows in lhs (the product of all its dimensions except the last), each row
    of lhs is first rounded to 8 bits, in groups of `int8_group` elements (0: the whole row; the last group may be
    shorter). For each group x of a row r, and the largest integer e up to 8 for which max |x| 2^e <= max |r|:

        s = max |r| / (127 2^e),   x = s round(x / s)   to nearest even; 0 if s is 0
  }];
  let arguments = (ins Linnet_FloatTensor:$lhs, Linnet_WeightTensor:$rhs, Optional<Linnet_FloatTensor>:$bias,
    Optional<Linnet_FloatTensor>:$residual, Optional<Linnet_FloatTensor>:$scale, UnitAttr:$transpose_lhs,
    UnitAttr:$transpose_rhs,
    DefaultValuedAttr<Linnet_ActivationAttr, "::linnet::ir::Activation::none">:$activation,
    DefaultValuedAttr<I64Attr, "0">:$group, UnitAttr:$wide, DefaultValuedAttr<I64Attr, "0">:$int8_rows,
    UnitAttr:$asymmetric, DefaultValuedAttr<I64Attr, "0">:$int8_group);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$lhs `,` $rhs (`bias` $bias^)? (`residual` $residual^)? (`scale` $scale^)? attr-dict `:`
    type($lhs) `,` type($rhs) (`bias` type($bias)^)? (`residual` type($residual)^)? (`scale` type($scale)^)?}];
  let builders = [OpBuilder<(ins "::mlir::Value":$lhs, "::mlir::Value":$rhs, CArg<"bool", "false">:$transpose_rhs)>];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {2, getResult(), getLhs(), contractedDim()}; } }];
  let extraClassDeclaration = [{
    /// The dimension of lhs that is summed over.
    int64_t contractedDim() {
      const int64_t rank = getLhs().getType().getRank();
      return rank == 1 || !getTransposeLhs() ? rank - 1 : rank - 2;
    }
  }];
}

def Linnet_QuantizeScaleOp : Linnet_Op<"quantize_scale", [Pure, InferTypeOpAdaptor]> {
  let summary = "scales of a matrix that is stored as integers";
  let description = [{
    For a matrix w, integers of `bits` (8 or 4) and groups of `group` elements along dimension `dim` (0: one group; the
    last group may be shorter). m is the element of the largest magnitude of a group:

        scale = |m| / 127 for 8 bits, m / -8 for 4 bits (which uses all of [-8, 7])

    The result has w's shape, except that dimension `dim` counts groups. With `asymmetric` and 4 bits, each group has two
    entries: scale = (largest - smallest) / 15, then minimum = smallest. For weights only, at compile time.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, I64Attr:$bits, I64Attr:$dim, I64Attr:$group,
    UnitAttr:$asymmetric);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand)";
  let hasVerifier = 1;
}

def Linnet_QuantizeOp : Linnet_Op<"quantize", [Pure, InferTypeOpAdaptor]> {
  let summary = "a matrix as integers";
  let description = [{
    result = w / scale rounded to nearest even and clamped to [-127, 127] for 8 bits and [-8, 7] for 4; 0 if scale is 0.
    With `asymmetric`, result = (w - minimum) / scale - 8, rounded and clamped alike.
    Operands and attributes are those of `quantize_scale`. The result is i8 or i4. For weights only, at compile time.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_FloatTensor:$scale, I64Attr:$bits, I64Attr:$dim,
    I64Attr:$group, UnitAttr:$asymmetric);
  let results = (outs Linnet_QuantizedTensor:$result);
  let assemblyFormat = "$operand `,` $scale attr-dict `:` type($operand) `,` type($scale)";
  let hasVerifier = 1;
}

def Linnet_AttentionOp : Linnet_Op<"attention", [Pure, Linnet_CountsFlops, Linnet_Differentiable,
    AttrSizedOperandSegments, InferTypeOpAdaptor]> {
  let summary = "scaled dot-product attention over a cache";
  let description = [{
    q (B, T, H, D), k and v (B, G, S, D), past (B), result (B, T, H, D). The G key heads divide the H heads, and
    head h reads key head g = h / (H / G), rounded down (Ainslie et al., 2023, arXiv:2305.13245):

        s[j]            = scale * sum_d q[b,t,h,d] k[b,g,j,d]
        result[b,t,h,:] = sum_j softmax_j(s)[j] v[b,g,j,:]

    over j <= past[b] + t if `causal`, else over j < past[b] + T. With `length` (B) also only over
    j < past[b] + length[b] (padding). Without `past` it is 0. S is the cache's capacity: entries beyond the
    range are not read. An empty range gives zeros. Vaswani et al., 2017, arXiv:1706.03762.

    With `window` W > 0, which needs `causal`, also only over j > past[b] + t - W: the last W keys. With `cap` C > 0
    the softmax reads C tanh(s[j] / C) instead of s[j].

    With `bf16_rows` R > 0 and T >= R, the factors of both products are rounded to bf16: scale q, k, e^(s[j] - m) and v.
    The softmax's sum adds the rounded e^(s[j] - m). m is the largest s so far, or the largest of all.
  }];
  let arguments = (ins Linnet_FloatTensor:$q, Linnet_FloatTensor:$k, Linnet_FloatTensor:$v,
    Optional<Linnet_IntTensor>:$past, Optional<Linnet_IntTensor>:$length, F32Attr:$scale,
    DefaultValuedAttr<F32Attr, "0.0f">:$cap, DefaultValuedAttr<BoolAttr, "true">:$causal,
    DefaultValuedAttr<I64Attr, "0">:$window, DefaultValuedAttr<I64Attr, "0">:$bf16_rows);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$q `,` $k `,` $v (`past` $past^)? (`length` $length^)? attr-dict `:` type($q) `,` type($k)
    `,` type($v) (`past` type($past)^)? (`length` type($length)^)?}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {4, getResult(), getK(), 2}; } }];
}

def Linnet_MaskOp : Linnet_Op<"mask", [Pure, AttrSizedOperandSegments, AllTypesMatch<["operand", "result"]>]> {
  let summary = "attention scores with masked ones at minus infinity";
  let description = [{
    scores (B, H, T, S), past (B), length (B): result[b, h, t, j] = scores[b, h, t, j] for the j that
    `attention` would read with the same past, length, `causal` and `window`, else -infinity. A following softmax turns
    -infinity into 0 if the row has at least one j that is not masked.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Optional<Linnet_IntTensor>:$past,
    Optional<Linnet_IntTensor>:$length, DefaultValuedAttr<BoolAttr, "true">:$causal,
    DefaultValuedAttr<I64Attr, "0">:$window);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$operand (`past` $past^)? (`length` $length^)? attr-dict `:` type($operand)
    (`past` type($past)^)? (`length` type($length)^)?}];
  let hasVerifier = 1;
}

def Linnet_CacheAppendOp : Linnet_Op<"cache_append", [Pure, Linnet_InPlaceOpInterface,
    AllTypesMatch<["cache", "result"]>]> {
  let summary = "a cache with new entries appended to the old ones";
  let description = [{
    cache (B, H, S, D), new (B, T, H, D), past (B):
    result[b, h, past[b] + t, :] = new[b, t, h, :]; every other entry is that of cache. New
    entries at S or beyond (the padding after a short sequence of a batch) are dropped.
    With the unit attribute `linnet.in_place` a backend writes into cache's own buffer.
  }];
  let arguments = (ins Linnet_FloatTensor:$cache, Linnet_FloatTensor:$entries, Linnet_IntTensor:$past);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$cache `,` $entries `,` $past attr-dict `:` type($cache) `,` type($entries) `,` type($past)";
  let hasVerifier = 1;
}

def Linnet_RotaryTableOp : Linnet_Op<"rotary_table", [Pure]> {
  let summary = "cosines and sines of rotary positions";
  let description = [{
    For F `frequencies` f and P positions, result (P, 2 F), f32:

        result[p, i]     = scale * cos(p f[i])
        result[p, F + i] = scale * sin(p f[i])

    The angle p f[i] is rounded to f32. A weight function holds this op (`linnet.weight`), so that the compiler computes
    the table and no backend has to.
  }];
  let arguments = (ins DenseF32ArrayAttr:$frequencies, DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$frequencies attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Linnet_RotaryOp : Linnet_Op<"rotary", [Pure, Linnet_CountsFlops, Linnet_Differentiable,
    AllTypesMatch<["operand", "result"]>]> {
  let summary = "rotary position embedding";
  let description = [{
    x (B, T, H, D), table (P, 2 F) of `rotary_table` with 2 F <= D, positions (B, T). Each pair of the first 2 F elements of
    a head is rotated by the angle of its position p = positions[b, t]:

        result[i] = x[i] table[p, n] - x[j] table[p, F + n]
        result[j] = x[j] table[p, n] + x[i] table[p, F + n]

    for n < F. The pair (i, j) is (n, n + F), or (2 n, 2 n + 1) if `interleaved`. The other elements stay as they are.
    With `inverse` the angle is negative. A position outside [0, P) is an error that the caller must exclude; the
    interpreter reports it. Su et al., 2021, arXiv:2104.09864.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_FloatTensor:$table, Linnet_IntTensor:$positions,
    DefaultValuedAttr<BoolAttr, "false">:$interleaved, DefaultValuedAttr<BoolAttr, "false">:$inverse);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$operand `,` $table `,` $positions attr-dict `:` type($operand) `,` type($table) `,`
    type($positions)}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {3, getOperand()}; } }];
}

//===- normalization and reductions --------------------------------------------------------------------===//

def Linnet_LayerNormOp : Linnet_Op<"layer_norm", [Pure, Linnet_CountsFlops, Linnet_Differentiable, AllTypesMatch<["operand", "result"]>]> {
  let summary = "layer normalization over the last dimension";
  let description = [{
    result = (x - mean) / sqrt(variance + epsilon) * gain + bias, with the mean and the biased variance of the
    last dimension. gain and bias (C). Ba et al., 2016, arXiv:1607.06450.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_FloatTensor:$gain, Linnet_FloatTensor:$bias, F32Attr:$epsilon);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $gain `,` $bias attr-dict `:` type($operand) `,` type($gain) `,` type($bias)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {8, getOperand()}; } }];
}

def Linnet_RmsNormOp : Linnet_Op<"rms_norm", [Pure, Linnet_CountsFlops, Linnet_Differentiable,
    AllTypesMatch<["operand", "result"]>]> {
  let summary = "normalization by the root of the mean square over the last dimension";
  let description = [{
    result = x / sqrt(mean(x^2) + epsilon) * gain, with the mean of the last dimension. gain (C). Zhang and Sennrich,
    2019, arXiv:1910.07467.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_FloatTensor:$gain, F32Attr:$epsilon);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $gain attr-dict `:` type($operand) `,` type($gain)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {4, getOperand()}; } }];
}

def Linnet_SoftmaxOp : Linnet_Op<"softmax", [Pure, Linnet_CountsFlops, Linnet_Differentiable, SameOperandsAndResultType]> {
  let summary = "softmax over the last dimension";
  let description = [{
    result[..., i] = e^(x[..., i] - m) / sum_j e^(x[..., j] - m), m the maximum of the row.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand)";
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {4, getOperand()}; } }];
}

def Linnet_ReduceOp : Linnet_Op<"reduce", [Pure, Linnet_CountsFlops, Linnet_Differentiable, InferTypeOpAdaptor]> {
  let summary = "sum, mean or maximum along one dimension";
  let description = [{
    Dimension `dim` (0 is the first) is kept with size 1.
  }];
  let arguments = (ins Linnet_ReduceKindAttr:$kind, Linnet_FloatTensor:$operand, I64Attr:$dim);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$kind $operand `dim` $dim attr-dict `:` type($operand)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getOperand()}; } }];
}

def Linnet_ArgmaxOp : Linnet_Op<"argmax", [Pure, Linnet_CountsFlops, InferTypeOpAdaptor]> {
  let summary = "index of the largest element of the last dimension";
  let description = [{
    Ties give the lowest index. The last dimension is removed; the result is i32.
  }];
  let arguments = (ins Linnet_FloatTensor:$operand);
  let results = (outs Linnet_IntTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getOperand()}; } }];
}

def Linnet_SampleOp : Linnet_Op<"sample", [Pure, Linnet_CountsFlops, InferTypeOpAdaptor]> {
  let summary = "an index drawn from each row of logits";
  let description = [{
    x = logits (B, V), temperature, top_k, top_p, position, copy (B), seed (2), result (B) in i32. For row b:

    - top_k: K = {i : x[i] >= the k-th largest of x} if 0 < k = top_k[b] < V, else all i. NaN counts as -infinity and
      is never in K.
    - w[i] = e^((x[i] - max x) / temperature[b]) for i in K
    - top_p: if p = top_p[b] < 1, the least likely i whose weights sum to at most (1 - p) sum w are removed from K. Of
      equal weights the highest i is removed first. The likeliest i stays.
    - u in [0, 1) is the first word of Philox4x32-10 with the key (seed[0], seed[1]) and the counter
      (position[b], 0, copy[b], 0), its upper 24 bits times 2^-24: the same on every device.
    - result[b] = the first i in K, in order of i, with sum_(j in K, j <= i) w[j] > u sum_(j in K) w[j]

    If the largest x is +infinity, the result is the first i that has it. If no x is above -infinity, it is 0. The caller
    must pass a temperature above 0.
  }];
  let arguments = (ins Linnet_FloatTensor:$logits, RankedTensorOf<[F32]>:$temperature, Linnet_IntTensor:$top_k,
    RankedTensorOf<[F32]>:$top_p, Linnet_IntTensor:$seed, Linnet_IntTensor:$position, Linnet_IntTensor:$copy);
  let results = (outs Linnet_IntTensor:$result);
  let assemblyFormat = [{$logits `temperature` $temperature `top_k` $top_k `top_p` $top_p `seed` $seed
    `position` $position `copy` $copy attr-dict `:` type($logits) `,` type($temperature) `,` type($top_k) `,`
    type($top_p) `,` type($seed) `,` type($position) `,` type($copy)}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getLogits()}; } }];
}

def Linnet_PoolOp : Linnet_Op<"pool", [Pure, Linnet_CountsFlops, Linnet_Differentiable, InferTypeOpAdaptor]> {
  let summary = "one vector for each sequence";
  let description = [{
    x (B, T, C), length (B) with 1 <= length[b] <= T, result (B, C): x[b, length[b] - 1, :] (`last`),
    x[b, 0, :] (`first`), or the mean of x[b, t, :] over t < length[b] (`mean`).
  }];
  let arguments = (ins Linnet_PoolModeAttr:$mode, Linnet_FloatTensor:$operand, Linnet_IntTensor:$length);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$mode $operand `,` $length attr-dict `:` type($operand) `,` type($length)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getOperand()}; } }];
}

//===- shape -------------------------------------------------------------------------------------------===//

def Linnet_ReshapeOp : Linnet_Op<"reshape", [Pure, Linnet_Differentiable, Linnet_ViewOpInterface]> {
  let summary = "the same elements in another shape";
  let description = [{
    Row-major order is kept. The dynamic dimensions lead and stay the same, in the same order; the product of
    the static ones is equal.
  }];
  let arguments = (ins Linnet_AnyTensor:$operand);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Linnet_SliceOp : Linnet_Op<"slice", [Pure, Linnet_Differentiable, Linnet_ViewOpInterface,
    InferTypeOpAdaptor]> {
  let summary = "a range of one dimension";
  let description = [{
    result[..., i, ...] = x[..., offset + i, ...] along `dim`, 0 <= i < size. The dimension is
    static and offset + size does not exceed it.
  }];
  let arguments = (ins Linnet_AnyTensor:$operand, I64Attr:$dim, I64Attr:$offset, I64Attr:$size);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$operand `dim` $dim `offset` $offset `size` $size attr-dict `:` type($operand)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Linnet_TransposeOp : Linnet_Op<"transpose", [Pure, Linnet_Differentiable, InferTypeOpAdaptor]> {
  let summary = "dimensions in another order";
  let description = [{
    result's dimension i is operand's dimension permutation[i].
  }];
  let arguments = (ins Linnet_AnyTensor:$operand, DenseI64ArrayAttr:$permutation);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$operand $permutation attr-dict `:` type($operand)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Linnet_ConcatOp : Linnet_Op<"concat", [Pure, Linnet_Differentiable, InferTypeOpAdaptor]> {
  let summary = "tensors concatenated along one dimension";
  let description = [{
    All operands are equal in every other dimension. Along `dim` their sizes are static and add up.
  }];
  let arguments = (ins Variadic<Linnet_AnyTensor>:$operands, I64Attr:$dim);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$operands `dim` $dim attr-dict `:` type($operands)";
  let hasVerifier = 1;
}

def Linnet_RelayoutOp : Linnet_Op<"relayout", [Pure]> {
  let summary = "the same values stored in another layout";
  let description = [{
    Element type and shape are equal; only the encoding differs (plain or `#linnet.panel`).
    On a `linnet.param` it folds into the param's type: the weight is packed at compile time.
  }];
  let arguments = (ins Linnet_AnyTensor:$operand);
  let results = (outs Linnet_AnyTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

//===- fusion ------------------------------------------------------------------------------------------===//

def Linnet_FusedOp : Linnet_Op<"fused", [Pure, Linnet_CountsFlops, SingleBlock, IsolatedFromAbove]> {
  let summary = "an elementwise expression as one kernel";
  let description = [{
    The region computes one element of each result from one element of each input, both as scalars:

        %r = linnet.fused (%a = %x : tensor<4x8xf32>, %b = %y : tensor<8xf32>) -> tensor<4x8xf32> {
          %0 = linnet.add %a, %b : f32, f32
          linnet.yield %0 : f32
        }

    Inputs broadcast to the results' common shape as in NumPy. The region holds elementwise ops and
    `linnet.constant` on scalars. With `reduce`, the one result is that reduction (as of `linnet.reduce`) of
    the region's value along the last dimension, which is kept with size 1.
  }];
  let arguments = (ins Variadic<Linnet_AnyTensor>:$inputs, OptionalAttr<Linnet_ReduceKindAttr>:$reduce);
  let results = (outs Variadic<Linnet_AnyTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::ValueRange":$inputs,
    "::llvm::function_ref<::llvm::SmallVector<::mlir::Value>(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>":$body)>];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {arithmeticOps(), getResult(0)}; } }];
  let extraClassDeclaration = [{
    /// Ops of the region but constants.
    int64_t arithmeticOps();
  }];
}

def Linnet_YieldOp : Linnet_Op<"yield", [Pure, ReturnLike, Terminator, HasParent<"FusedOp">]> {
  let summary = "ends the region of a fused op";
  let description = [{
    Its operands are the elements of the results.
  }];
  let arguments = (ins Variadic<Linnet_NumberLike>:$operands);
  let assemblyFormat = "$operands attr-dict `:` type($operands)";
}

#endif
