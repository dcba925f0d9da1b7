// RUN: linnet-opt %s --linnet-fuse-attention | FileCheck %s
// RUN: linnet-opt %s --linnet-fuse-attention --linnet-decompose-attention --linnet-fuse-attention | FileCheck %s
// RUN: linnet-opt %s --linnet-fuse-attention --linnet-decompose-attention | FileCheck %s --check-prefix=OUT
// RUN: linnet-opt %s --linnet-decompose-attention | FileCheck %s --check-prefix=HEADS

// Masked and scaled.
// CHECK-LABEL: @causal
// CHECK: linnet.attention %arg0, %arg1, %arg2 past %arg3 length %arg4 {scale = 2.500000e-01 : f32}
// CHECK-NOT: linnet.softmax
// OUT-LABEL: @causal
// OUT: linnet.mask {{.*}} past %arg3 length %arg4
// OUT: linnet.softmax
// OUT-NOT: linnet.attention
func.func @causal(%q: tensor<2x3x4x16xf32>, %k: tensor<2x4x9x16xf32>, %v: tensor<2x4x9x16xf32>, %past: tensor<2xi32>, %length: tensor<2xi32>) -> tensor<2x3x4x16xf32> {
  %t = linnet.transpose %q [0, 2, 1, 3] : tensor<2x3x4x16xf32>
  %s = linnet.matmul %t, %k {transpose_rhs} : tensor<2x4x3x16xf32>, tensor<2x4x9x16xf32>
  %c = linnet.constant dense<4.0> : tensor<1xf32>
  %d = linnet.div %s, %c : tensor<2x4x3x9xf32>, tensor<1xf32>
  %m = linnet.mask %d past %past length %length : tensor<2x4x3x9xf32> past tensor<2xi32> length tensor<2xi32>
  %p = linnet.softmax %m : tensor<2x4x3x9xf32>
  %o = linnet.matmul %p, %v : tensor<2x4x3x9xf32>, tensor<2x4x9x16xf32>
  %r = linnet.transpose %o [0, 2, 1, 3] : tensor<2x4x3x16xf32>
  return %r : tensor<2x3x4x16xf32>
}

// A window in the mask, and capped scores.
// CHECK-LABEL: @capped
// CHECK: linnet.attention %arg0, %arg1, %arg1 past %arg2 {cap = 3.000000e+01 : f32, scale = 5.000000e-01 : f32, window = 7 : i64}
// CHECK-NOT: linnet.softmax
// OUT-LABEL: @capped
// OUT: linnet.tanh
// OUT: linnet.mask {{.*}} {window = 7 : i64}
func.func @capped(%q: tensor<2x3x4x16xf32>, %k: tensor<2x4x9x16xf32>, %past: tensor<2xi32>) -> tensor<2x3x4x16xf32> {
  %t = linnet.transpose %q [0, 2, 1, 3] : tensor<2x3x4x16xf32>
  %s = linnet.matmul %t, %k {transpose_rhs} : tensor<2x4x3x16xf32>, tensor<2x4x9x16xf32>
  %half = linnet.constant dense<0.5> : tensor<1xf32>
  %scaled = linnet.mul %s, %half : tensor<2x4x3x9xf32>, tensor<1xf32>
  %cap = linnet.constant dense<30.0> : tensor<1xf32>
  %over = linnet.div %scaled, %cap : tensor<2x4x3x9xf32>, tensor<1xf32>
  %h = linnet.tanh %over : tensor<2x4x3x9xf32>
  %c = linnet.mul %h, %cap : tensor<2x4x3x9xf32>, tensor<1xf32>
  %m = linnet.mask %c past %past {window = 7 : i64} : tensor<2x4x3x9xf32> past tensor<2xi32>
  %p = linnet.softmax %m : tensor<2x4x3x9xf32>
  %o = linnet.matmul %p, %k : tensor<2x4x3x9xf32>, tensor<2x4x9x16xf32>
  %r = linnet.transpose %o [0, 2, 1, 3] : tensor<2x4x3x16xf32>
  return %r : tensor<2x3x4x16xf32>
}

// No mask: as many keys as queries, all seen.
// CHECK-LABEL: @bidirectional
// CHECK: linnet.attention %arg0, %arg1, %arg2 {causal = false, scale = 1.000000e+00 : f32}
func.func @bidirectional(%q: tensor<2x9x4x16xf32>, %k: tensor<2x4x9x16xf32>, %v: tensor<2x4x9x16xf32>) -> tensor<2x9x4x16xf32> {
  %t = linnet.transpose %q [0, 2, 1, 3] : tensor<2x9x4x16xf32>
  %s = linnet.matmul %t, %k {transpose_rhs} : tensor<2x4x9x16xf32>, tensor<2x4x9x16xf32>
  %p = linnet.softmax %s : tensor<2x4x9x9xf32>
  %o = linnet.matmul %p, %v : tensor<2x4x9x9xf32>, tensor<2x4x9x16xf32>
  %r = linnet.transpose %o [0, 2, 1, 3] : tensor<2x4x9x16xf32>
  return %r : tensor<2x9x4x16xf32>
}

// Each of four heads reads one of two key heads: both are repeated.
// HEADS-LABEL: @grouped
// HEADS: %[[K0:.*]] = linnet.slice %arg1 dim 1 offset 0 size 1
// HEADS: %[[K1:.*]] = linnet.slice %arg1 dim 1 offset 1 size 1
// HEADS: %[[K:.*]] = linnet.concat %[[K0]], %[[K0]], %[[K1]], %[[K1]] dim 1
// HEADS: linnet.matmul {{.*}}, %[[K]] {transpose_rhs}
func.func @grouped(%q: tensor<2x3x4x16xf32>, %k: tensor<2x2x9x16xf32>, %past: tensor<2xi32>) -> tensor<2x3x4x16xf32> {
  %a = linnet.attention %q, %k, %k past %past {scale = 0.25 : f32} : tensor<2x3x4x16xf32>, tensor<2x2x9x16xf32>, tensor<2x2x9x16xf32> past tensor<2xi32>
  return %a : tensor<2x3x4x16xf32>
}

// Weights that are read elsewhere have to be there: nothing fires.
// CHECK-LABEL: @shown
// CHECK-NOT: linnet.attention
func.func @shown(%q: tensor<2x9x4x16xf32>, %k: tensor<2x4x9x16xf32>) -> (tensor<2x9x4x16xf32>, tensor<2x4x9x9xf32>) {
  %t = linnet.transpose %q [0, 2, 1, 3] : tensor<2x9x4x16xf32>
  %s = linnet.matmul %t, %k {transpose_rhs} : tensor<2x4x9x16xf32>, tensor<2x4x9x16xf32>
  %p = linnet.softmax %s : tensor<2x4x9x9xf32>
  %o = linnet.matmul %p, %k : tensor<2x4x9x9xf32>, tensor<2x4x9x16xf32>
  %r = linnet.transpose %o [0, 2, 1, 3] : tensor<2x4x9x16xf32>
  return %r, %p : tensor<2x9x4x16xf32>, tensor<2x4x9x9xf32>
}
