// What the verifiers of training's ops say.
// RUN: linnet-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<2x3xf32>, %k: tensor<3xi32>) {
  // expected-error@+1 {{'linnet.dropout' op key is (3), expected (2)}}
  %0 = linnet.dropout %x key %k {rate = 0.5 : f32, stream = 0 : i64} : tensor<2x3xf32>, tensor<3xi32>
  return
}
// -----
func.func @f(%x: tensor<2x3xf32>, %k: tensor<2xi32>) {
  // expected-error@+1 {{rate is 1.000000e+00, expected from 0 to less than 1}}
  %0 = linnet.dropout %x key %k {rate = 1.0 : f32, stream = 0 : i64} : tensor<2x3xf32>, tensor<2xi32>
  return
}
// -----
func.func @f(%x: tensor<2x3xf32>, %k: tensor<2xi32>) {
  // expected-error@+1 {{stream is -1, expected an unsigned number of 32 bits}}
  %0 = linnet.dropout %x key %k {rate = 0.5 : f32, stream = -1 : i64} : tensor<2x3xf32>, tensor<2xi32>
  return
}
// -----
func.func @f(%x: tensor<2x5xf32>, %l: tensor<3xi32>) {
  // expected-error@+1 {{'linnet.cross_entropy' op labels is (3), expected (2)}}
  %0 = linnet.cross_entropy %x, %l : tensor<2x5xf32>, tensor<3xi32>
  return
}
// -----
func.func @f(%x: tensor<2x5xf32>, %l: tensor<2xi32>, %g: tensor<5xf32>) {
  // expected-error@+1 {{'linnet.cross_entropy_grad' op gradient is (5), expected (2)}}
  %0 = linnet.cross_entropy_grad %x, %l, %g : tensor<2x5xf32>, tensor<2xi32>, tensor<5xf32>
  return
}
// -----
func.func @f(%a: tensor<4x5xf32>, %x: tensor<2x3x4xf32>, %y: tensor<3x2x5xf32>) {
  // expected-error@+1 {{'linnet.contract' op rhs is (3, 2, 5), expected (2, 3, 5)}}
  %0 = linnet.contract %a, %x, %y : tensor<4x5xf32>, tensor<2x3x4xf32>, tensor<3x2x5xf32>
  return
}
// -----
func.func @f(%a: tensor<4xf32>, %x: tensor<2x3x5xf32>) {
  // expected-error@+1 {{'linnet.sum_rows' op operand is (2, 3, 5), expected (2, 3, 4)}}
  %0 = linnet.sum_rows %a, %x : tensor<4xf32>, tensor<2x3x5xf32>
  return
}
// -----
func.func @f(%t: tensor<7x4xf32>, %i: tensor<2x3xi32>, %x: tensor<3x2x4xf32>) {
  // expected-error@+1 {{'linnet.scatter_add' op rows is (3, 2, 4), expected (2, 3, 4)}}
  %0 = linnet.scatter_add %t, %i, %x : tensor<7x4xf32>, tensor<2x3xi32>, tensor<3x2x4xf32>
  return
}
// -----
func.func @f(%x: tensor<2x4xf32>, %g: tensor<5xf32>, %d: tensor<2x4xf32>) {
  // expected-error@+1 {{'linnet.layer_norm_grad' op gain is (5), expected (4)}}
  %0 = linnet.layer_norm_grad %x, %g, %d {epsilon = 1.0e-5 : f32} : tensor<2x4xf32>, tensor<5xf32>
  return
}
// -----
func.func @f(%q: tensor<2x5x3x4xf32>, %k: tensor<2x5x3x4xf32>, %d: tensor<2x5x3x4xf32>) {
  // expected-error@+1 {{'linnet.attention_grad' op k is (2, 5, 3, 4) and q is (2, 5, 3, 4): k's number of heads, dimension 1, does not divide q's}}
  %0, %1, %2 = linnet.attention_grad %q, %k, %k, %d {scale = 1.0 : f32} : tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>
  return
}
// -----
func.func @f(%g: tensor<2x4xf32>, %n: tensor<3xi32>, %x: tensor<2x5x4xf32>) {
  // expected-error@+1 {{'linnet.pool_grad' op length is (3), expected (2)}}
  %0 = linnet.pool_grad mean %g, %n, %x : tensor<2x4xf32>, tensor<3xi32>, tensor<2x5x4xf32>
  return
}
// -----
func.func @f(%p: tensor<3xf32>, %s: tensor<1xf32>) {
  // expected-error@+1 {{'linnet.adamw' op beta2 is 1.000000e+00, expected from 0 to less than 1}}
  %0, %1, %2, %3 = linnet.adamw %p, %p, %p, %p lr %s scale %s m_scale %s v_scale %s
    {beta1 = 0.9 : f32, beta2 = 1.0 : f32, epsilon = 1.0e-8 : f32, decay = 0.0 : f32, lr_scale = 1.0 : f32, pull = 0.0 : f32}
    : tensor<3xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
  return
}
// -----
func.func @f(%p: tensor<3xf32>, %s: tensor<1xf32>) {
  // expected-error@+1 {{'linnet.adamw' op pull needs a start}}
  %0, %1, %2, %3 = linnet.adamw %p, %p, %p, %p lr %s scale %s m_scale %s v_scale %s
    {beta1 = 0.9 : f32, beta2 = 0.99 : f32, epsilon = 1.0e-8 : f32, decay = 0.0 : f32, lr_scale = 1.0 : f32, pull = 0.5 : f32}
    : tensor<3xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
  return
}
