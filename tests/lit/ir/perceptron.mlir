// The example of docs/ir.md.
// RUN: linnet-opt %s | FileCheck %s
// CHECK: linnet.matmul
func.func @forward(%x: tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "x"})
    -> (tensor<?x3xf32, #linnet.dims<batch>> {linnet.name = "y"}) attributes {linnet.bounds = {batch = 8}} {
  %w = linnet.param "w" : tensor<4x3xf32>
  %b = linnet.param "b" : tensor<3xf32>
  %0 = linnet.matmul %x, %w bias %b {activation = #linnet<activation relu>}
    : tensor<?x4xf32, #linnet.dims<batch>>, tensor<4x3xf32> bias tensor<3xf32>
  %1 = linnet.softmax %0 : tensor<?x3xf32, #linnet.dims<batch>>
  return %1 : tensor<?x3xf32, #linnet.dims<batch>>
}
