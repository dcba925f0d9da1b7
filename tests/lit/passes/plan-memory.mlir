// RUN: linnet-opt %s --linnet-wrap-elementwise --linnet-alias --linnet-plan-memory --linnet-verify-plan | FileCheck %s
// RUN: linnet-opt %s --linnet-wrap-elementwise --linnet-alias --linnet-plan-memory --linnet-plan-memory --linnet-verify-plan | FileCheck %s

// CHECK: linnet.target = "cpu"

// Softmax cannot work in place, so two slots take turns. The last is the output's own memory.
// CHECK-LABEL: @turns
// CHECK-SAME: linnet.arena_bytes = 2048 : i64
// CHECK-SAME: linnet.live_bytes = 2048 : i64
// CHECK: linnet.softmax {{.*}}linnet.slot = #linnet.slot<[[A:[0-9]+]], 1024>
// CHECK: linnet.softmax {{.*}}linnet.slot = #linnet.slot<[[B:[0-9]+]], 1024>
// CHECK: linnet.softmax {{.*}}linnet.slot = #linnet.slot<[[A]], 1024>
// CHECK: linnet.softmax {{.*}}linnet.output = 0
func.func @turns(%x: tensor<?x8xf32, #linnet.dims<seq>>) -> tensor<?x8xf32, #linnet.dims<seq>> attributes {linnet.bounds = {seq = 32}} {
  %0 = linnet.softmax %x : tensor<?x8xf32, #linnet.dims<seq>>
  %1 = linnet.softmax %0 : tensor<?x8xf32, #linnet.dims<seq>>
  %2 = linnet.softmax %1 : tensor<?x8xf32, #linnet.dims<seq>>
  %3 = linnet.softmax %2 : tensor<?x8xf32, #linnet.dims<seq>>
  return %3 : tensor<?x8xf32, #linnet.dims<seq>>
}

// Elementwise ops overwrite what dies: one slot for all.
// CHECK-LABEL: @overwrite
// CHECK-SAME: linnet.arena_bytes = 128 : i64
// CHECK: linnet.softmax {{.*}}slot<0, 128>
// CHECK: linnet.fused {{.*}}slot<0, 128>
// CHECK: linnet.fused {{.*}}slot<0, 128>
// CHECK: linnet.softmax {{.*}}linnet.output = 0
func.func @overwrite(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.softmax %x : tensor<4x8xf32>
  %1 = linnet.exp %0 : tensor<4x8xf32>
  %2 = linnet.add %1, %b : tensor<4x8xf32>, tensor<8xf32>
  %3 = linnet.softmax %2 : tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// Not what is read later.
// CHECK-LABEL: @keep
// CHECK-SAME: linnet.arena_bytes = 384 : i64
// CHECK: %[[S:.*]] = linnet.softmax {{.*}}slot<[[S:[0-9]+]], 128>
// CHECK: linnet.fused {{.*}}slot<[[E:[0-9]+]], 128>
// CHECK: return
func.func @keep(%x: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x4x8xf32>) {
  %0 = linnet.softmax %x : tensor<4x8xf32>
  %1 = linnet.exp %0 : tensor<4x8xf32>
  %2 = linnet.softmax %1 : tensor<4x8xf32>
  %3 = linnet.mul %0, %2 : tensor<4x8xf32>, tensor<4x8xf32>
  %4 = linnet.softmax %3 : tensor<4x8xf32>
  %5 = linnet.reshape %3 : tensor<4x8xf32> to tensor<4x1x8xf32>
  %6 = linnet.add %5, %b : tensor<4x1x8xf32>, tensor<4x8xf32>
  return %4, %6 : tensor<4x8xf32>, tensor<4x4x8xf32>
}

// A view keeps its buffer alive.
// CHECK-LABEL: @view_lives
// CHECK-SAME: linnet.arena_bytes = 384 : i64
func.func @view_lives(%x: tensor<4x8xf32>) -> tensor<2x8xf32> {
  %0 = linnet.softmax %x : tensor<4x8xf32>
  %v = linnet.slice %0 dim 0 offset 1 size 2 : tensor<4x8xf32>
  %1 = linnet.softmax %0 : tensor<4x8xf32>
  %2 = linnet.softmax %1 : tensor<4x8xf32>
  %w = linnet.slice %2 dim 0 offset 0 size 2 : tensor<4x8xf32>
  %3 = linnet.add %v, %w : tensor<2x8xf32>, tensor<2x8xf32>
  return %3 : tensor<2x8xf32>
}

// Several results: one place each.
// CHECK-LABEL: @several
// CHECK: linnet.fused {{.*}}linnet.places = [0, #linnet.slot<0, 32>]
func.func @several(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %0:2 = linnet.fused (%a = %x : tensor<8xf32>) -> tensor<8xf32>, tensor<8xf32> {
    %e = linnet.exp %a : f32
    %n = linnet.neg %a : f32
    linnet.yield %e, %n : f32, f32
  }
  %1 = linnet.softmax %0#1 : tensor<8xf32>
  return %0#0, %1 : tensor<8xf32>, tensor<8xf32>
}
