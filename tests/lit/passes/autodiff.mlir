// RUN: linnet-opt %s --split-input-file --linnet-autodiff --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters

// COUNT: linnet-autodiff gradients 3{{$}}
// COUNT: linnet-autodiff parameters 1{{$}}

// A trained weight is a state, its gradient is summed in one; a frozen one stays a param and has no gradient.
// CHECK-LABEL: func.func @accumulate
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "x"}
// CHECK-SAME: %[[L:.*]]: tensor<?xi32, #linnet.dims<batch>> {linnet.name = "labels"}
// CHECK-SAME: %[[W:.*]]: tensor<4x3xf32> {linnet.state = "param.w"}
// CHECK-SAME: %[[G:.*]]: tensor<4x3xf32> {linnet.state = "grad.w"}
// CHECK: %[[B:.*]] = linnet.param "b"
// CHECK: %[[LOSS:.*]] = linnet.cross_entropy %[[Y:.*]], %[[L]]
// CHECK: %[[ONES:.*]] = linnet.fused
// CHECK: %[[DY:.*]] = linnet.cross_entropy_grad %[[Y]], %[[L]], %[[ONES]]
// CHECK-NOT: linnet.matmul
// CHECK-NOT: linnet.sum_rows
// CHECK: %[[DW:.*]] = linnet.contract %[[G]], %[[X]], %[[DY]]
// CHECK: return %[[LOSS]], %[[W]], %[[DW]]

// CHECK-LABEL: func.func @evaluate
// CHECK: linnet.cross_entropy
// CHECK-NOT: linnet.contract

// CHECK-LABEL: func.func @norm
// CHECK-SAME: linnet.name = "grad_scale"
// CHECK-SAME: %[[NG:.*]]: tensor<4x3xf32> {linnet.state = "grad.w"}
// CHECK-SAME: linnet.name = "grad_norm"
// CHECK: linnet.sqrt
// CHECK: return %{{.*}}, %[[NG]]

// CHECK-LABEL: func.func @update
// CHECK-SAME: linnet.name = "lr"
// CHECK: linnet.adamw {{.*}} decay = 2.500000e-01 : f32, {{.*}} lr_scale = 5.000000e-01 : f32
func.func @loss(%x: tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "x"}, %l: tensor<?xi32, #linnet.dims<batch>> {linnet.name = "labels"})
    -> (tensor<?xf32, #linnet.dims<batch>> {linnet.name = "loss"})
    attributes {linnet.bounds = {batch = 8}, linnet.train = {w = {decay = 2.5e-1 : f32, lr_scale = 5.0e-1 : f32}}} {
  %w = linnet.param "w" : tensor<4x3xf32>
  %b = linnet.param "b" : tensor<3xf32>
  %0 = linnet.matmul %x, %w bias %b : tensor<?x4xf32, #linnet.dims<batch>>, tensor<4x3xf32> bias tensor<3xf32>
  %1 = linnet.cross_entropy %0, %l : tensor<?x3xf32, #linnet.dims<batch>>, tensor<?xi32, #linnet.dims<batch>>
  return %1 : tensor<?xf32, #linnet.dims<batch>>
}

// -----

// Slices that make up a value are one concat; a value used twice adds up.
// CHECK-LABEL: func.func @accumulate
// CHECK: linnet.concat {{.*}} dim 1
// CHECK-LABEL: func.func @evaluate
func.func @loss() -> (tensor<2x3xf32> {linnet.name = "loss"}) {
  %w = linnet.param "w" : tensor<2x6xf32>
  %0 = linnet.slice %w dim 1 offset 0 size 3 : tensor<2x6xf32>
  %1 = linnet.slice %w dim 1 offset 3 size 3 : tensor<2x6xf32>
  %2 = linnet.mul %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// -----

// The gradient of dropout leaves out the same elements; evaluation leaves out none and takes no key.
// CHECK-LABEL: func.func @accumulate
// CHECK-SAME: %[[KEY:[^:]*]]: tensor<2xi32> {linnet.name = "seed"}
// CHECK: linnet.dropout %{{.*}} key %[[KEY]] {rate = 5.000000e-01 : f32, stream = 4 : i64}
// CHECK: linnet.dropout %{{.*}} key %[[KEY]] {rate = 5.000000e-01 : f32, stream = 4 : i64}
// CHECK-LABEL: func.func @evaluate
// CHECK-NOT: seed
// CHECK-NOT: linnet.dropout
// CHECK-LABEL: func.func @update
func.func @loss(%seed: tensor<2xi32> {linnet.name = "seed"}) -> (tensor<3xf32> {linnet.name = "loss"}) {
  %w = linnet.param "w" : tensor<3xf32>
  %0 = linnet.dropout %w key %seed {rate = 5.0e-1 : f32, stream = 4 : i64} : tensor<3xf32>, tensor<2xi32>
  %1 = linnet.mul %0, %0 : tensor<3xf32>, tensor<3xf32>
  return %1 : tensor<3xf32>
}
