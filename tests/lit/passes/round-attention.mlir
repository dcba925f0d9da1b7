// RUN: linnet-opt %s --linnet-round-attention | FileCheck %s
// RUN: linnet-opt %s --linnet-round-attention='from=8' | FileCheck %s --check-prefix=EIGHT
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=bf16' | FileCheck %s
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int4' | FileCheck %s
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int8 target=vulkan' | FileCheck %s --check-prefix=PLAIN
// RUN: linnet-opt %s --linnet-default-pipeline | FileCheck %s --check-prefix=PLAIN
// RUN: not linnet-opt %s --linnet-round-attention='from=0' 2>&1 | FileCheck %s --check-prefix=FROM

// FROM: from is expected to be at least 1 query

// Nothing is rounded in f32, nor for a target that gains nothing.
// CHECK: linnet.attention {{.*}}bf16_rows = 2 : i64
// EIGHT: linnet.attention {{.*}}bf16_rows = 8 : i64
// PLAIN: linnet.attention
// PLAIN-NOT: bf16_rows
func.func @main(%q: tensor<1x5x2x8xf32> {linnet.name = "q"}, %k: tensor<1x2x9x8xf32> {linnet.name = "k"},
    %v: tensor<1x2x9x8xf32> {linnet.name = "v"}) -> (tensor<1x5x2x8xf32> {linnet.name = "y"}) {
  %y = linnet.attention %q, %k, %v {scale = 0.5 : f32} : tensor<1x5x2x8xf32>, tensor<1x2x9x8xf32>, tensor<1x2x9x8xf32>
  return %y : tensor<1x5x2x8xf32>
}
