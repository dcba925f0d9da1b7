// RUN: linnet-opt %s --split-input-file --linnet-assign-layout | FileCheck %s
// RUN: linnet-opt %s --split-input-file --linnet-assign-layout=target=reference | FileCheck %s --check-prefix=ROWS
// RUN: not linnet-opt %s --split-input-file --linnet-assign-layout=target=abacus 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: unknown target 'abacus', expected cpu, vulkan, reference
// ROWS-NOT: linnet.panel

// CHECK-LABEL: @weight
// CHECK: linnet.param "w" : tensor<8x16xf32, #linnet.panel<16x64>>
// CHECK: linnet.param "b" : tensor<16xf32>
func.func @weight(%x: tensor<4x8xf32>) -> tensor<4x16xf32> {
  %w = linnet.param "w" : tensor<8x16xf32>
  %b = linnet.param "b" : tensor<16xf32>
  %0 = linnet.matmul %x, %w bias %b : tensor<4x8xf32>, tensor<8x16xf32> bias tensor<16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// The tied embedding: one copy.
// CHECK-LABEL: @tied
// CHECK: %[[W:.*]] = linnet.param "wte" : tensor<100x8xf32, #linnet.panel<16x64, transposed>>
// CHECK-NOT: linnet.param
// CHECK: linnet.embed %[[W]]
// CHECK: linnet.matmul %{{.*}}, %[[W]] {transpose_rhs}
func.func @tied(%ids: tensor<4xi32>) -> tensor<4x100xf32> {
  %w = linnet.param "wte" : tensor<100x8xf32>
  %0 = linnet.embed %w, %ids : tensor<100x8xf32>, tensor<4xi32>
  %1 = linnet.matmul %0, %w {transpose_rhs} : tensor<4x8xf32>, tensor<100x8xf32>
  return %1 : tensor<4x100xf32>
}

// -----

// All entries decide together: the embedding of one reads what the matmul of the other packs.
// CHECK-LABEL: @lookup
// CHECK: linnet.param "wte" : tensor<100x8xf32, #linnet.panel<16x64, transposed>>
// CHECK-LABEL: @score
// CHECK: linnet.param "wte" : tensor<100x8xf32, #linnet.panel<16x64, transposed>>
func.func @lookup(%ids: tensor<4xi32>) -> tensor<4x8xf32> {
  %w = linnet.param "wte" : tensor<100x8xf32>
  %0 = linnet.embed %w, %ids : tensor<100x8xf32>, tensor<4xi32>
  return %0 : tensor<4x8xf32>
}
func.func @score(%x: tensor<4x8xf32>) -> tensor<4x100xf32> {
  %w = linnet.param "wte" : tensor<100x8xf32>
  %1 = linnet.matmul %x, %w {transpose_rhs} : tensor<4x8xf32>, tensor<100x8xf32>
  return %1 : tensor<4x100xf32>
}

// -----

// An elementwise use needs rows: two copies, and the embedding reads the plain one.
// CHECK-LABEL: @three_uses
// CHECK-DAG: %[[PLAIN:.*]] = linnet.param "w" : tensor<8x8xf32>
// CHECK-DAG: %[[PACKED:.*]] = linnet.param "w" : tensor<8x8xf32, #linnet.panel<16x64, transposed>>
// CHECK: linnet.embed %[[PLAIN]]
// CHECK: linnet.matmul %{{.*}}, %[[PACKED]]
// CHECK: linnet.add %{{.*}}, %[[PLAIN]]
func.func @three_uses(%ids: tensor<8xi32>) -> tensor<8x8xf32> {
  %w = linnet.param "w" : tensor<8x8xf32>
  %0 = linnet.embed %w, %ids : tensor<8x8xf32>, tensor<8xi32>
  %1 = linnet.matmul %0, %w {transpose_rhs} : tensor<8x8xf32>, tensor<8x8xf32>
  %2 = linnet.add %1, %w : tensor<8x8xf32>, tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}

// -----

// Read in both directions: packed twice.
// CHECK-LABEL: @both_directions
// CHECK-DAG: linnet.param "w" : tensor<8x8xf32, #linnet.panel<16x64, transposed>>
// CHECK-DAG: linnet.param "w" : tensor<8x8xf32, #linnet.panel<16x64>>
func.func @both_directions(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = linnet.param "w" : tensor<8x8xf32>
  %0 = linnet.matmul %x, %w : tensor<4x8xf32>, tensor<8x8xf32>
  %1 = linnet.matmul %0, %w {transpose_rhs} : tensor<4x8xf32>, tensor<8x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// A constant keeps its logical values; its type says how they are stored.
// CHECK-LABEL: @constant
// CHECK: linnet.constant dense<{{.*}}1.000000e+00, 2.000000e+00{{.*}}3.000000e+00, 4.000000e+00{{.*}}> : tensor<2x2xf32, #linnet.panel<16x64>>
func.func @constant(%x: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %w = linnet.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %0 = linnet.matmul %x, %w : tensor<4x2xf32>, tensor<2x2xf32>
  return %0 : tensor<4x2xf32>
}

// -----

// No weight, no matrix, no layout.
// CHECK-LABEL: @not_weights
// CHECK-NOT: linnet.panel
func.func @not_weights(%x: tensor<4x2xf32>, %y: tensor<2x3xf32>, %s: tensor<5x4x2xf32>) -> (tensor<4x3xf32>, tensor<5x4x7xf32>) {
  %w = linnet.param "w" : tensor<5x2x7xf32>
  %0 = linnet.matmul %x, %y : tensor<4x2xf32>, tensor<2x3xf32>
  %1 = linnet.matmul %s, %w : tensor<5x4x2xf32>, tensor<5x2x7xf32>
  return %0, %1 : tensor<4x3xf32>, tensor<5x4x7xf32>
}
