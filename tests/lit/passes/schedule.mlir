// RUN: linnet-opt %s --linnet-schedule --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters

// COUNT: linnet-schedule reordered 1{{$}}

// Two wide branches that end in a few numbers: one after the other, one wide value lives at a time.
// CHECK-LABEL: @branches
// CHECK: linnet.exp
// CHECK: linnet.reduce
// CHECK: linnet.tanh
// CHECK: linnet.reduce
func.func @branches(%x: tensor<4x512xf32> {linnet.name = "x"}) -> (tensor<4x1xf32> {linnet.name = "y"}) {
  %a = linnet.exp %x : tensor<4x512xf32>
  %b = linnet.tanh %x : tensor<4x512xf32>
  %c = linnet.reduce sum %a dim 1 : tensor<4x512xf32>
  %d = linnet.reduce sum %b dim 1 : tensor<4x512xf32>
  %y = linnet.add %c, %d : tensor<4x1xf32>, tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// A chain stays as it is.
// CHECK-LABEL: @chain
func.func @chain(%x: tensor<4x512xf32> {linnet.name = "x"}) -> (tensor<4x512xf32> {linnet.name = "y"}) {
  %a = linnet.exp %x : tensor<4x512xf32>
  %b = linnet.tanh %a : tensor<4x512xf32>
  return %b : tensor<4x512xf32>
}
