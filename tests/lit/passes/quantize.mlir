// RUN: linnet-opt %s --linnet-quantize | FileCheck %s
// RUN: linnet-opt %s --linnet-quantize='bits=4 group=32' | FileCheck %s --check-prefix=FOUR
// RUN: linnet-opt %s --linnet-quantize='bits=4 group=32 asymmetric=true' | FileCheck %s --check-prefix=MINIMUM
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int4a' | FileCheck %s --check-prefix=PIPE4
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int8' | FileCheck %s --check-prefix=PIPE
// RUN: not linnet-opt %s --linnet-quantize='bits=5' 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not linnet-opt %s --linnet-quantize='group=3' 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not linnet-opt %s --linnet-quantize='bits=4 asymmetric=true' 2>&1 | FileCheck %s --check-prefix=ASYMMETRIC

// ASYMMETRIC: asymmetric is expected with bits=4 and a group
// BITS: bits is expected to be 8 or 4
// GROUP: group is expected to be even

// The tied table is read from the integers that the matmul has; the other table stays.
// CHECK: func.func private @wte.quantize() -> tensor<70x48xi8> attributes {linnet.weight}
// CHECK: linnet.quantize {{.*}} {bits = 8 : i64, dim = 1 : i64, group = 0 : i64}
// CHECK: func.func private @wte.quantize_scale() -> tensor<70x1xf32> attributes {linnet.weight}
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[Q:.*]] = linnet.param "wte.quantize" : tensor<70x48xi8>
// CHECK-DAG: %[[S:.*]] = linnet.param "wte.quantize_scale" : tensor<70x1xf32>
// CHECK-DAG: linnet.embed %{{.*}}, %arg0 scale %{{.*}} : tensor<70x48xi8>, tensor<2x3xi32> scale tensor<70x1xf32>
// CHECK-DAG: linnet.param "wpe" : tensor<9x48xf32>
// CHECK: linnet.matmul %{{.*}}, %{{.*}} scale %{{.*}} {transpose_rhs} : tensor<2x3x48xf32>, tensor<70x48xi8> scale tensor<70x1xf32>
// FOUR: linnet.matmul {{.*}} scale {{.*}} {group = 32 : i64, transpose_rhs} : tensor<2x3x48xf32>, tensor<70x48xi4> scale tensor<70x2xf32>
// MINIMUM: linnet.quantize {{.*}} {asymmetric, bits = 4 : i64, dim = 1 : i64, group = 32 : i64}
// MINIMUM: linnet.embed {{.*}} scale {{.*}} {asymmetric, group = 32 : i64} : tensor<70x48xi4>, tensor<2x3xi32> scale tensor<70x4xf32>
// MINIMUM: linnet.matmul {{.*}} scale {{.*}} {asymmetric, group = 32 : i64, transpose_rhs} : tensor<2x3x48xf32>, tensor<70x48xi4> scale tensor<70x4xf32>
// PIPE4: linnet.matmul {{.*}} {asymmetric, {{.*}}int8_rows = 2 : i64{{.*}}} : {{.*}} tensor<70x48xi4, #linnet.panel<16x64, interleave = 8, transposed>> scale tensor<70x4xf32, #linnet.panel<1x64, transposed>>
// PIPE: linnet.matmul {{.*}} tensor<70x48xi8, #linnet.panel<16x64, interleave = 4, transposed>> scale tensor<70x1xf32, #linnet.panel<1x64, transposed>>
func.func @main(%ids: tensor<2x3xi32> {linnet.name = "ids"}) -> (tensor<2x3x70xf32> {linnet.name = "y"}) {
  %t = linnet.param "wte" : tensor<70x48xf32>
  %p = linnet.param "wpe" : tensor<9x48xf32>
  %a = linnet.embed %t, %ids : tensor<70x48xf32>, tensor<2x3xi32>
  %b = linnet.embed %p, %ids : tensor<9x48xf32>, tensor<2x3xi32>
  %x = linnet.add %a, %b : tensor<2x3x48xf32>, tensor<2x3x48xf32>
  %y = linnet.matmul %x, %t {transpose_rhs} : tensor<2x3x48xf32>, tensor<70x48xf32>
  return %y : tensor<2x3x70xf32>
}
