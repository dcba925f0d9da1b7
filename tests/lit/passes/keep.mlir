// RUN: linnet-opt %s --linnet-keep | FileCheck %s
// RUN: linnet-opt %s --linnet-keep --linnet-mixed-precision='weights=kept' | FileCheck %s --check-prefix=NARROW
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=keep' | FileCheck %s --check-prefix=PIPE
// RUN: echo 'module {}' | not linnet-opt --linnet-keep 2>&1 | FileCheck %s --check-prefix=NONE

// NONE: expected the attribute linnet.kept with the weights to keep

// Weights of one form are read together. Each run of weights of one form is read alone, and a slice of the whole reads
// the product that has it.
// CHECK-DAG: func.func private @q.integers.concat() -> tensor<80x64xi4> attributes {linnet.weight}
// CHECK-DAG: func.func private @q.scales.concat() -> tensor<80x4xf32> attributes {linnet.weight}
// CHECK-LABEL: func.func @main
// CHECK: linnet.embed %{{.*}}, %arg0 scale %{{.*}} {group = 32 : i64} : tensor<9x64xi8>, tensor<2x3xi32> scale tensor<9x2xf32>
// CHECK: %[[QK:.*]] = linnet.matmul {{.*}} {asymmetric, group = 32 : i64, transpose_rhs} : {{.*}}, tensor<80x64xi4> scale tensor<80x4xf32>
// CHECK: %[[V:.*]] = linnet.matmul {{.*}} {transpose_rhs} : tensor<2x3x64xf32>, tensor<16x64xf32>
// CHECK: linnet.slice %[[QK]] dim 2 offset 64 size 16
// CHECK: linnet.add %{{.*}}, %[[V]]
// CHECK-NOT: linnet.concat
// A weight whose groups lie along the other dimension stays f32. One without integers gets them.
// CHECK: linnet.matmul {{.*}} : tensor<2x3x16xf32>, tensor<16x64xf32>
// CHECK: linnet.matmul {{.*}} {group = 32 : i64, transpose_rhs} : {{.*}}, tensor<9x64xi8> scale tensor<9x2xf32>
// CHECK: linnet.matmul {{.*}} {group = 32 : i64} : {{.*}}, tensor<9x8xi8> scale tensor<1x8xf32>
// NARROW: linnet.matmul {{.*}} {transpose_rhs} : tensor<2x3x64xf32>, tensor<16x64xbf16>
// PIPE: tensor<80x64xi4, #linnet.panel<16x64, interleave = 8, transposed>> scale tensor<80x4xf32, #linnet.panel<1x64, transposed>>
// PIPE: tensor<16x64xbf16, #linnet.panel<16x64, interleave = 2, transposed>>
module attributes {linnet.kept = {
    "t" = {type = i8, group = 32 : i64, dim = 1 : i64}, "q" = {type = i4, group = 32 : i64, dim = 1 : i64, asymmetric},
    "k" = {type = i4, group = 32 : i64, dim = 1 : i64, asymmetric}, "v" = {type = bf16},
    "o" = {type = i8, group = 32 : i64, dim = 1 : i64}, "r" = {type = i8, group = 32 : i64, dim = 0 : i64, rounded}}} {
  func.func private @qkv() -> tensor<96x64xf32> attributes {linnet.weight} {
    %q = linnet.param "q" : tensor<64x64xf32>
    %k = linnet.param "k" : tensor<16x64xf32>
    %v = linnet.param "v" : tensor<16x64xf32>
    %r = linnet.concat %q, %k, %v dim 0 : tensor<64x64xf32>, tensor<16x64xf32>, tensor<16x64xf32>
    return %r : tensor<96x64xf32>
  }
  func.func @main(%ids: tensor<2x3xi32> {linnet.name = "ids"}) -> (tensor<2x3x8xf32> {linnet.name = "y"}) {
    %t = linnet.param "t" : tensor<9x64xf32>
    %x = linnet.embed %t, %ids : tensor<9x64xf32>, tensor<2x3xi32>
    %w = linnet.param "qkv" : tensor<96x64xf32>
    %p = linnet.matmul %x, %w {transpose_rhs} : tensor<2x3x64xf32>, tensor<96x64xf32>
    %k = linnet.slice %p dim 2 offset 64 size 16 : tensor<2x3x96xf32>
    %v = linnet.slice %p dim 2 offset 80 size 16 : tensor<2x3x96xf32>
    %s = linnet.add %k, %v : tensor<2x3x16xf32>, tensor<2x3x16xf32>
    %o = linnet.param "o" : tensor<16x64xf32>
    %z = linnet.matmul %s, %o : tensor<2x3x16xf32>, tensor<16x64xf32>
    %h = linnet.matmul %z, %t {transpose_rhs} : tensor<2x3x64xf32>, tensor<9x64xf32>
    %r = linnet.param "r" : tensor<9x8xf32>
    %y = linnet.matmul %h, %r : tensor<2x3x9xf32>, tensor<9x8xf32>
    return %y : tensor<2x3x8xf32>
  }
}
