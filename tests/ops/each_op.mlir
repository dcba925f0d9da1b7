// Each op of the dialect at least once, in the smallest function that shows it. op_parts_test.cpp wants each op here;
// the conformance tests run each function on each backend. Inputs are drawn: floats from [-1, 1), integers 1 or 2.

!x = tensor<?x5xf32, #linnet.dims<batch>>
!row = tensor<?xi32, #linnet.dims<batch>>
!scores = tensor<?x2x3x4xf32, #linnet.dims<batch>>
!heads = tensor<?x3x2x4xf32, #linnet.dims<batch>>
!tokens = tensor<?x3xi32, #linnet.dims<batch>>
!cache = tensor<?x2x6x4xf32, #linnet.dims<batch>>

func.func @add(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.add %x, %y : !x, tensor<5xf32>
  return %r : !x
}
func.func @sub(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.sub %x, %y : !x, tensor<5xf32>
  return %r : !x
}
func.func @mul(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.mul %x, %y : !x, tensor<5xf32>
  return %r : !x
}
func.func @div(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %positive = linnet.exp %y : tensor<5xf32>
  %r = linnet.div %x, %positive : !x, tensor<5xf32>
  return %r : !x
}
func.func @max(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.max %x, %y : !x, tensor<5xf32>
  return %r : !x
}
func.func @min(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.min %x, %y : !x, tensor<5xf32>
  return %r : !x
}
func.func @neg(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.neg %x : !x
  return %r : !x
}
func.func @exp(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.exp %x : !x
  return %r : !x
}
func.func @log(%x: !x {linnet.name = "x"}) -> !x {
  %one = linnet.constant dense<1.5> : tensor<1xf32>
  %positive = linnet.add %x, %one : !x, tensor<1xf32>
  %r = linnet.log %positive : !x
  return %r : !x
}
func.func @tanh(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.tanh %x : !x
  return %r : !x
}
func.func @erf(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.erf %x : !x
  return %r : !x
}
func.func @sqrt(%x: !x {linnet.name = "x"}) -> !x {
  %positive = linnet.exp %x : !x
  %r = linnet.sqrt %positive : !x
  return %r : !x
}
func.func @rsqrt(%x: !x {linnet.name = "x"}) -> !x {
  %positive = linnet.exp %x : !x
  %r = linnet.rsqrt %positive : !x
  return %r : !x
}
func.func @relu(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.relu %x : !x
  return %r : !x
}
func.func @silu(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.silu %x : !x
  return %r : !x
}
func.func @gelu(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.gelu tanh %x : !x
  return %r : !x
}
func.func @cast(%x: !x {linnet.name = "x"}) -> tensor<?x5xbf16, #linnet.dims<batch>> {
  %r = linnet.cast %x : !x to tensor<?x5xbf16, #linnet.dims<batch>>
  return %r : tensor<?x5xbf16, #linnet.dims<batch>>
}
func.func @fused(%x: !x {linnet.name = "x"}, %y: tensor<5xf32> {linnet.name = "y"}) -> !x {
  %r = linnet.fused (%a = %x : !x, %b = %y : tensor<5xf32>) -> !x {
    %s = linnet.add %a, %b : f32, f32
    %t = linnet.tanh %s : f32
    linnet.yield %t : f32
  }
  return %r : !x
}

func.func @embed(%ids: !row {linnet.name = "ids"}) -> !x {
  %table = linnet.param "table" : tensor<7x5xf32>
  %r = linnet.embed %table, %ids : tensor<7x5xf32>, !row
  return %r : !x
}
func.func @positions(%past: !row {linnet.name = "past"}, %ids: tensor<?x3xi32, #linnet.dims<batch>> {linnet.name = "ids"})
    -> tensor<?x3xi32, #linnet.dims<batch>> {
  %r = linnet.positions %past, %ids limit 4 : !row, tensor<?x3xi32, #linnet.dims<batch>>
  return %r : tensor<?x3xi32, #linnet.dims<batch>>
}
func.func @matmul(%x: !x {linnet.name = "x"}) -> tensor<?x3xf32, #linnet.dims<batch>> {
  %w = linnet.param "w" : tensor<5x3xf32>
  %r = linnet.matmul %x, %w : !x, tensor<5x3xf32>
  return %r : tensor<?x3xf32, #linnet.dims<batch>>
}
func.func @quantize(%x: tensor<3x64xf32> {linnet.name = "x"}) -> tensor<3x5xf32> {
  %w = linnet.param "w" : tensor<64x5xf32>
  %scale = linnet.quantize_scale %w {bits = 8, dim = 0, group = 0} : tensor<64x5xf32>
  %integers = linnet.quantize %w, %scale {bits = 8, dim = 0, group = 0} : tensor<64x5xf32>, tensor<1x5xf32>
  %r = linnet.matmul %x, %integers scale %scale : tensor<3x64xf32>, tensor<64x5xi8> scale tensor<1x5xf32>
  return %r : tensor<3x5xf32>
}
func.func @attention(%q: !heads {linnet.name = "q"}, %k: !cache {linnet.name = "k"}, %v: !cache {linnet.name = "v"},
    %past: !row {linnet.name = "past"}) -> !heads {
  %r = linnet.attention %q, %k, %v past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !row
  return %r : !heads
}
func.func @attention_with_shared_keys(%q: !heads {linnet.name = "q"}, %k: tensor<?x1x6x4xf32, #linnet.dims<batch>> {linnet.name = "k"},
    %past: !row {linnet.name = "past"}) -> !heads {
  %r = linnet.attention %q, %k, %k past %past {scale = 0.5 : f32, cap = 0.3 : f32, window = 2 : i64} : !heads, tensor<?x1x6x4xf32, #linnet.dims<batch>>, tensor<?x1x6x4xf32, #linnet.dims<batch>> past !row
  return %r : !heads
}
func.func @mask(%x: !scores {linnet.name = "x"}, %past: !row {linnet.name = "past"}) -> !scores {
  %r = linnet.mask %x past %past : !scores past !row
  return %r : !scores
}
func.func @cache_append(%cache: !cache {linnet.name = "cache"}, %new: !heads {linnet.name = "new"}, %past: !row {linnet.name = "past"})
    -> !cache {
  %r = linnet.cache_append %cache, %new, %past : !cache, !heads, !row
  return %r : !cache
}
func.func @rotary(%x: !heads {linnet.name = "x"}, %positions: !tokens {linnet.name = "positions"}) -> !heads {
  %table = linnet.rotary_table [1.0, 0.01] : tensor<3x4xf32>
  %r = linnet.rotary %x, %table, %positions : !heads, tensor<3x4xf32>, !tokens
  return %r : !heads
}
func.func @layer_norm(%x: !x {linnet.name = "x"}) -> !x {
  %gain = linnet.param "gain" : tensor<5xf32>
  %bias = linnet.param "bias" : tensor<5xf32>
  %r = linnet.layer_norm %x, %gain, %bias {epsilon = 1.0e-5 : f32} : !x, tensor<5xf32>, tensor<5xf32>
  return %r : !x
}
func.func @rms_norm(%x: !x {linnet.name = "x"}) -> !x {
  %gain = linnet.param "gain" : tensor<5xf32>
  %r = linnet.rms_norm %x, %gain {epsilon = 1.0e-5 : f32} : !x, tensor<5xf32>
  return %r : !x
}
func.func @softmax(%x: !x {linnet.name = "x"}) -> !x {
  %r = linnet.softmax %x : !x
  return %r : !x
}
func.func @reduce(%x: !x {linnet.name = "x"}) -> tensor<?x1xf32, #linnet.dims<batch>> {
  %r = linnet.reduce mean %x dim 1 : !x
  return %r : tensor<?x1xf32, #linnet.dims<batch>>
}
func.func @argmax(%x: !x {linnet.name = "x"}) -> !row {
  %r = linnet.argmax %x : !x
  return %r : !row
}
func.func @sample(%x: !x {linnet.name = "x"}, %k: !row {linnet.name = "k"}, %seed: tensor<2xi32> {linnet.name = "seed"}) -> !row {
  %warm = linnet.cast %k : !row to tensor<?xf32, #linnet.dims<batch>>
  %r = linnet.sample %x temperature %warm top_k %k top_p %warm seed %seed position %k copy %k : !x, tensor<?xf32, #linnet.dims<batch>>, !row, tensor<?xf32, #linnet.dims<batch>>, tensor<2xi32>, !row, !row
  return %r : !row
}
func.func @pool(%x: tensor<?x3x5xf32, #linnet.dims<batch>> {linnet.name = "x"}, %length: !row {linnet.name = "length"}) -> !x {
  %r = linnet.pool mean %x, %length : tensor<?x3x5xf32, #linnet.dims<batch>>, !row
  return %r : !x
}
func.func @shapes(%x: tensor<?x5x4xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> tensor<?x24xf32, #linnet.dims<batch>> {
  %s = linnet.slice %x dim 1 offset 1 size 3 : tensor<?x5x4xf32, #linnet.dims<batch>>
  %n = linnet.neg %s : tensor<?x3x4xf32, #linnet.dims<batch>>
  %c = linnet.concat %s, %n dim 1 : tensor<?x3x4xf32, #linnet.dims<batch>>, tensor<?x3x4xf32, #linnet.dims<batch>>
  %t = linnet.transpose %c [0, 2, 1] : tensor<?x6x4xf32, #linnet.dims<batch>>
  %r = linnet.reshape %t : tensor<?x4x6xf32, #linnet.dims<batch>> to tensor<?x24xf32, #linnet.dims<batch>>
  return %r : tensor<?x24xf32, #linnet.dims<batch>>
}
func.func @relayout(%x: !x {linnet.name = "x"}) -> tensor<?x3xf32, #linnet.dims<batch>> {
  %w = linnet.param "w" : tensor<5x3xf32>
  %packed = linnet.relayout %w : tensor<5x3xf32> to tensor<5x3xf32, #linnet.panel<16x64>>
  %r = linnet.matmul %x, %packed : !x, tensor<5x3xf32, #linnet.panel<16x64>>
  return %r : tensor<?x3xf32, #linnet.dims<batch>>
}

func.func @cross_entropy(%x: !x {linnet.name = "x"}, %labels: !row {linnet.name = "labels"}) -> tensor<?xf32, #linnet.dims<batch>> {
  %r = linnet.cross_entropy %x, %labels : !x, !row
  return %r : tensor<?xf32, #linnet.dims<batch>>
}
func.func @cross_entropy_grad(%x: !x {linnet.name = "x"}, %labels: !row {linnet.name = "labels"},
    %dy: tensor<?xf32, #linnet.dims<batch>> {linnet.name = "dy"}) -> !x {
  %r = linnet.cross_entropy_grad %x, %labels, %dy : !x, !row, tensor<?xf32, #linnet.dims<batch>>
  return %r : !x
}
func.func @dropout(%x: !x {linnet.name = "x"}, %key: tensor<2xi32> {linnet.name = "key"}) -> !x {
  %r = linnet.dropout %x key %key {rate = 0.25 : f32, stream = 3} : !x, tensor<2xi32>
  return %r : !x
}
func.func @contract(%sum: tensor<5x3xf32> {linnet.name = "sum"}, %x: !x {linnet.name = "x"},
    %dy: tensor<?x3xf32, #linnet.dims<batch>> {linnet.name = "dy"}) -> tensor<5x3xf32> {
  %r = linnet.contract %sum, %x, %dy : tensor<5x3xf32>, !x, tensor<?x3xf32, #linnet.dims<batch>>
  return %r : tensor<5x3xf32>
}
func.func @sum_rows(%sum: tensor<5xf32> {linnet.name = "sum"}, %x: !x {linnet.name = "x"}) -> tensor<5xf32> {
  %r = linnet.sum_rows %sum, %x : tensor<5xf32>, !x
  return %r : tensor<5xf32>
}
func.func @scatter_add(%table: tensor<7x5xf32> {linnet.name = "table"}, %ids: !row {linnet.name = "ids"}, %rows: !x {linnet.name = "rows"})
    -> tensor<7x5xf32> {
  %r = linnet.scatter_add %table, %ids, %rows : tensor<7x5xf32>, !row, !x
  return %r : tensor<7x5xf32>
}
func.func @layer_norm_grad(%x: !x {linnet.name = "x"}, %gain: tensor<5xf32> {linnet.name = "gain"}, %dy: !x {linnet.name = "dy"}) -> !x {
  %r = linnet.layer_norm_grad %x, %gain, %dy {epsilon = 1.0e-5 : f32} : !x, tensor<5xf32>
  return %r : !x
}
func.func @attention_grad(%q: !heads {linnet.name = "q"}, %k: !cache {linnet.name = "k"}, %v: !cache {linnet.name = "v"},
    %dy: !heads {linnet.name = "dy"}) -> (!heads, !cache, !cache) {
  %0, %1, %2 = linnet.attention_grad %q, %k, %v, %dy {scale = 0.5 : f32} : !heads, !cache
  return %0, %1, %2 : !heads, !cache, !cache
}
func.func @attention_grad_with_shared_keys(%q: !heads {linnet.name = "q"}, %k: tensor<?x1x6x4xf32, #linnet.dims<batch>> {linnet.name = "k"},
    %dy: !heads {linnet.name = "dy"}) -> (!heads, tensor<?x1x6x4xf32, #linnet.dims<batch>>, tensor<?x1x6x4xf32, #linnet.dims<batch>>) {
  %0, %1, %2 = linnet.attention_grad %q, %k, %k, %dy {scale = 0.5 : f32, cap = 0.3 : f32, window = 2 : i64} : !heads, tensor<?x1x6x4xf32, #linnet.dims<batch>>
  return %0, %1, %2 : !heads, tensor<?x1x6x4xf32, #linnet.dims<batch>>, tensor<?x1x6x4xf32, #linnet.dims<batch>>
}
func.func @pool_grad(%dy: !x {linnet.name = "dy"}, %length: !row {linnet.name = "length"},
    %like: tensor<?x3x5xf32, #linnet.dims<batch>> {linnet.name = "like"}) -> tensor<?x3x5xf32, #linnet.dims<batch>> {
  %r = linnet.pool_grad mean %dy, %length, %like : !x, !row, tensor<?x3x5xf32, #linnet.dims<batch>>
  return %r : tensor<?x3x5xf32, #linnet.dims<batch>>
}
func.func @adamw(%p: tensor<7xf32> {linnet.name = "p"}, %g: tensor<7xf32> {linnet.name = "g"}, %m: tensor<7xf32> {linnet.name = "m"},
    %root: tensor<7xf32> {linnet.name = "root"}, %lr: tensor<1xf32> {linnet.name = "lr"})
    -> (tensor<7xf32>, tensor<7xf32>, tensor<7xf32>, tensor<7xf32>) {
  %v = linnet.mul %root, %root : tensor<7xf32>, tensor<7xf32>
  %one = linnet.constant dense<1.0> : tensor<1xf32>
  %0, %1, %2, %3 = linnet.adamw %p, %g, %m, %v lr %lr scale %one m_scale %one v_scale %one {beta1 = 0.9 : f32, beta2 = 0.99 : f32, epsilon = 1.0e-3 : f32, decay = 0.1 : f32, lr_scale = 1.0 : f32, pull = 0.0 : f32} : tensor<7xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
  return %0, %1, %2, %3 : tensor<7xf32>, tensor<7xf32>, tensor<7xf32>, tensor<7xf32>
}
