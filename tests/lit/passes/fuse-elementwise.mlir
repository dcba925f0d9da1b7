// RUN: linnet-opt %s --linnet-fuse-elementwise --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters
// RUN: linnet-opt %s --linnet-fuse-elementwise --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s --check-prefix=LOC
// RUN: linnet-opt %s --linnet-wrap-elementwise | FileCheck %s --check-prefix=WRAP

// COUNT-DAG: linnet-fuse-elementwise constants 1{{$}}
// COUNT-DAG: linnet-fuse-elementwise fused 9{{$}}
// COUNT-DAG: linnet-fuse-elementwise reductions 1{{$}}

// A tree: one kernel, each input once.
// CHECK-LABEL: @tree
// CHECK: linnet.fused (%[[A:.*]] = %arg0 : tensor<4x8xf32>, %[[B:.*]] = %arg1 : tensor<8xf32>) -> tensor<4x8xf32>
// CHECK-DAG: linnet.add %[[A]], %[[B]] : f32, f32
// CHECK-DAG: linnet.tanh
// CHECK-DAG: linnet.exp %[[A]] : f32
// CHECK: %[[M:.*]] = linnet.mul
// CHECK: linnet.yield %[[M]]
// CHECK-NOT: linnet.fused
// LOC-LABEL: @tree
// LOC: linnet.tanh {{.*}} loc("bend")
// LOC: loc(fused["power", "sum", "bend", "product"])
// WRAP-LABEL: @tree
// WRAP-COUNT-4: linnet.fused
func.func @tree(%a: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.add %a, %b : tensor<4x8xf32>, tensor<8xf32> loc("sum")
  %1 = linnet.tanh %0 : tensor<4x8xf32> loc("bend")
  %2 = linnet.exp %a : tensor<4x8xf32> loc("power")
  %3 = linnet.mul %1, %2 : tensor<4x8xf32>, tensor<4x8xf32> loc("product")
  return %3 : tensor<4x8xf32>
}

// A fused op takes in, and is taken in.
// CHECK-LABEL: @existing
// CHECK: linnet.fused
// CHECK: linnet.neg
// CHECK: linnet.sqrt
// CHECK: linnet.relu
// CHECK-NOT: linnet.fused
// WRAP-LABEL: @existing
// WRAP-COUNT-3: linnet.fused
func.func @existing(%a: tensor<?x8xf32, #linnet.dims<batch>>) -> tensor<?x8xf32, #linnet.dims<batch>> {
  %0 = linnet.neg %a : tensor<?x8xf32, #linnet.dims<batch>>
  %1 = linnet.fused (%x = %0 : tensor<?x8xf32, #linnet.dims<batch>>) -> tensor<?x8xf32, #linnet.dims<batch>> {
    %s = linnet.sqrt %x : f32
    linnet.yield %s : f32
  }
  %2 = linnet.relu %1 : tensor<?x8xf32, #linnet.dims<batch>>
  return %2 : tensor<?x8xf32, #linnet.dims<batch>>
}

// silu(a) * b, the gate of other models' MLPs: one kernel.
// CHECK-LABEL: @gate
// CHECK: linnet.fused (%[[A:.*]] = %arg0 : tensor<4x8xf32>, %[[B:.*]] = %arg1 : tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK: %[[S:.*]] = linnet.silu %[[A]] : f32
// CHECK: linnet.mul %[[S]], %[[B]]
func.func @gate(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.silu %a : tensor<4x8xf32>
  %1 = linnet.mul %0, %b : tensor<4x8xf32>, tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// x * x: both operands are the one producer.
// CHECK-LABEL: @square
// CHECK: linnet.fused
// CHECK: %[[E:.*]] = linnet.exp
// CHECK: linnet.mul %[[E]], %[[E]]
func.func @square(%a: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linnet.exp %a : tensor<4xf32>
  %1 = linnet.mul %0, %0 : tensor<4xf32>, tensor<4xf32>
  return %1 : tensor<4xf32>
}

// A constant of one value becomes a scalar in the region.
// CHECK-LABEL: @constant
// CHECK: linnet.fused (%{{.*}} = %arg0 : tensor<4xf32>) -> tensor<4xf32>
// CHECK: linnet.constant 5.000000e-01 : f32
func.func @constant(%a: tensor<4xf32>) -> tensor<4xf32> {
  %c = linnet.constant dense<0.5> : tensor<4xf32>
  %0 = linnet.mul %a, %c : tensor<4xf32>, tensor<4xf32>
  %1 = linnet.exp %0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}

// Two users: computed once, stays outside of both.
// CHECK-LABEL: @two_users
// CHECK-NOT: linnet.fused
// CHECK: return
func.func @two_users(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = linnet.exp %a : tensor<4xf32>
  %1 = linnet.neg %0 : tensor<4xf32>
  %2 = linnet.tanh %0 : tensor<4xf32>
  return %1, %2 : tensor<4xf32>, tensor<4xf32>
}

// A smaller producer would be computed four times.
// CHECK-LABEL: @broadcast_producer
// CHECK: linnet.exp %arg1 : tensor<8xf32>
// CHECK-NOT: linnet.fused
// CHECK: return
// WRAP-LABEL: @broadcast_producer
// WRAP-COUNT-2: linnet.fused
func.func @broadcast_producer(%a: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.exp %b : tensor<8xf32>
  %1 = linnet.add %a, %0 : tensor<4x8xf32>, tensor<8xf32>
  return %1 : tensor<4x8xf32>
}

// Other ops stay between.
// CHECK-LABEL: @softmax_between
// CHECK-NOT: linnet.fused
// CHECK: return
func.func @softmax_between(%a: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.exp %a : tensor<4x8xf32>
  %1 = linnet.softmax %0 : tensor<4x8xf32>
  %2 = linnet.log %1 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// A sum of squares along rows: one kernel.
// CHECK-LABEL: @squares
// CHECK: linnet.fused ({{.*}} = %arg0 : tensor<4x8xf32>, {{.*}} = %arg1 : tensor<8xf32>) -> tensor<4x1xf32> attributes {reduce = #linnet<reduce_kind sum>}
// CHECK-NOT: linnet.reduce
func.func @squares(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x1xf32> {
  %0 = linnet.sub %x, %y : tensor<4x8xf32>, tensor<8xf32>
  %1 = linnet.mul %0, %0 : tensor<4x8xf32>, tensor<4x8xf32>
  %2 = linnet.reduce sum %1 dim 1 : tensor<4x8xf32>
  return %2 : tensor<4x1xf32>
}
