// RUN: linnet-opt %s --linnet-alias | FileCheck %s
// RUN: linnet-opt %s --linnet-alias --linnet-plan-memory --linnet-verify-plan -o /dev/null

!row = tensor<?x?x24xf32, #linnet.dims<batch, seq>>
!part = tensor<?x?x8xf32, #linnet.dims<batch, seq>>
!heads = tensor<?x?x2x4xf32, #linnet.dims<batch, seq>>
!cache = tensor<?x2x16x4xf32, #linnet.dims<batch>>
!past = tensor<?xi32, #linnet.dims<batch>>

module attributes {linnet.bounds = {batch = 2, seq = 16}} {

// q, k and v are rows with gaps; the caches are the states themselves.
// CHECK-LABEL: @attention
// CHECK-COUNT-3: linnet.slice {{.*}}linnet.view
// CHECK-COUNT-3: linnet.reshape {{.*}}linnet.view
// CHECK-COUNT-2: linnet.cache_append {{.*}}linnet.in_place
// CHECK: linnet.attention
// CHECK: linnet.reshape {{.*}}linnet.view
// CHECK: linnet.matmul
// CHECK-NOT: linnet.fused
// CHECK: return
func.func @attention(%x: !row, %w: tensor<8x8xf32>, %past: !past, %k: !cache {linnet.state = "k"}, %v: !cache {linnet.state = "v"})
    -> (!part, !cache {linnet.state = "k"}, !cache {linnet.state = "v"}) {
  %qs = linnet.slice %x dim 2 offset 0 size 8 : !row
  %ks = linnet.slice %x dim 2 offset 8 size 8 : !row
  %vs = linnet.slice %x dim 2 offset 16 size 8 : !row
  %qh = linnet.reshape %qs : !part to !heads
  %kh = linnet.reshape %ks : !part to !heads
  %vh = linnet.reshape %vs : !part to !heads
  %k1 = linnet.cache_append %k, %kh, %past : !cache, !heads, !past
  %v1 = linnet.cache_append %v, %vh, %past : !cache, !heads, !past
  %a = linnet.attention %qh, %k1, %v1 past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !past
  %r = linnet.reshape %a : !heads to !part
  %o = linnet.matmul %r, %w : !part, tensor<8x8xf32>
  return %o, %k1, %v1 : !part, !cache, !cache
}

// softmax wants dense rows.
// CHECK-LABEL: @dense_reader
// CHECK: linnet.slice
// CHECK-NOT: linnet.view
// CHECK: linnet.softmax
func.func @dense_reader(%x: !row) -> !part {
  %s = linnet.slice %x dim 2 offset 8 size 8 : !row
  %r = linnet.softmax %s : !part
  return %r : !part
}

// One row is dense wherever it lies.
// CHECK-LABEL: @one_row
// CHECK: linnet.slice {{.*}}linnet.view
func.func @one_row(%x: tensor<4x8xf32>) -> tensor<2x8xf32> {
  %s = linnet.slice %x dim 0 offset 1 size 2 : tensor<4x8xf32>
  %r = linnet.softmax %s : tensor<2x8xf32>
  return %r : tensor<2x8xf32>
}

// The old cache is read afterwards: the update goes into a copy, and that one back to the state at the end.
// CHECK-LABEL: @old_value_read
// CHECK: %[[COPY:.*]] = linnet.fused (%{{.*}} = %[[K:.*]] :
// CHECK: linnet.cache_append %[[COPY]], {{.*}}linnet.in_place
// CHECK: linnet.attention %{{.*}}, %[[K]], %[[K]]
// CHECK: linnet.fused
// CHECK: return
func.func @old_value_read(%q: !heads, %past: !past, %k: !cache {linnet.state = "k"}) -> (!heads, !cache {linnet.state = "k"}) {
  %k1 = linnet.cache_append %k, %q, %past : !cache, !heads, !past
  %a = linnet.attention %q, %k, %k past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !past
  return %a, %k1 : !heads, !cache
}

// A reader before the update does no harm.
// CHECK-LABEL: @read_before
// CHECK-NOT: linnet.fused
// CHECK: return
func.func @read_before(%q: !heads, %past: !past, %k: !cache {linnet.state = "k"}) -> (!heads, !cache {linnet.state = "k"}) {
  %a = linnet.attention %q, %k, %k past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !past
  %k1 = linnet.cache_append %k, %a, %past : !cache, !heads, !past
  return %a, %k1 : !heads, !cache
}

// An input is not the callee's to overwrite.
// CHECK-LABEL: @input_cache
// CHECK: %[[COPY:.*]] = linnet.fused
// CHECK: linnet.cache_append %[[COPY]]
func.func @input_cache(%q: !heads, %past: !past, %k: !cache) -> !heads {
  %k1 = linnet.cache_append %k, %q, %past : !cache, !heads, !past
  %a = linnet.attention %q, %k1, %k1 past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !past
  return %a : !heads
}

// Twice into one cache: a chain.
// CHECK-LABEL: @twice
// CHECK-NOT: linnet.fused
// CHECK: return
func.func @twice(%q: !heads, %past: !past, %k: !cache {linnet.state = "k"}) -> (!cache {linnet.state = "k"}) {
  %k1 = linnet.cache_append %k, %q, %past : !cache, !heads, !past
  %k2 = linnet.cache_append %k1, %q, %past : !cache, !heads, !past
  return %k2 : !cache
}

// What cannot be computed in the output's own memory is copied there.
// CHECK-LABEL: @returns
// CHECK: %[[E:.*]] = linnet.exp
// CHECK: %[[R:.*]] = linnet.reshape
// CHECK-DAG: %[[C0:.*]] = linnet.fused (%{{.*}} = %arg0 :
// CHECK-DAG: %[[C1:.*]] = linnet.fused (%{{.*}} = %[[R]] :
// CHECK-DAG: %[[C2:.*]] = linnet.fused (%{{.*}} = %[[E]] :
// CHECK: return %[[E]], %[[C0]], %[[C1]], %[[C2]]
func.func @returns(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<32xf32>, tensor<4x8xf32>) {
  %e = linnet.exp %x : tensor<4x8xf32>
  %r = linnet.reshape %e : tensor<4x8xf32> to tensor<32xf32>
  return %e, %x, %r, %e : tensor<4x8xf32>, tensor<4x8xf32>, tensor<32xf32>, tensor<4x8xf32>
}

// Two states change places: both are read before either is written.
// CHECK-LABEL: @swap
// CHECK: %[[A:.*]] = linnet.fused (%{{.*}} = %arg1 :
// CHECK: %[[B:.*]] = linnet.fused (%{{.*}} = %arg0 :
// CHECK: %[[A2:.*]] = linnet.fused (%{{.*}} = %[[A]] :
// CHECK: %[[B2:.*]] = linnet.fused (%{{.*}} = %[[B]] :
// CHECK: return %[[A2]], %[[B2]]
func.func @swap(%a: tensor<4xf32> {linnet.state = "a"}, %b: tensor<4xf32> {linnet.state = "b"})
    -> (tensor<4xf32> {linnet.state = "a"}, tensor<4xf32> {linnet.state = "b"}) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}

// A state that stays as it is needs nothing.
// CHECK-LABEL: @unchanged
// CHECK-NEXT: return %arg0
func.func @unchanged(%a: tensor<4xf32> {linnet.state = "a"}) -> (tensor<4xf32> {linnet.state = "a"}) {
  return %a : tensor<4xf32>
}
}
