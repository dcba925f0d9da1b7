// RUN: linnet-opt %s --linnet-fuse-attention | FileCheck %s
// RUN: linnet-opt %s --linnet-fuse-attention --linnet-decompose-attention --linnet-fuse-attention | FileCheck %s
// RUN: linnet-opt %s --linnet-fuse-attention --linnet-decompose-attention | FileCheck %s --check-prefix=OUT

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
