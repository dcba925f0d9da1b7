// What each verifier says.
// RUN: linnet-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<2x768xf32>, %w: tensor<512x4xf32>) {
  // expected-error@+1 {{'linnet.matmul' op lhs (2, 768) and rhs (512, 4): K differs: (768) and (512)}}
  %0 = linnet.matmul %x, %w : tensor<2x768xf32>, tensor<512x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xf32>, %b: tensor<8xf32>) {
  // expected-error@+1 {{'linnet.matmul' op bias is (8), expected (4)}}
  %0 = linnet.matmul %x, %w bias %b : tensor<2x8xf32>, tensor<8x4xf32> bias tensor<8xf32>
  return
}
// -----
func.func @f(%x: tensor<3x2x8xf32>, %w: tensor<4x8x4xf32>) {
  // expected-error@+1 {{leading dimensions differ}}
  %0 = linnet.matmul %x, %w : tensor<3x2x8xf32>, tensor<4x8x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{'linnet.matmul' op int8_rows needs an rhs of integers with a scale, and no transpose_lhs}}
  %0 = linnet.matmul %x, %w {int8_rows = 32 : i64} : tensor<2x8xf32>, tensor<8x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xi8>, %s: tensor<1x4xf32>) {
  // expected-error@+1 {{'linnet.matmul' op int8_rows is -1, expected at least 0}}
  %0 = linnet.matmul %x, %w scale %s {int8_rows = -1 : i64} : tensor<2x8xf32>, tensor<8x4xi8> scale tensor<1x4xf32>
  return
}
// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xi8>, %s: tensor<1x4xf32>) {
  // expected-error@+1 {{'linnet.matmul' op int8_group is -1, expected a number from 0 to 2^31 - 1}}
  %0 = linnet.matmul %x, %w scale %s {int8_rows = 1 : i64, int8_group = -1 : i64} : tensor<2x8xf32>, tensor<8x4xi8> scale tensor<1x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xi8>, %s: tensor<1x4xf32>) {
  // expected-error@+1 {{'linnet.matmul' op int8_group needs int8_rows}}
  %0 = linnet.matmul %x, %w scale %s {int8_group = 4 : i64} : tensor<2x8xf32>, tensor<8x4xi8> scale tensor<1x4xf32>
  return
}

// -----
func.func @f(%q: tensor<1x2x2x8xf32>, %k: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{'linnet.attention' op bf16_rows is -2, expected at least 0}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32, bf16_rows = -2 : i64} : tensor<1x2x2x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xf32, #linnet.panel<16x64, transposed>>) {
  // expected-error@+1 {{rhs's panel layout and transpose_rhs disagree}}
  %0 = linnet.matmul %x, %w : tensor<2x8xf32>, tensor<8x4xf32, #linnet.panel<16x64, transposed>>
  return
}
// -----
func.func @f(%x: tensor<?x8xf32, #linnet.dims<batch>>, %y: tensor<?x8xf32, #linnet.dims<seq>>) {
  // expected-error@+1 {{'linnet.add' op lhs (batch, 8) and rhs (seq, 8) do not broadcast}}
  %0 = linnet.add %x, %y : tensor<?x8xf32, #linnet.dims<batch>>, tensor<?x8xf32, #linnet.dims<seq>>
  return
}
// -----
func.func @f(%x: tensor<2xf32>, %y: tensor<2xf16>) {
  // expected-error@+1 {{element types differ: 'f32' and 'f16'}}
  %0 = linnet.add %x, %y : tensor<2xf32>, tensor<2xf16>
  return
}
// -----
func.func @f(%t: tensor<2x3x4xf32>, %i: tensor<5xi32>) {
  // expected-error@+1 {{'linnet.embed' op table is (2, 3, 4), expected 2 dimensions}}
  %0 = linnet.embed %t, %i : tensor<2x3x4xf32>, tensor<5xi32>
  return
}
// -----
func.func @f(%p: tensor<3xi32>, %i: tensor<2x5xi32>) {
  // expected-error@+1 {{past is (3), expected (2)}}
  %0 = linnet.positions %p, %i limit 8 : tensor<3xi32>, tensor<2x5xi32>
  return
}
// -----
func.func @f(%q: tensor<1x2x3x4xf32>, %k: tensor<1x3x9x5xf32>) {
  // expected-error@+1 {{k is (1, 3, 9, 5), expected (1, 3, 9, 4)}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32} : tensor<1x2x3x4xf32>, tensor<1x3x9x5xf32>, tensor<1x3x9x5xf32>
  return
}
// -----
func.func @f(%q: tensor<1x2x6x4xf32>, %k: tensor<1x4x9x4xf32>) {
  // expected-error@+1 {{'linnet.attention' op k is (1, 4, 9, 4) and q is (1, 2, 6, 4): k's number of heads, dimension 1, does not divide q's, dimension 2}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32} : tensor<1x2x6x4xf32>, tensor<1x4x9x4xf32>, tensor<1x4x9x4xf32>
  return
}
// -----
func.func @f(%q: tensor<1x2x6x4xf32>, %k: tensor<1x2x9x4xf32>, %v: tensor<1x6x9x4xf32>) {
  // expected-error@+1 {{v is (1, 6, 9, 4), expected (1, 2, 9, 4)}}
  %0 = linnet.attention %q, %k, %v {scale = 1.0 : f32} : tensor<1x2x6x4xf32>, tensor<1x2x9x4xf32>, tensor<1x6x9x4xf32>
  return
}
// -----
func.func @f(%q: tensor<1x2x3x4xf32>, %k: tensor<1x3x9x4xf32>) {
  // expected-error@+1 {{'linnet.attention' op window is -1, expected at least 0}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32, window = -1 : i64} : tensor<1x2x3x4xf32>, tensor<1x3x9x4xf32>, tensor<1x3x9x4xf32>
  return
}
// -----
func.func @f(%q: tensor<1x2x3x4xf32>, %k: tensor<1x3x9x4xf32>) {
  // expected-error@+1 {{'linnet.attention' op window is 5 without causal, expected 0}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32, window = 5 : i64, causal = false} : tensor<1x2x3x4xf32>, tensor<1x3x9x4xf32>, tensor<1x3x9x4xf32>
  return
}
// -----
func.func @f(%q: tensor<1x2x3x4xf32>, %k: tensor<1x3x9x4xf32>) {
  // expected-error@+1 {{'linnet.attention' op cap is -2}}
  %0 = linnet.attention %q, %k, %k {scale = 1.0 : f32, cap = -2.0 : f32} : tensor<1x2x3x4xf32>, tensor<1x3x9x4xf32>, tensor<1x3x9x4xf32>
  return
}
// -----
func.func @f(%s: tensor<1x2x3x4xf32>) {
  // expected-error@+1 {{'linnet.mask' op window is 5 without causal, expected 0}}
  %0 = linnet.mask %s {window = 5 : i64, causal = false} : tensor<1x2x3x4xf32>
  return
}
// -----
func.func @f(%c: tensor<1x3x9x4xf32>, %n: tensor<1x2x4x4xf32>, %p: tensor<1xi32>) {
  // expected-error@+1 {{entries is (1, 2, 4, 4), expected (1, 2, 3, 4)}}
  %0 = linnet.cache_append %c, %n, %p : tensor<1x3x9x4xf32>, tensor<1x2x4x4xf32>, tensor<1xi32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %g: tensor<4xf32>, %b: tensor<8xf32>) {
  // expected-error@+1 {{gain is (4), expected (8)}}
  %0 = linnet.layer_norm %x, %g, %b {epsilon = 1.0e-5 : f32} : tensor<2x8xf32>, tensor<4xf32>, tensor<8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{'linnet.reduce' op dim is 2, operand (2, 8) has no such dimension}}
  %0 = linnet.reduce sum %x dim 2 : tensor<2x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %n: tensor<2xi32>) {
  // expected-error@+1 {{'linnet.pool' op operand is (2, 8), expected 3 dimensions}}
  %0 = linnet.pool last %x, %n : tensor<2x8xf32>, tensor<2xi32>
  return
}
// -----
func.func @f(%x: tensor<?x8xf32, #linnet.dims<batch>>) {
  // expected-error@+1 {{element counts differ}}
  %0 = linnet.reshape %x : tensor<?x8xf32, #linnet.dims<batch>> to tensor<?x9xf32, #linnet.dims<batch>>
  return
}
// -----
func.func @f(%x: tensor<?x8xf32, #linnet.dims<batch>>) {
  // expected-error@+1 {{dynamic dimensions lead and stay the same}}
  %0 = linnet.reshape %x : tensor<?x8xf32, #linnet.dims<batch>> to tensor<8x?xf32, #linnet.dims<batch>>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{'linnet.slice' op offset 5 and size 4 leave dimension 1 of (2, 8)}}
  %0 = linnet.slice %x dim 1 offset 5 size 4 : tensor<2x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{'linnet.slice' op offset 9223372036854775807 and size 4 leave dimension 1}}
  %0 = linnet.slice %x dim 1 offset 9223372036854775807 size 4 : tensor<2x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{permutation is expected to order the 2 dimensions of (2, 8)}}
  %0 = linnet.transpose %x [1, 1] : tensor<2x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %y: tensor<3x8xf32>) {
  // expected-error@+1 {{operand 1 (3, 8) does not continue (2, 8) along dimension 1}}
  %0 = linnet.concat %x, %y dim 1 : tensor<2x8xf32>, tensor<3x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{only the layout may differ}}
  %0 = linnet.relayout %x : tensor<2x8xf32> to tensor<2x9xf32, #linnet.panel<16x64>>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{shapes differ}}
  %0 = linnet.cast %x : tensor<2x8xf32> to tensor<8x2xf16>
  return
}
// -----
func.func @f() {
  // expected-error@+1 {{the name is empty}}
  %0 = linnet.param "" : tensor<2xf32>
  return
}
// -----
func.func @f() {
  // expected-error@+1 {{a weight has a static shape, found (batch)}}
  %0 = linnet.param "w" : tensor<?xf32, #linnet.dims<batch>>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{input 0 has elements of type 'f32', its region argument is 'f16'}}
  %0 = "linnet.fused"(%x) ({
  ^bb0(%a: f16):
    linnet.yield %a : f16
  }) : (tensor<2x8xf32>) -> tensor<2x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error@+1 {{result 0 is (2, 4), the inputs broadcast to (2, 8)}}
  %0 = linnet.fused (%a = %x : tensor<2x8xf32>) -> tensor<2x4xf32> {
    linnet.yield %a : f32
  }
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>) {
  %0 = linnet.fused (%a = %x : tensor<2x8xf32>) -> tensor<2x8xf32> {
    // expected-error@+1 {{is not legal in linnet.fused: expected elementwise ops and constants on scalars}}
    %c = linnet.constant dense<1.0> : tensor<2xf32>
    linnet.yield %a : f32
  }
  return
}
// -----
// expected-error@+1 {{linnet.bounds: batch is expected to be an integer from 1 to 2^40}}
func.func @f() attributes {linnet.bounds = {batch = 0}} {
  return
}
// -----
// expected-error@+1 {{linnet.bounds is expected to be a dictionary}}
func.func @f() attributes {linnet.bounds = 3} {
  return
}
// -----
// expected-error@+1 {{linnet.panel: blocks are from 1 to 4096}}
func.func private @f(tensor<2x2xf32, #linnet.panel<0x64>>)
// -----
// expected-error@+1 {{linnet.dims names 1 dimensions, the shape has 2 dynamic ones}}
func.func private @f(tensor<?x?xf32, #linnet.dims<batch>>)
// -----
// expected-error@+1 {{linnet.panel is a layout of static matrices}}
func.func private @f(tensor<2x2x2xf32, #linnet.panel<16x64>>)
// -----
// expected-error@+1 {{linnet.name "x" is on more than one argument}}
func.func @f(%a: tensor<2xf32> {linnet.name = "x"}, %b: tensor<2xf32> {linnet.name = "x"}) {
  return
}
// -----
// expected-error@+1 {{linnet.state "k" is an argument only; a state is both}}
func.func @f(%a: tensor<2xf32> {linnet.state = "k"}) {
  return
}
// -----
// expected-error@+1 {{linnet.state "k" is 'tensor<2xf32>' as argument and 'tensor<3xf32>' at the other end}}
func.func @f(%a: tensor<2xf32> {linnet.state = "k"}, %b: tensor<3xf32>) -> (tensor<3xf32> {linnet.state = "k"}) {
  return %b : tensor<3xf32>
}
// -----
// expected-error@+1 {{linnet.name is expected to be a string}}
func.func @f(%a: tensor<2xf32> {linnet.name = 3}) {
  return
}
// -----
func.func @f(%w: tensor<4x8xf32>) {
  // expected-error@+1 {{bits is 5, expected 4 or 8}}
  %0 = linnet.quantize_scale %w {bits = 5 : i64, dim = 0 : i64, group = 0 : i64} : tensor<4x8xf32>
  return
}
// -----
func.func @f(%w: tensor<4x8xf32>, %s: tensor<2x8xf32>) {
  // expected-error@+1 {{scale is (2, 8), expected (1, 8)}}
  %0 = linnet.quantize %w, %s {bits = 8 : i64, dim = 0 : i64, group = 0 : i64} : tensor<4x8xf32>, tensor<2x8xf32>
  return
}
// -----
func.func @f(%w: tensor<4x8xf32>) {
  // expected-error@+1 {{'linnet.quantize_scale' op asymmetric needs 4 bits and a group, found bits 8 and group 2}}
  %0 = linnet.quantize_scale %w {asymmetric, bits = 8 : i64, dim = 0 : i64, group = 2 : i64} : tensor<4x8xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xi8>, %s: tensor<4x4xf32>) {
  // expected-error@+1 {{asymmetric needs a matrix of i4 in groups, found 'i8' and group 4}}
  %0 = linnet.matmul %x, %w scale %s {asymmetric, group = 4 : i64} : tensor<2x8xf32>, tensor<8x4xi8> scale tensor<4x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x8xf32>, %w: tensor<8x4xi4>, %s: tensor<2x4xf32>) {
  // expected-error@+1 {{scale is (2, 4), expected (4, 4)}}
  %0 = linnet.matmul %x, %w scale %s {asymmetric, group = 4 : i64} : tensor<2x8xf32>, tensor<8x4xi4> scale tensor<2x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x3x4xf32>) {
  // expected-error@+1 {{operand is (2, 3, 4), expected 4 dimensions}}
  %0 = linnet.mask %x : tensor<2x3x4xf32>
  return
}
// -----
func.func @f(%x: tensor<f32>) {
  // expected-error@+1 {{operand is a scalar}}
  %0 = linnet.argmax %x : tensor<f32>
  return
}
// -----
func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{requires the same type for all operands and results}}
  %0 = "linnet.softmax"(%x) : (tensor<2xf32>) -> tensor<3xf32>
  return
}
