// RUN: linnet-opt %s --linnet-mixed-precision='weights=bf16 cache=f16' | FileCheck %s
// RUN: linnet-opt %s --linnet-mixed-precision='weights=f32 cache=f32' | FileCheck %s --check-prefix=NONE
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int8 kv-cache=bf16' | FileCheck %s --check-prefix=BOTH
// RUN: not linnet-opt %s --linnet-default-pipeline='kv-cache=int8' 2>&1 | FileCheck %s --check-prefix=CACHE
// RUN: not linnet-opt %s --linnet-mixed-precision='weights=f8' 2>&1 | FileCheck %s --check-prefix=WRONG

// RUN: linnet-opt %s --linnet-mixed-precision='weights=f16' | FileCheck %s --check-prefix=HALF
// RUN: linnet-opt %s --linnet-mixed-precision='lhs=bf16' | FileCheck %s --check-prefix=LHS
// RUN: not linnet-opt %s --linnet-mixed-precision='lhs=f16' 2>&1 | FileCheck %s --check-prefix=NOLHS

// LHS: %[[X:.*]] = linnet.cast {{.*}} : tensor<1x3x8xf32> to tensor<1x3x8xbf16>
// LHS: linnet.matmul %[[X]], {{.*}} {wide} : tensor<1x3x8xbf16>, tensor<8x8xbf16> bias tensor<8xf32>
// NOLHS: lhs is expected to be f32 or bf16

// HALF-NOT: linnet.cast
// WRONG: weights, cache and compute are expected to be f32, f16 or bf16
// NONE-NOT: {{b?f16}}

// BOTH-LABEL: func.func @main
// BOTH-SAME: tensor<1x2x5x4xbf16> {linnet.state = "k"}
// BOTH: linnet.param {{.*}} tensor<8x8xi8
// BOTH: linnet.attention {{.*}} tensor<1x3x2x4xf32>, tensor<1x2x5x4xbf16>

// CACHE: unknown type of KV caches 'int8', expected f32, bf16 or f16

// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<1x2x5x4xf16> {linnet.state = "k"}
// CHECK-DAG: linnet.param "w" : tensor<8x8xbf16>
// CHECK-DAG: linnet.param "b" : tensor<8xf32>
// CHECK: %[[K:.*]] = linnet.cache_append {{.*}} : tensor<1x2x5x4xf16>
// CHECK: linnet.attention {{.*}} tensor<1x3x2x4xf32>, tensor<1x2x5x4xf16>
// CHECK: %[[N:.*]] = linnet.cast {{.*}} : tensor<1x3x8xf32> to tensor<1x3x8xbf16>
// CHECK: %[[X:.*]] = linnet.cast %[[N]] : tensor<1x3x8xbf16> to tensor<1x3x8xf32>
// CHECK: linnet.matmul %[[X]], {{.*}} : tensor<1x3x8xf32>, tensor<8x8xbf16> bias tensor<8xf32>
func.func @main(%q: tensor<1x3x2x4xf32> {linnet.name = "q"}, %past: tensor<1xi32> {linnet.name = "past"},
                %k: tensor<1x2x5x4xf32> {linnet.state = "k"})
    -> (tensor<1x3x8xf32> {linnet.name = "y"}, tensor<1x2x5x4xf32> {linnet.state = "k"}) {
  %w = linnet.param "w" : tensor<8x8xf32>
  %b = linnet.param "b" : tensor<8xf32>
  %0 = linnet.cache_append %k, %q, %past : tensor<1x2x5x4xf32>, tensor<1x3x2x4xf32>, tensor<1xi32>
  %1 = linnet.attention %q, %0, %0 past %past {scale = 0.5 : f32} : tensor<1x3x2x4xf32>, tensor<1x2x5x4xf32>, tensor<1x2x5x4xf32> past tensor<1xi32>
  %2 = linnet.reshape %1 : tensor<1x3x2x4xf32> to tensor<1x3x8xf32>
  %3 = linnet.matmul %2, %w bias %b : tensor<1x3x8xf32>, tensor<8x8xf32> bias tensor<8xf32>
  return %3, %0 : tensor<1x3x8xf32>, tensor<1x2x5x4xf32>
}
