// RUN: linnet-opt %s --linnet-default-pipeline | FileCheck %s
// RUN: linnet-opt %s --linnet-default-pipeline='target=cpu opt-level=0' | FileCheck %s --check-prefix=O0
// RUN: linnet-opt %s --linnet-default-pipeline='target=cpu disable=linnet-fuse-epilogue' | FileCheck %s --check-prefix=NOEPI
// RUN: linnet-opt %s --linnet-default-pipeline='target=reference' | FileCheck %s --check-prefix=REF
// RUN: linnet-opt %s --linnet-default-pipeline | linnet-opt | FileCheck %s
// RUN: linnet-opt %s --linnet-default-pipeline --mlir-print-debuginfo | FileCheck %s --check-prefix=LOC
// RUN: not linnet-opt %s --linnet-default-pipeline='disable=linnet-plan-memory' 2>&1 | FileCheck %s --check-prefix=REQUIRED
// RUN: not linnet-opt %s --linnet-default-pipeline='disable=linnet-fuse-everything' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not linnet-opt %s --linnet-default-pipeline='target=abacus' 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not linnet-opt %s --linnet-default-pipeline='opt-level=3' 2>&1 | FileCheck %s --check-prefix=LEVEL

// REQUIRED: --disable-pass=linnet-plan-memory: no module can be lowered without this pass
// UNKNOWN: --disable-pass=linnet-fuse-everything: there is no pass of that name
// TARGET: unknown target 'abacus', expected cpu, vulkan, reference
// LEVEL: optimization level 3: expected 0, 1 or 2

// A perceptron of two layers. One matmul each with everything in it; the hidden layer in the arena.
// CHECK: linnet.target = "cpu"
// CHECK-LABEL: @main
// CHECK-SAME: linnet.arena_bytes = 320 : i64
// CHECK: linnet.param "w0" : tensor<8x16xf32, #linnet.panel<16x64>>
// CHECK: linnet.matmul {{.*}}relu{{.*}}linnet.slot = #linnet.slot<0, 256>
// CHECK: linnet.matmul {{.*}}linnet.slot = #linnet.slot<{{[0-9]+}}, 64>
// CHECK: linnet.softmax {{.*}}linnet.output = 0
// CHECK-NOT: linnet.fused
// CHECK-NOT: linnet.exp

// O0-LABEL: @main
// O0-NOT: linnet.panel
// O0: linnet.matmul
// O0: linnet.fused
// O0: linnet.fused

// NOEPI-LABEL: @main
// NOEPI: linnet.matmul %{{[a-z0-9]*}}, %{{[a-z0-9]*}} {linnet.slot
// NOEPI: linnet.fused
// NOEPI: linnet.add
// NOEPI: linnet.relu

// REF-LABEL: @main
// REF-NOT: linnet.slot
// REF-NOT: linnet.panel

// LOC-NOT: loc(unknown)
func.func @main(%x: tensor<?x8xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "y"})
    attributes {linnet.bounds = {batch = 4}} {
  %w0 = linnet.param "w0" : tensor<8x16xf32>
  %b0 = linnet.param "b0" : tensor<16xf32>
  %w1 = linnet.param "w1" : tensor<16x4xf32>
  %b1 = linnet.param "b1" : tensor<4xf32>
  %unused = linnet.exp %x : tensor<?x8xf32, #linnet.dims<batch>>
  %0 = linnet.matmul %x, %w0 : tensor<?x8xf32, #linnet.dims<batch>>, tensor<8x16xf32>
  %1 = linnet.add %0, %b0 : tensor<?x16xf32, #linnet.dims<batch>>, tensor<16xf32>
  %2 = linnet.relu %1 : tensor<?x16xf32, #linnet.dims<batch>>
  %3 = linnet.matmul %2, %w1 : tensor<?x16xf32, #linnet.dims<batch>>, tensor<16x4xf32>
  %4 = linnet.add %3, %b1 : tensor<?x4xf32, #linnet.dims<batch>>, tensor<4xf32>
  %5 = linnet.softmax %4 : tensor<?x4xf32, #linnet.dims<batch>>
  return %5 : tensor<?x4xf32, #linnet.dims<batch>>
}
