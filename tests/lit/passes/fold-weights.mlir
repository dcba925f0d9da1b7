// RUN: linnet-opt %s --linnet-fold-weights --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters
// RUN: linnet-opt %s --linnet-fold-weights | linnet-opt | FileCheck %s

// COUNT: linnet-fold-weights folded 4{{$}}

// Both entries share one function; a chain is a chain of functions.
// CHECK-DAG: func.func private @w.transpose.mul() -> tensor<3x2xf32> attributes {linnet.weight}
// CHECK-DAG: func.func private @w.transpose() -> tensor<3x2xf32> attributes {linnet.weight}
// CHECK-LABEL: func.func @chain
// CHECK: %[[W:.*]] = linnet.param "w.transpose.mul" : tensor<3x2xf32>
// CHECK: linnet.matmul %arg0, %[[W]]
func.func @chain(%x: tensor<4x3xf32>) -> tensor<4x2xf32> {
  %w = linnet.param "w" : tensor<2x3xf32>
  %half = linnet.constant dense<0.5> : tensor<1xf32>
  %t = linnet.transpose %w [1, 0] : tensor<2x3xf32>
  %s = linnet.mul %t, %half : tensor<3x2xf32>, tensor<1xf32>
  %r = linnet.matmul %x, %s : tensor<4x3xf32>, tensor<3x2xf32>
  return %r : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @shared
// CHECK-NEXT: linnet.param "w.transpose" : tensor<3x2xf32>
func.func @shared() -> tensor<3x2xf32> {
  %w = linnet.param "w" : tensor<2x3xf32>
  %t = linnet.transpose %w [1, 0] : tensor<2x3xf32>
  return %t : tensor<3x2xf32>
}

// A broadcast would make the artifact larger.
// CHECK-LABEL: func.func @broadcast
// CHECK: linnet.add
func.func @broadcast() -> tensor<64x64xf32> {
  %a = linnet.param "a" : tensor<64x1xf32>
  %b = linnet.param "b" : tensor<64xf32>
  %r = linnet.add %a, %b : tensor<64x1xf32>, tensor<64xf32>
  return %r : tensor<64x64xf32>
}

// No backend computes a table of rotary positions.
// CHECK-LABEL: func.func @rotary
// CHECK-NEXT: %[[T:.*]] = linnet.param "rotary_table" : tensor<5x4xf32>
// CHECK-NEXT: linnet.rotary %arg0, %[[T]], %arg1
func.func @rotary(%x: tensor<1x3x2x4xf32>, %positions: tensor<1x3xi32>) -> tensor<1x3x2x4xf32> {
  %t = linnet.rotary_table [1.000000e+00, 0.00999999977] : tensor<5x4xf32>
  %r = linnet.rotary %x, %t, %positions : tensor<1x3x2x4xf32>, tensor<5x4xf32>, tensor<1x3xi32>
  return %r : tensor<1x3x2x4xf32>
}
