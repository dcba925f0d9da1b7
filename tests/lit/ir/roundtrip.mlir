// Every op prints as it reads, in the custom and in the generic form.
// RUN: linnet-opt %s | FileCheck %s
// RUN: linnet-opt %s | linnet-opt | FileCheck %s
// RUN: linnet-opt %s --mlir-print-op-generic | linnet-opt | FileCheck %s

!ids = tensor<?x?xi32, #linnet.dims<batch, seq>>
!row = tensor<?xi32, #linnet.dims<batch>>
!x = tensor<?x?x8xf32, #linnet.dims<batch, seq>>
!heads = tensor<?x?x2x4xf32, #linnet.dims<batch, seq>>
!cache = tensor<?x2x?x4xf32, #linnet.dims<batch, context>>

// CHECK: func.func @transformer
// CHECK-SAME: tensor<?x?xi32, #linnet.dims<batch, seq>> {linnet.name = "ids"}
// CHECK-SAME: linnet.bounds = {batch = 2 : i64, context = 16 : i64, seq = 4 : i64}
func.func @transformer(%ids: !ids {linnet.name = "ids"}, %past: !row {linnet.name = "past"}, %length: !row {linnet.name = "length"},
    %k: !cache {linnet.state = "k"}) -> (tensor<?xi32, #linnet.dims<batch>> {linnet.name = "token"}, !cache {linnet.state = "k"})
    attributes {linnet.bounds = {batch = 2, seq = 4, context = 16}} {
  // CHECK: linnet.param "wte" : tensor<11x8xf32, #linnet.panel<16x64, transposed>>
  %wte = linnet.param "wte" : tensor<11x8xf32, #linnet.panel<16x64, transposed>>
  // CHECK: linnet.embed {{.*}} : tensor<11x8xf32, #linnet.panel<16x64, transposed>>, tensor<?x?xi32, #linnet.dims<batch, seq>>
  %e = linnet.embed %wte, %ids : tensor<11x8xf32, #linnet.panel<16x64, transposed>>, !ids
  // CHECK: linnet.positions {{.*}} limit 16
  %p = linnet.positions %past, %ids limit 16 : !row, !ids
  %wpe = linnet.param "wpe" : tensor<16x8xf32>
  %pe = linnet.embed %wpe, %p : tensor<16x8xf32>, !ids
  // CHECK: linnet.add
  %x = linnet.add %e, %pe : !x, !x
  %g = linnet.param "gain" : tensor<8xf32>
  // CHECK: linnet.layer_norm {{.*}} {epsilon = 9.99999974E-6 : f32}
  %n = linnet.layer_norm %x, %g, %g {epsilon = 1.0e-5 : f32} : !x, tensor<8xf32>, tensor<8xf32>
  // CHECK: linnet.reshape
  %q = linnet.reshape %n : !x to !heads
  // CHECK: linnet.cache_append
  %k1 = linnet.cache_append %k, %q, %past : !cache, !heads, !row
  // CHECK: linnet.attention {{.*}} past {{.*}} {scale = 5.000000e-01 : f32}
  %a = linnet.attention %q, %k1, %k1 past %past {scale = 0.5 : f32} : !heads, !cache, !cache past !row
  // CHECK: linnet.attention {{.*}} past {{.*}} {cap = 3.000000e+01 : f32, scale = 5.000000e-01 : f32, window = 4 : i64}
  %windowed = linnet.attention %q, %k1, %k1 past %past {scale = 0.5 : f32, cap = 30.0 : f32, window = 4 : i64} : !heads, !cache, !cache past !row
  %a1 = linnet.reshape %a : !heads to !x
  %w = linnet.param "w" : tensor<8x8xf32>
  // CHECK: linnet.matmul {{.*}} bias {{.*}} residual {{.*}} {activation = #linnet<activation gelu_tanh>}
  %m = linnet.matmul %a1, %w bias %g residual %x {activation = #linnet<activation gelu_tanh>} : !x, tensor<8x8xf32> bias tensor<8xf32> residual !x
  // CHECK: linnet.pool last
  %last = linnet.pool last %m, %length : !x, !row
  // CHECK: linnet.matmul {{.*}} {transpose_rhs}
  %l = linnet.matmul %last, %wte {transpose_rhs} : tensor<?x8xf32, #linnet.dims<batch>>, tensor<11x8xf32, #linnet.panel<16x64, transposed>>
  // CHECK: linnet.argmax
  %t = linnet.argmax %l : tensor<?x11xf32, #linnet.dims<batch>>
  // CHECK: linnet.sample {{.*}} temperature {{.*}} top_k {{.*}} top_p {{.*}} seed {{.*}} position {{.*}} copy
  %seed = linnet.constant dense<[1, 2]> : tensor<2xi32>
  %warm = linnet.cast %past : !row to tensor<?xf32, #linnet.dims<batch>>
  %drawn = linnet.sample %l temperature %warm top_k %length top_p %warm seed %seed position %past copy %length : tensor<?x11xf32, #linnet.dims<batch>>, tensor<?xf32, #linnet.dims<batch>>, !row, tensor<?xf32, #linnet.dims<batch>>, tensor<2xi32>, !row, !row
  return %t, %k1 : tensor<?xi32, #linnet.dims<batch>>, !cache
}

// CHECK: func.func @elementwise
func.func @elementwise(%x: tensor<2x3xf32>, %b: tensor<3xf32>, %i: tensor<2x3xi32>) -> tensor<2x3xbf16> {
  // CHECK-DAG: linnet.sub {{.*}} : tensor<2x3xf32>, tensor<3xf32>
  %0 = linnet.sub %x, %b : tensor<2x3xf32>, tensor<3xf32>
  // CHECK-DAG: linnet.mul
  %1 = linnet.mul %0, %x : tensor<2x3xf32>, tensor<2x3xf32>
  // CHECK-DAG: linnet.div
  %2 = linnet.div %1, %b : tensor<2x3xf32>, tensor<3xf32>
  // CHECK-DAG: linnet.max
  %3 = linnet.max %2, %x : tensor<2x3xf32>, tensor<2x3xf32>
  // CHECK-DAG: linnet.min
  %4 = linnet.min %3, %b : tensor<2x3xf32>, tensor<3xf32>
  // CHECK-DAG: linnet.neg
  %5 = linnet.neg %4 : tensor<2x3xf32>
  // CHECK-DAG: linnet.exp
  %6 = linnet.exp %5 : tensor<2x3xf32>
  // CHECK-DAG: linnet.log
  %7 = linnet.log %6 : tensor<2x3xf32>
  // CHECK-DAG: linnet.tanh
  %8 = linnet.tanh %7 : tensor<2x3xf32>
  // CHECK-DAG: linnet.erf
  %9 = linnet.erf %8 : tensor<2x3xf32>
  // CHECK-DAG: linnet.sqrt
  %10 = linnet.sqrt %9 : tensor<2x3xf32>
  // CHECK-DAG: linnet.rsqrt
  %11 = linnet.rsqrt %10 : tensor<2x3xf32>
  // CHECK-DAG: linnet.relu
  %12 = linnet.relu %11 : tensor<2x3xf32>
  // CHECK-DAG: linnet.gelu erf
  %13 = linnet.gelu erf %12 : tensor<2x3xf32>
  // CHECK-DAG: linnet.gelu tanh
  %14 = linnet.gelu tanh %13 : tensor<2x3xf32>
  // CHECK-DAG: linnet.gelu quick
  %quick = linnet.gelu quick %14 : tensor<2x3xf32>
  // CHECK-DAG: linnet.silu
  %silu = linnet.silu %quick : tensor<2x3xf32>
  // CHECK-DAG: linnet.cast {{.*}} : tensor<2x3xi32> to tensor<2x3xf32>
  %15 = linnet.cast %i : tensor<2x3xi32> to tensor<2x3xf32>
  // CHECK: linnet.fused ({{.*}} = {{.*}} : tensor<2x3xf32>, {{.*}} = {{.*}} : tensor<2x3xf32>) -> tensor<2x3xbf16> {
  // CHECK: linnet.constant 2.000000e+00 : f32
  // CHECK: linnet.cast {{.*}} : f32 to bf16
  // CHECK: linnet.yield {{.*}} : bf16
  %16 = linnet.fused (%a = %silu : tensor<2x3xf32>, %c = %15 : tensor<2x3xf32>) -> tensor<2x3xbf16> {
    %two = linnet.constant 2.0 : f32
    %y = linnet.mul %a, %two : f32, f32
    %z = linnet.add %y, %c : f32, f32
    %r = linnet.cast %z : f32 to bf16
    linnet.yield %r : bf16
  }
  return %16 : tensor<2x3xbf16>
}

// CHECK: func.func @shapes
func.func @shapes(%x: tensor<2x3x4xf32>) -> tensor<4xf32> {
  // CHECK: linnet.constant dense<1.000000e+00> : tensor<2x3x4xf32>
  %c = linnet.constant dense<1.0> : tensor<2x3x4xf32>
  // CHECK: linnet.concat {{.*}} dim 1
  %0 = linnet.concat %x, %c dim 1 : tensor<2x3x4xf32>, tensor<2x3x4xf32>
  // CHECK: linnet.slice {{.*}} dim 1 offset 2 size 1
  %1 = linnet.slice %0 dim 1 offset 2 size 1 : tensor<2x6x4xf32>
  // CHECK: linnet.transpose {{.*}} [1, 0, 2]
  %2 = linnet.transpose %1 [1, 0, 2] : tensor<2x1x4xf32>
  // CHECK: linnet.softmax
  %3 = linnet.softmax %2 : tensor<1x2x4xf32>
  // CHECK: linnet.reduce mean {{.*}} dim 1
  %4 = linnet.reduce mean %3 dim 1 : tensor<1x2x4xf32>
  // CHECK: linnet.relayout
  %5 = linnet.reshape %4 : tensor<1x1x4xf32> to tensor<1x4xf32>
  %6 = linnet.relayout %5 : tensor<1x4xf32> to tensor<1x4xf32, #linnet.panel<32x64, interleave = 2>>
  %7 = linnet.relayout %6 : tensor<1x4xf32, #linnet.panel<32x64, interleave = 2>> to tensor<1x4xf32>
  %8 = linnet.reshape %7 : tensor<1x4xf32> to tensor<4xf32>
  return %8 : tensor<4xf32>
}
