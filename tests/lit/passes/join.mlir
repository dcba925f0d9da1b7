// RUN: linnet-opt %s --linnet-assign-layout=target=vulkan --linnet-wrap-elementwise --linnet-alias=target=vulkan --linnet-join=target=vulkan --linnet-print-counters 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT < %t
// RUN: linnet-opt %s --linnet-default-pipeline='target=vulkan' | FileCheck %s --check-prefix=PLANNED
// RUN: linnet-opt %s --linnet-default-pipeline='target=vulkan disable=linnet-join' | FileCheck %s --check-prefix=NONE
// RUN: linnet-opt %s --linnet-default-pipeline='target=cpu' | FileCheck %s --check-prefix=NONE
// RUN: not linnet-opt %s --linnet-join=target=abacus 2>&1 | FileCheck %s --check-prefix=TARGET

// TARGET: unknown target 'abacus', expected cpu, vulkan, reference
// COUNT: linnet-join groups 4{{$}}
// NONE: linnet.layer_norm
// NONE-NOT: linnet.joined

// What a group reads is alive until its last op: the norm's operand, 80 bytes in each of 3 rows at the bounds, and
// the product do not share memory.
// PLANNED-LABEL: func.func @norm
// PLANNED: linnet.fused {{.*}}linnet.slot = #linnet.slot<[[#X:]], [[#]]>
// PLANNED: linnet.layer_norm
// PLANNED-NOT: linnet.slot<[[#X]],
// PLANNED: linnet.matmul {{.*}}linnet.joined
// PLANNED: return

// CHECK-LABEL: func.func @norm
// CHECK: linnet.layer_norm
// CHECK-NOT: linnet.joined
// CHECK-SAME: : tensor<3x20xf32>
// CHECK: linnet.matmul {{.*}}linnet.joined
// CHECK: linnet.layer_norm
// CHECK-NOT: linnet.joined
// CHECK: return
func.func @norm(%x: tensor<3x20xf32> {linnet.name = "x"}) -> (tensor<3x70xf32> {linnet.name = "y"}, tensor<3x20xf32> {linnet.name = "z"}) {
  %w = linnet.param "w" : tensor<20x70xf32>
  %g = linnet.param "g" : tensor<20xf32>
  %b = linnet.param "b" : tensor<20xf32>
  %0 = linnet.neg %x : tensor<3x20xf32>
  %n = linnet.layer_norm %0, %g, %b {epsilon = 1.0e-5 : f32} : tensor<3x20xf32>, tensor<20xf32>, tensor<20xf32>
  %y = linnet.matmul %n, %w : tensor<3x20xf32>, tensor<20x70xf32>
  // Read twice: no group.
  %m = linnet.layer_norm %x, %b, %g {epsilon = 1.0e-5 : f32} : tensor<3x20xf32>, tensor<20xf32>, tensor<20xf32>
  %v = linnet.param "v" : tensor<20x20xf32>
  %u = linnet.matmul %m, %v : tensor<3x20xf32>, tensor<20x20xf32>
  %z = linnet.add %u, %m : tensor<3x20xf32>, tensor<3x20xf32>
  return %y, %z : tensor<3x70xf32>, tensor<3x20xf32>
}

// CHECK-LABEL: func.func @embedding
// CHECK: linnet.embed
// CHECK-NEXT: linnet.positions {{.*}}linnet.joined
// CHECK: linnet.embed {{.*}}linnet.joined
// CHECK: linnet.fused {{.*}}linnet.joined
func.func @embedding(%ids: tensor<2x3xi32> {linnet.name = "ids"}, %past: tensor<2xi32> {linnet.name = "past"}) -> (tensor<2x3x20xf32> {linnet.name = "y"}) {
  %t = linnet.param "t" : tensor<101x20xf32>
  %u = linnet.param "u" : tensor<17x20xf32>
  %0 = linnet.embed %t, %ids : tensor<101x20xf32>, tensor<2x3xi32>
  %1 = linnet.positions %past, %ids limit 17 : tensor<2xi32>, tensor<2x3xi32>
  %2 = linnet.embed %u, %1 : tensor<17x20xf32>, tensor<2x3xi32>
  %y = linnet.add %0, %2 : tensor<2x3x20xf32>, tensor<2x3x20xf32>
  return %y : tensor<2x3x20xf32>
}

// Heads that share keys join, too.
// CHECK-LABEL: func.func @shared_keys
// CHECK: linnet.cache_append
// CHECK-NEXT: linnet.cache_append {{.*}}linnet.joined
// CHECK-NEXT: linnet.attention {{.*}}linnet.joined
func.func @shared_keys(%q: tensor<2x1x6x8xf32> {linnet.name = "q"}, %new: tensor<2x1x2x8xf32> {linnet.name = "new"}, %past: tensor<2xi32> {linnet.name = "past"},
    %k: tensor<2x2x9x8xf32> {linnet.state = "k"}, %v: tensor<2x2x9x8xf32> {linnet.state = "v"})
    -> (tensor<2x1x6x8xf32> {linnet.name = "y"}, tensor<2x2x9x8xf32> {linnet.state = "k"}, tensor<2x2x9x8xf32> {linnet.state = "v"}) {
  %k1 = linnet.cache_append %k, %new, %past : tensor<2x2x9x8xf32>, tensor<2x1x2x8xf32>, tensor<2xi32>
  %v1 = linnet.cache_append %v, %new, %past : tensor<2x2x9x8xf32>, tensor<2x1x2x8xf32>, tensor<2xi32>
  %y = linnet.attention %q, %k1, %v1 past %past {scale = 0.5 : f32} : tensor<2x1x6x8xf32>, tensor<2x2x9x8xf32>, tensor<2x2x9x8xf32> past tensor<2xi32>
  return %y, %k1, %v1 : tensor<2x1x6x8xf32>, tensor<2x2x9x8xf32>, tensor<2x2x9x8xf32>
}

// The argmax of the product's rows joins, though the product is a result, too; not that of other numbers.
// CHECK-LABEL: func.func @token
// CHECK: linnet.layer_norm
// CHECK: linnet.matmul {{.*}}linnet.joined
// CHECK-NEXT: linnet.argmax {{.*}}linnet.joined
// CHECK-NEXT: linnet.argmax %arg0 :
func.func @token(%x: tensor<3x20xf32> {linnet.name = "x"}) -> (tensor<3x70xf32> {linnet.name = "y"}, tensor<3xi32> {linnet.name = "t"}, tensor<3xi32> {linnet.name = "u"}) {
  %w = linnet.param "w" : tensor<20x70xf32>
  %g = linnet.param "g" : tensor<20xf32>
  %b = linnet.param "b" : tensor<20xf32>
  %n = linnet.layer_norm %x, %g, %b {epsilon = 1.0e-5 : f32} : tensor<3x20xf32>, tensor<20xf32>, tensor<20xf32>
  %y = linnet.matmul %n, %w : tensor<3x20xf32>, tensor<20x70xf32>
  %t = linnet.argmax %y : tensor<3x70xf32>
  %u = linnet.argmax %x : tensor<3x20xf32>
  return %y, %t, %u : tensor<3x70xf32>, tensor<3xi32>, tensor<3xi32>
}
