// RUN: linnet-opt %s --linnet-fuse-elementwise | FileCheck %s

// A sum of 34 tensors is two kernels: one kernel reads 31 tensors at the most.
// CHECK: linnet.fused
// CHECK: linnet.fused
// CHECK-NOT: linnet.fused
func.func @main(%x0: tensor<5xf32> {linnet.name = "x0"}, %x1: tensor<5xf32> {linnet.name = "x1"}, %x2: tensor<5xf32> {linnet.name = "x2"}, %x3: tensor<5xf32> {linnet.name = "x3"}, %x4: tensor<5xf32> {linnet.name = "x4"}, %x5: tensor<5xf32> {linnet.name = "x5"}, %x6: tensor<5xf32> {linnet.name = "x6"}, %x7: tensor<5xf32> {linnet.name = "x7"}, %x8: tensor<5xf32> {linnet.name = "x8"}, %x9: tensor<5xf32> {linnet.name = "x9"}, %x10: tensor<5xf32> {linnet.name = "x10"}, %x11: tensor<5xf32> {linnet.name = "x11"}, %x12: tensor<5xf32> {linnet.name = "x12"}, %x13: tensor<5xf32> {linnet.name = "x13"}, %x14: tensor<5xf32> {linnet.name = "x14"}, %x15: tensor<5xf32> {linnet.name = "x15"}, %x16: tensor<5xf32> {linnet.name = "x16"}, %x17: tensor<5xf32> {linnet.name = "x17"}, %x18: tensor<5xf32> {linnet.name = "x18"}, %x19: tensor<5xf32> {linnet.name = "x19"}, %x20: tensor<5xf32> {linnet.name = "x20"}, %x21: tensor<5xf32> {linnet.name = "x21"}, %x22: tensor<5xf32> {linnet.name = "x22"}, %x23: tensor<5xf32> {linnet.name = "x23"}, %x24: tensor<5xf32> {linnet.name = "x24"}, %x25: tensor<5xf32> {linnet.name = "x25"}, %x26: tensor<5xf32> {linnet.name = "x26"}, %x27: tensor<5xf32> {linnet.name = "x27"}, %x28: tensor<5xf32> {linnet.name = "x28"}, %x29: tensor<5xf32> {linnet.name = "x29"}, %x30: tensor<5xf32> {linnet.name = "x30"}, %x31: tensor<5xf32> {linnet.name = "x31"}, %x32: tensor<5xf32> {linnet.name = "x32"}, %x33: tensor<5xf32> {linnet.name = "x33"}) -> (tensor<5xf32> {linnet.name = "y"}) {
  %s1 = linnet.add %x0, %x1 : tensor<5xf32>, tensor<5xf32>
  %s2 = linnet.add %s1, %x2 : tensor<5xf32>, tensor<5xf32>
  %s3 = linnet.add %s2, %x3 : tensor<5xf32>, tensor<5xf32>
  %s4 = linnet.add %s3, %x4 : tensor<5xf32>, tensor<5xf32>
  %s5 = linnet.add %s4, %x5 : tensor<5xf32>, tensor<5xf32>
  %s6 = linnet.add %s5, %x6 : tensor<5xf32>, tensor<5xf32>
  %s7 = linnet.add %s6, %x7 : tensor<5xf32>, tensor<5xf32>
  %s8 = linnet.add %s7, %x8 : tensor<5xf32>, tensor<5xf32>
  %s9 = linnet.add %s8, %x9 : tensor<5xf32>, tensor<5xf32>
  %s10 = linnet.add %s9, %x10 : tensor<5xf32>, tensor<5xf32>
  %s11 = linnet.add %s10, %x11 : tensor<5xf32>, tensor<5xf32>
  %s12 = linnet.add %s11, %x12 : tensor<5xf32>, tensor<5xf32>
  %s13 = linnet.add %s12, %x13 : tensor<5xf32>, tensor<5xf32>
  %s14 = linnet.add %s13, %x14 : tensor<5xf32>, tensor<5xf32>
  %s15 = linnet.add %s14, %x15 : tensor<5xf32>, tensor<5xf32>
  %s16 = linnet.add %s15, %x16 : tensor<5xf32>, tensor<5xf32>
  %s17 = linnet.add %s16, %x17 : tensor<5xf32>, tensor<5xf32>
  %s18 = linnet.add %s17, %x18 : tensor<5xf32>, tensor<5xf32>
  %s19 = linnet.add %s18, %x19 : tensor<5xf32>, tensor<5xf32>
  %s20 = linnet.add %s19, %x20 : tensor<5xf32>, tensor<5xf32>
  %s21 = linnet.add %s20, %x21 : tensor<5xf32>, tensor<5xf32>
  %s22 = linnet.add %s21, %x22 : tensor<5xf32>, tensor<5xf32>
  %s23 = linnet.add %s22, %x23 : tensor<5xf32>, tensor<5xf32>
  %s24 = linnet.add %s23, %x24 : tensor<5xf32>, tensor<5xf32>
  %s25 = linnet.add %s24, %x25 : tensor<5xf32>, tensor<5xf32>
  %s26 = linnet.add %s25, %x26 : tensor<5xf32>, tensor<5xf32>
  %s27 = linnet.add %s26, %x27 : tensor<5xf32>, tensor<5xf32>
  %s28 = linnet.add %s27, %x28 : tensor<5xf32>, tensor<5xf32>
  %s29 = linnet.add %s28, %x29 : tensor<5xf32>, tensor<5xf32>
  %s30 = linnet.add %s29, %x30 : tensor<5xf32>, tensor<5xf32>
  %s31 = linnet.add %s30, %x31 : tensor<5xf32>, tensor<5xf32>
  %s32 = linnet.add %s31, %x32 : tensor<5xf32>, tensor<5xf32>
  %s33 = linnet.add %s32, %x33 : tensor<5xf32>, tensor<5xf32>
  return %s33 : tensor<5xf32>
}
