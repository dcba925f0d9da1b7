// RUN: linnet-opt %s --linnet-fuse-epilogue --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters
// RUN: linnet-opt %s --linnet-fuse-epilogue --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s --check-prefix=LOC

// COUNT-DAG: linnet-fuse-epilogue activations 6{{$}}
// COUNT-DAG: linnet-fuse-epilogue biases 4{{$}}
// COUNT-DAG: linnet-fuse-epilogue residuals 4{{$}}

// CHECK-LABEL: @all_three
// CHECK: linnet.matmul %arg0, %arg1 bias %arg2 residual %arg3 {activation = #linnet{{.*}}gelu_tanh>}
// CHECK-NOT: linnet.add
// LOC-LABEL: @all_three
// LOC: linnet.matmul {{.*}} loc(fused["product", "sum", "bend", "rest"])
func.func @all_three(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<16xf32>, %r: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32> loc("product")
  %1 = linnet.add %0, %c : tensor<4x16xf32>, tensor<16xf32> loc("sum")
  %2 = linnet.gelu tanh %1 : tensor<4x16xf32> loc("bend")
  %3 = linnet.add %r, %2 : tensor<4x16xf32>, tensor<4x16xf32> loc("rest")
  return %3 : tensor<4x16xf32>
}

// CHECK-LABEL: @bias_on_the_left
// CHECK: linnet.matmul %arg0, %arg1 bias %arg2 {activation = #linnet{{.*}}gelu_erf>, transpose_rhs}
func.func @bias_on_the_left(%a: tensor<4x8xf32>, %b: tensor<16x8xf32>, %c: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b {transpose_rhs} : tensor<4x8xf32>, tensor<16x8xf32>
  %1 = linnet.add %c, %0 : tensor<16xf32>, tensor<4x16xf32>
  %2 = linnet.gelu erf %1 : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// CHECK-LABEL: @silu_and_quick_gelu
// CHECK: linnet.matmul %arg0, %arg1 bias %arg2 {activation = #linnet{{.*}}silu>}
// CHECK: linnet.matmul %arg0, %arg1 {activation = #linnet{{.*}}gelu_quick>}
func.func @silu_and_quick_gelu(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %c : tensor<4x16xf32>, tensor<16xf32>
  %2 = linnet.silu %1 : tensor<4x16xf32>
  %3 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %4 = linnet.gelu quick %3 : tensor<4x16xf32>
  return %2, %4 : tensor<4x16xf32>, tensor<4x16xf32>
}

// CHECK-LABEL: @two_matmuls
// CHECK: %[[FIRST:.*]] = linnet.matmul
// CHECK: linnet.matmul {{.*}} residual %[[FIRST]]
// CHECK-NOT: linnet.add
func.func @two_matmuls(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.matmul %a, %c : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = linnet.add %0, %1 : tensor<4x16xf32>, tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// An activation of (ab + residual) is not activation(ab) + residual.
// CHECK-LABEL: @residual_before_activation
// CHECK: linnet.matmul %arg0, %arg1 residual %arg2
// CHECK: linnet.relu
func.func @residual_before_activation(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %r: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %r : tensor<4x16xf32>, tensor<4x16xf32>
  %2 = linnet.relu %1 : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// activation(ab) + bias is not activation(ab + bias).
// CHECK-LABEL: @bias_behind_activation
// CHECK: linnet.matmul %arg0, %arg1 {activation = #linnet{{.*}}relu>}
// CHECK: linnet.add
func.func @bias_behind_activation(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.relu %0 : tensor<4x16xf32>
  %2 = linnet.add %1, %c : tensor<4x16xf32>, tensor<16xf32>
  return %2 : tensor<4x16xf32>
}

// One activation only.
// CHECK-LABEL: @two_activations
// CHECK: linnet.matmul %arg0, %arg1 {activation = #linnet{{.*}}relu>}
// CHECK: linnet.gelu tanh
func.func @two_activations(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.relu %0 : tensor<4x16xf32>
  %2 = linnet.gelu tanh %1 : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// Somebody else reads the product.
// CHECK-LABEL: @two_users
// CHECK: linnet.matmul %arg0, %arg1 :
// CHECK: linnet.add
func.func @two_users(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %c : tensor<4x16xf32>, tensor<16xf32>
  return %0, %1 : tensor<4x16xf32>, tensor<4x16xf32>
}

// x + x where x is a product: the sum has two uses of it.
// CHECK-LABEL: @doubled
// CHECK: linnet.add
func.func @doubled(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %0 : tensor<4x16xf32>, tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}

// A column is no bias over N, and a sum that is wider than the product is no residual.
// CHECK-LABEL: @other_shapes
// CHECK: linnet.matmul %arg0, %arg1 :
// CHECK: linnet.add
// CHECK: linnet.matmul %arg0, %arg1 :
// CHECK: linnet.add
func.func @other_shapes(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x1xf32>, %d: tensor<3x4x16xf32>) -> (tensor<4x16xf32>, tensor<3x4x16xf32>) {
  %0 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %c : tensor<4x16xf32>, tensor<4x1xf32>
  %2 = linnet.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  %3 = linnet.add %2, %d : tensor<4x16xf32>, tensor<3x4x16xf32>
  return %1, %3 : tensor<4x16xf32>, tensor<3x4x16xf32>
}

// The bias of one, the residual of the other: a bias is taken before a residual of the same shape.
// CHECK-LABEL: @vector
// CHECK: linnet.matmul %arg0, %arg1 bias %arg2 residual %arg2
func.func @vector(%a: tensor<8xf32>, %b: tensor<8x16xf32>, %c: tensor<16xf32>) -> tensor<16xf32> {
  %0 = linnet.matmul %a, %b : tensor<8xf32>, tensor<8x16xf32>
  %1 = linnet.add %0, %c : tensor<16xf32>, tensor<16xf32>
  %2 = linnet.add %1, %c : tensor<16xf32>, tensor<16xf32>
  return %2 : tensor<16xf32>
}
