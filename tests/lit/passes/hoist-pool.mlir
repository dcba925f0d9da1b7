// RUN: linnet-opt %s --linnet-hoist-pool --cse --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters

// COUNT: linnet-hoist-pool hoisted 7{{$}}
// COUNT: linnet-hoist-pool merged 1{{$}}

// Layer norm, matmul, bias and residual run on one position.
// CHECK-LABEL: @last
// CHECK: %[[P:.*]] = linnet.pool last %arg0, %arg1
// CHECK: linnet.layer_norm %[[P]]
// CHECK-SAME: tensor<2x8xf32>
// CHECK: linnet.matmul
// CHECK-SAME: tensor<2x8xf32>
// CHECK: %[[B:.*]] = linnet.add
// CHECK: linnet.add %[[B]], %[[P]] : tensor<2x8xf32>, tensor<2x8xf32>
// CHECK-NOT: linnet.pool
func.func @last(%x: tensor<2x4x8xf32>, %l: tensor<2xi32>) -> tensor<2x8xf32> {
  %w = linnet.param "w" : tensor<8x8xf32>
  %b = linnet.param "b" : tensor<8xf32>
  %n = linnet.layer_norm %x, %b, %b {epsilon = 1.0e-5 : f32} : tensor<2x4x8xf32>, tensor<8xf32>, tensor<8xf32>
  %m = linnet.matmul %n, %w : tensor<2x4x8xf32>, tensor<8x8xf32>
  %a = linnet.add %m, %b : tensor<2x4x8xf32>, tensor<8xf32>
  %r = linnet.add %a, %x : tensor<2x4x8xf32>, tensor<2x4x8xf32>
  %p = linnet.pool last %r, %l : tensor<2x4x8xf32>, tensor<2xi32>
  return %p : tensor<2x8xf32>
}

// A residual's two pools of one value become one, and its producer is hoisted.
// CHECK-LABEL: @residual
// CHECK: %[[P:.*]] = linnet.pool last %arg0, %arg1
// CHECK: %[[E:.*]] = linnet.exp %[[P]] : tensor<2x8xf32>
// CHECK: linnet.matmul %[[E]]
// CHECK-NOT: linnet.pool
func.func @residual(%x: tensor<2x4x8xf32>, %l: tensor<2xi32>) -> tensor<2x8xf32> {
  %w = linnet.param "w" : tensor<8x8xf32>
  %e = linnet.exp %x : tensor<2x4x8xf32>
  %m = linnet.matmul %e, %w : tensor<2x4x8xf32>, tensor<8x8xf32>
  %r = linnet.add %m, %e : tensor<2x4x8xf32>, tensor<2x4x8xf32>
  %p = linnet.pool last %r, %l : tensor<2x4x8xf32>, tensor<2xi32>
  return %p : tensor<2x8xf32>
}

// A mean needs all positions; a value that others read is there anyway.
// CHECK-LABEL: @stays
// CHECK: linnet.exp %arg0 : tensor<2x4x8xf32>
// CHECK: linnet.pool mean
// CHECK: linnet.pool first
func.func @stays(%x: tensor<2x4x8xf32>, %l: tensor<2xi32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %e = linnet.exp %x : tensor<2x4x8xf32>
  %m = linnet.pool mean %e, %l : tensor<2x4x8xf32>, tensor<2xi32>
  %f = linnet.pool first %e, %l : tensor<2x4x8xf32>, tensor<2xi32>
  return %m, %f : tensor<2x8xf32>, tensor<2x8xf32>
}
