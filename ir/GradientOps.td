// Ops of training: a loss, sums into accumulators, gradients that no composition of other ops expresses, the
// optimizer's step.
#ifndef LINNET_IR_GRADIENTOPS_TD
#define LINNET_IR_GRADIENTOPS_TD

include "ir/ElementwiseOps.td"

//===- loss --------------------------------------------------------------------------------------------===//

def Linnet_CrossEntropyOp : Linnet_Op<"cross_entropy", [Pure, Linnet_CountsFlops, InferTypeOpAdaptor,
    Linnet_Differentiable]> {
  let summary = "cross entropy of each row against one label";
  let description = [{
    logits (..., V), labels (...), result (...):

        result[i] = ln sum_j e^logits[i, j] - logits[i, labels[i]]

    It is 0 if labels[i] is negative: such a position does not count. A label of V or more is an error that the
    caller must exclude; the interpreter reports it.
  }];
  let arguments = (ins Linnet_FloatTensor:$logits, Linnet_IntTensor:$labels);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$logits `,` $labels attr-dict `:` type($logits) `,` type($labels)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {4, getLogits()}; } }];
}

def Linnet_CrossEntropyGradOp : Linnet_Op<"cross_entropy_grad", [Pure, Linnet_CountsFlops, AllTypesMatch<["logits", "result"]>]> {
  let summary = "gradient of cross_entropy by its logits";
  let description = [{
    logits (..., V), labels (...), gradient (...) of the loss by each position's cross entropy:

        result[i, j] = gradient[i] (e^logits[i, j] / sum_l e^logits[i, l] - (j = labels[i]))

    It is 0 if labels[i] is negative.
  }];
  let arguments = (ins Linnet_FloatTensor:$logits, Linnet_IntTensor:$labels, Linnet_FloatTensor:$gradient);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$logits `,` $labels `,` $gradient attr-dict `:` type($logits) `,` type($labels) `,`
    type($gradient)}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {6, getLogits()}; } }];
}

//===- dropout -----------------------------------------------------------------------------------------===//

def Linnet_DropoutOp : Linnet_Op<"dropout", [Pure, Linnet_CountsFlops, Linnet_Differentiable,
    AllTypesMatch<["operand", "result"]>]> {
  let summary = "random elements set to 0, the others scaled up";
  let description = [{
    operand any shape, key (2). For element i in row-major order:

        result[i] = operand[i] / (1 - rate) if u(i) >= rate, else 0

    u(i) in [0, 1) is the first word of Philox4x32-10 with the key (key[0], key[1]) and the counter
    (i mod 2^32, i / 2^32, stream, 0), its upper 24 bits times 2^-24: the same on every device, and in the
    gradient, which is this op on the result's. Srivastava et al., 2014, JMLR 15(56).
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_IntTensor:$key, F32Attr:$rate, I64Attr:$stream);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand `key` $key attr-dict `:` type($operand) `,` type($key)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {2, getOperand()}; } }];
}

//===- sums into an accumulator ------------------------------------------------------------------------===//

def Linnet_ContractOp : Linnet_Op<"contract", [Pure, Linnet_CountsFlops, Linnet_InPlaceOpInterface,
    AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "outer products of rows, summed into an accumulator";
  let description = [{
    accumulator (K, N), lhs (..., K), rhs (..., N) with the same leading dimensions:

        result[k, n] = accumulator[k, n] + sum_i lhs[i, k] rhs[i, n]

    over all leading positions i: the gradient of a weight that a matmul multiplies by. Sums are in f32 at least.
    With the unit attribute `linnet.in_place` a backend adds into the accumulator's own buffer.
  }];
  let arguments = (ins Linnet_FloatTensor:$accumulator, Linnet_FloatTensor:$lhs, Linnet_FloatTensor:$rhs);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$accumulator `,` $lhs `,` $rhs attr-dict `:` type($accumulator) `,` type($lhs) `,`
    type($rhs)}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {2, getLhs(), getResult(), 1}; } }];
}

def Linnet_SumRowsOp : Linnet_Op<"sum_rows", [Pure, Linnet_CountsFlops, Linnet_InPlaceOpInterface,
    AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "rows summed into an accumulator";
  let description = [{
    accumulator (N), operand (..., N): result[n] = accumulator[n] + sum_i operand[i, n] over all leading positions
    i: the gradient of a bias. With the unit attribute `linnet.in_place` as `contract`.
  }];
  let arguments = (ins Linnet_FloatTensor:$accumulator, Linnet_FloatTensor:$operand);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$accumulator `,` $operand attr-dict `:` type($accumulator) `,` type($operand)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getOperand()}; } }];
}

def Linnet_ScatterAddOp : Linnet_Op<"scatter_add", [Pure, Linnet_CountsFlops, Linnet_InPlaceOpInterface,
    AllTypesMatch<["table", "result"]>]> {
  let summary = "rows added to the rows of a table that ids name";
  let description = [{
    table (V, C), ids any shape, rows ids' shape x C:

        result[v, c] = table[v, c] + sum over i with ids[i] = v, in order of i, of rows[i, c]

    the gradient of `embed`. An id outside [0, V) is an error that the caller must exclude; the interpreter reports
    it. With the unit attribute `linnet.in_place` as `contract`.
  }];
  let arguments = (ins Linnet_FloatTensor:$table, Linnet_IntTensor:$ids, Linnet_FloatTensor:$rows);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$table `,` $ids `,` $rows attr-dict `:` type($table) `,` type($ids) `,` type($rows)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {1, getRows()}; } }];
}

//===- gradients of single ops -------------------------------------------------------------------------===//

def Linnet_LayerNormGradOp : Linnet_Op<"layer_norm_grad", [Pure, Linnet_CountsFlops,
    AllTypesMatch<["operand", "gradient", "result"]>]> {
  let summary = "gradient of layer_norm by its operand";
  let description = [{
    With y = (x - mean) / s, s = sqrt(variance + epsilon) of each row of x, and g = gradient * gain:

        result = (g - mean(g) - y mean(g y)) / s
  }];
  let arguments = (ins Linnet_FloatTensor:$operand, Linnet_FloatTensor:$gain, Linnet_FloatTensor:$gradient,
    F32Attr:$epsilon);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $gain `,` $gradient attr-dict `:` type($operand) `,` type($gain)";
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {14, getOperand()}; } }];
}

def Linnet_AttentionGradOp : Linnet_Op<"attention_grad", [Pure, Linnet_CountsFlops,
    AllTypesMatch<["q", "gradient", "q_gradient"]>, AllTypesMatch<["k", "v", "k_gradient", "v_gradient"]>]> {
  let summary = "gradients of attention by q, k and v";
  let description = [{
    q and gradient (B, T, H, D), k and v (B, G, S, D), scale, cap, causal and window are those of `attention` without
    `past`. s[j] are the products that it scales, p is the softmax of row (b, t, h) over the keys j that it reads, and
    d = gradient[b, t, h]:

        e[j]              = p[j] (d v[b,g,j] - sum_l p[l] d v[b,g,l])
        q_gradient[b,t,h] = scale sum_j e[j] k[b,g,j]
        k_gradient[b,g,j] = scale sum_(h, t) e[j] q[b,t,h]
        v_gradient[b,g,j] = sum_(h, t) p[j] d

    over the heads h that read key head g. With `cap` C > 0, e[j] is also multiplied by 1 - tanh(s[j] / C)^2.
  }];
  let arguments = (ins Linnet_FloatTensor:$q, Linnet_FloatTensor:$k, Linnet_FloatTensor:$v,
    Linnet_FloatTensor:$gradient, Optional<Linnet_IntTensor>:$length, F32Attr:$scale,
    DefaultValuedAttr<F32Attr, "0.0f">:$cap, DefaultValuedAttr<BoolAttr, "true">:$causal,
    DefaultValuedAttr<I64Attr, "0">:$window);
  let results = (outs Linnet_FloatTensor:$q_gradient, Linnet_FloatTensor:$k_gradient,
    Linnet_FloatTensor:$v_gradient);
  let assemblyFormat = [{$q `,` $k `,` $v `,` $gradient (`length` $length^)? attr-dict `:` type($q) `,` type($k)
    (`length` type($length)^)?}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {10, getQ(), getK(), 2}; } }];
}

def Linnet_PoolGradOp : Linnet_Op<"pool_grad", [Pure, AllTypesMatch<["like", "result"]>]> {
  let summary = "gradient of pool";
  let description = [{
    gradient (B, C), length (B), like and result (B, T, C): gradient[b] at position length[b] - 1 (`last`) or 0
    (`first`), or gradient[b] / length[b] at each position below length[b] (`mean`); 0 elsewhere. Of `like` only the
    shape is used.
  }];
  let arguments = (ins Linnet_PoolModeAttr:$mode, Linnet_FloatTensor:$gradient, Linnet_IntTensor:$length,
    Linnet_FloatTensor:$like);
  let results = (outs Linnet_FloatTensor:$result);
  let assemblyFormat = [{$mode $gradient `,` $length `,` $like attr-dict `:` type($gradient) `,` type($length) `,`
    type($like)}];
  let hasVerifier = 1;
}

//===- optimizer ---------------------------------------------------------------------------------------===//

def Linnet_AdamWOp : Linnet_Op<"adamw", [Pure, Linnet_CountsFlops,
    AllTypesMatch<["param", "gradient", "m", "v", "new_param", "cleared", "new_m", "new_v"]>]> {
  let summary = "one step of AdamW";
  let description = [{
    Elementwise on param, gradient, m and v; lr, scale, m_scale and v_scale are (1):

        g         = gradient scale + pull (param - start)
        new_m     = beta1 m + (1 - beta1) g
        new_v     = beta2 v + (1 - beta2) g^2
        new_param = param - lr lr_scale (new_m m_scale / (sqrt(new_v v_scale) + epsilon) + decay param)
        cleared   = 0

    with m_scale = 1 / (1 - beta1^t) and v_scale = 1 / (1 - beta2^t) at step t = 1, 2, .... `cleared` is the
    gradient's accumulator for the next step. `pull` pulls param towards `start`, the weights before finetuning
    (L2-SP). Loshchilov and Hutter, 2019, arXiv:1711.05101; Li et al., 2018, arXiv:1802.01483.
  }];
  let arguments = (ins Linnet_FloatTensor:$param, Linnet_FloatTensor:$gradient, Linnet_FloatTensor:$m,
    Linnet_FloatTensor:$v, Linnet_FloatTensor:$lr, Linnet_FloatTensor:$scale, Linnet_FloatTensor:$m_scale,
    Linnet_FloatTensor:$v_scale, Optional<Linnet_FloatTensor>:$start, F32Attr:$beta1, F32Attr:$beta2,
    F32Attr:$epsilon, F32Attr:$decay, F32Attr:$lr_scale, F32Attr:$pull);
  let results = (outs Linnet_FloatTensor:$new_param, Linnet_FloatTensor:$cleared, Linnet_FloatTensor:$new_m,
    Linnet_FloatTensor:$new_v);
  let assemblyFormat = [{$param `,` $gradient `,` $m `,` $v `lr` $lr `scale` $scale `m_scale` $m_scale `v_scale`
    $v_scale (`start` $start^)? attr-dict `:` type($param) `,` type($lr) `,` type($scale) `,` type($m_scale) `,`
    type($v_scale) (`start` type($start)^)?}];
  let hasVerifier = 1;
  let extraClassDefinition = [{ ::linnet::ir::Flops $cppClass::flops() { return {17, getParam()}; } }];
}

#endif
