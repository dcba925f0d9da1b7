// RUN: linnet-opt %s --canonicalize --split-input-file | FileCheck %s

// CHECK-LABEL: @neutral
// CHECK-NEXT: return %arg0
func.func @neutral(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %zero = linnet.constant dense<0.0> : tensor<3xf32>
  %one = linnet.constant dense<1.0> : tensor<3xf32>
  %0 = linnet.add %x, %zero : tensor<2x3xf32>, tensor<3xf32>
  %1 = linnet.sub %0, %zero : tensor<2x3xf32>, tensor<3xf32>
  %2 = linnet.mul %1, %one : tensor<2x3xf32>, tensor<3xf32>
  %3 = linnet.div %2, %one : tensor<2x3xf32>, tensor<3xf32>
  %4 = linnet.neg %3 : tensor<2x3xf32>
  %5 = linnet.neg %4 : tensor<2x3xf32>
  %6 = linnet.max %5, %5 : tensor<2x3xf32>, tensor<2x3xf32>
  return %6 : tensor<2x3xf32>
}

// -----
// A neutral operand that makes the result larger does not go away; nor does a product with zero: NaN stays NaN.
// CHECK-LABEL: @not_neutral
// CHECK: linnet.add
// CHECK: linnet.mul
func.func @not_neutral(%x: tensor<3xf32>) -> tensor<2x3xf32> {
  %zero = linnet.constant dense<0.0> : tensor<2x3xf32>
  %0 = linnet.add %x, %zero : tensor<3xf32>, tensor<2x3xf32>
  %1 = linnet.mul %0, %zero : tensor<2x3xf32>, tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// -----
// CHECK-LABEL: @constants
// CHECK: linnet.constant dense<7.000000e+00> : tensor<2xf32>
// CHECK-NEXT: return
func.func @constants() -> tensor<2xf32> {
  %two = linnet.constant dense<2.0> : tensor<2xf32>
  %three = linnet.constant dense<3.0> : tensor<2xf32>
  %0 = linnet.mul %two, %three : tensor<2xf32>, tensor<2xf32>
  %four = linnet.constant dense<1.0> : tensor<2xf32>
  %1 = linnet.sqrt %four : tensor<2xf32>
  %2 = linnet.add %0, %1 : tensor<2xf32>, tensor<2xf32>
  return %2 : tensor<2xf32>
}

// -----
// CHECK-LABEL: @shapes
// CHECK-NEXT: %[[S:.*]] = linnet.slice %arg0 dim 1 offset 3 size 2
// CHECK-NEXT: linnet.reshape %[[S]] : tensor<4x2xf32> to tensor<8xf32>
func.func @shapes(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  %0 = linnet.slice %x dim 1 offset 1 size 5 : tensor<4x8xf32>
  %1 = linnet.slice %0 dim 1 offset 2 size 2 : tensor<4x5xf32>
  %2 = linnet.slice %1 dim 0 offset 0 size 4 : tensor<4x2xf32>
  %3 = linnet.reshape %2 : tensor<4x2xf32> to tensor<2x4xf32>
  %4 = linnet.reshape %3 : tensor<2x4xf32> to tensor<8xf32>
  return %4 : tensor<8xf32>
}

// -----
// CHECK-LABEL: @transposes
// CHECK: linnet.matmul %arg0, %arg1 {transpose_lhs}
// CHECK-NOT: linnet.transpose
func.func @transposes(%x: tensor<8x4xf32>, %w: tensor<8x5xf32>) -> tensor<4x5xf32> {
  %0 = linnet.transpose %x [1, 0] : tensor<8x4xf32>
  %1 = linnet.transpose %w [1, 0] : tensor<8x5xf32>
  %2 = linnet.transpose %1 [1, 0] : tensor<5x8xf32>
  %3 = linnet.matmul %0, %2 : tensor<4x8xf32>, tensor<8x5xf32>
  return %3 : tensor<4x5xf32>
}

// -----
// CHECK-LABEL: @relayout
// CHECK: linnet.param "w" : tensor<8x5xf32, #linnet.panel<16x64>>
// CHECK-NOT: linnet.relayout
func.func @relayout(%x: tensor<4x8xf32>) -> tensor<4x5xf32> {
  %w = linnet.param "w" : tensor<8x5xf32>
  %p = linnet.relayout %w : tensor<8x5xf32> to tensor<8x5xf32, #linnet.panel<16x64>>
  %0 = linnet.matmul %x, %p : tensor<4x8xf32>, tensor<8x5xf32, #linnet.panel<16x64>>
  return %0 : tensor<4x5xf32>
}
