// RUN: linnet-opt %s --linnet-mixed-precision='weights=f32 compute=bf16' --linnet-print-counters 2>%t.counters | FileCheck %s
// RUN: FileCheck %s --check-prefix=COUNT --input-file=%t.counters

// COUNT: linnet-mixed-precision products 2{{$}}

// Both operands are cast once, where they are made, for all that read them; sums stay f32.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]*]]: tensor<3x4xf32>
// CHECK-SAME: %[[W:[^:]*]]: tensor<4x5xf32>
// CHECK-SAME: %[[G:[^:]*]]: tensor<4x5xf32>
// CHECK-DAG: %[[XN:.*]] = linnet.cast %[[X]] : tensor<3x4xf32> to tensor<3x4xbf16>
// CHECK-DAG: %[[WN:.*]] = linnet.cast %[[W]] : tensor<4x5xf32> to tensor<4x5xbf16>
// CHECK: %[[Y:.*]] = linnet.matmul %[[XN]], %[[WN]] {wide} : tensor<3x4xbf16>, tensor<4x5xbf16>
// CHECK: %[[YN:.*]] = linnet.cast %[[Y]] : tensor<3x5xf32> to tensor<3x5xbf16>
// CHECK: linnet.contract %[[G]], %[[XN]], %[[YN]] : tensor<4x5xf32>, tensor<3x4xbf16>, tensor<3x5xbf16>
func.func @main(%x: tensor<3x4xf32> {linnet.name = "x"}, %w: tensor<4x5xf32> {linnet.state = "w"},
                %g: tensor<4x5xf32> {linnet.state = "g"})
    -> (tensor<3x5xf32> {linnet.name = "y"}, tensor<4x5xf32> {linnet.state = "w"}, tensor<4x5xf32> {linnet.state = "g"}) {
  %0 = linnet.matmul %x, %w : tensor<3x4xf32>, tensor<4x5xf32>
  %1 = linnet.contract %g, %x, %0 : tensor<4x5xf32>, tensor<3x4xf32>, tensor<3x5xf32>
  return %0, %w, %1 : tensor<3x5xf32>, tensor<4x5xf32>, tensor<4x5xf32>
}
