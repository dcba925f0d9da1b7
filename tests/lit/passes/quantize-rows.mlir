// RUN: linnet-opt %s --linnet-quantize --linnet-assign-layout=target=cpu --linnet-quantize-rows | FileCheck %s
// RUN: linnet-opt %s --linnet-quantize --linnet-quantize-rows='from=7' | FileCheck %s --check-prefix=PLAIN
// RUN: linnet-opt %s --linnet-quantize='bits=4 group=32' --linnet-assign-layout=target=cpu --linnet-quantize-rows='from=7' | FileCheck %s --check-prefix=SEVEN
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int8' | FileCheck %s
// RUN: linnet-opt %s --linnet-default-pipeline='dtype=int8 target=vulkan' | FileCheck %s --check-prefix=PLAIN
// RUN: linnet-opt %s --linnet-default-pipeline | FileCheck %s --check-prefix=PLAIN
// RUN: not linnet-opt %s --linnet-quantize-rows='from=-1' 2>&1 | FileCheck %s --check-prefix=FROM

// RUN: not linnet-opt %s --linnet-quantize-rows='group=-2' 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: linnet-opt %s --linnet-quantize='group=48' --linnet-assign-layout=target=cpu --linnet-quantize-rows | FileCheck %s --check-prefix=DIVISOR
// RUN: linnet-opt %s --linnet-quantize --linnet-assign-layout=target=cpu --linnet-quantize-rows='group=0' | FileCheck %s --check-prefix=WHOLE

// A group of activations ends with a group of weights.
// DIVISOR: linnet.matmul {{.*}} {group = 48 : i64, int8_group = 16 : i64, int8_rows = 2 : i64}
// WHOLE: linnet.matmul {{.*}} {int8_rows = 2 : i64}
// GROUP: group is expected to be at least -1
// FROM: from is expected to be at least 0 rows

// Weights without panels keep their lhs, and so does a target that gains nothing.
// CHECK: linnet.matmul {{.*}} {int8_group = 32 : i64, int8_rows = 2 : i64{{.*}}} : tensor<2x3x48xf32>, tensor<48x70xi8, #linnet.panel
// SEVEN: linnet.matmul {{.*}} {group = 32 : i64, int8_group = 32 : i64, int8_rows = 7 : i64} : tensor<2x3x48xf32>, tensor<48x70xi4, #linnet.panel
// PLAIN: linnet.matmul
// PLAIN-NOT: int8_rows
func.func @main(%x: tensor<2x3x48xf32> {linnet.name = "x"}) -> (tensor<2x3x70xf32> {linnet.name = "y"}) {
  %w = linnet.param "w" : tensor<48x70xf32>
  %y = linnet.matmul %x, %w : tensor<2x3x48xf32>, tensor<48x70xf32>
  return %y : tensor<2x3x70xf32>
}

// With several sequences every row is rounded, so that none depends on the others.
// RUN: sed 's/attributes {}/attributes {linnet.bounds = {batch = 4}}/' %s | linnet-opt --linnet-quantize --linnet-assign-layout=target=cpu --linnet-quantize-rows | FileCheck %s --check-prefix=BATCH
// BATCH: func.func @batch
// BATCH: linnet.matmul {{.*}} {int8_group = 32 : i64, int8_rows = 1 : i64{{.*}}} : tensor<?x48xf32
func.func @batch(%x: tensor<?x48xf32, #linnet.dims<batch>> {linnet.name = "x"})
    -> (tensor<?x70xf32, #linnet.dims<batch>> {linnet.name = "y"}) attributes {} {
  %w = linnet.param "w" : tensor<48x70xf32>
  %y = linnet.matmul %x, %w : tensor<?x48xf32, #linnet.dims<batch>>, tensor<48x70xf32>
  return %y : tensor<?x70xf32, #linnet.dims<batch>>
}
