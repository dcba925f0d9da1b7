// What the verifier of linnet.sample says.
// RUN: linnet-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<3xf32>, %f: tensor<3xf32>, %i: tensor<3xi32>, %s: tensor<2xi32>) {
  // expected-error@+1 {{'linnet.sample' op logits is (3), expected 2 dimensions}}
  %0 = linnet.sample %x temperature %f top_k %i top_p %f seed %s position %i copy %i : tensor<3xf32>, tensor<3xf32>, tensor<3xi32>, tensor<3xf32>, tensor<2xi32>, tensor<3xi32>, tensor<3xi32>
  return
}
// -----
func.func @f(%x: tensor<3x7xf32>, %f: tensor<3xf32>, %g: tensor<1xf32>, %i: tensor<3xi32>, %s: tensor<2xi32>) {
  // expected-error@+1 {{'linnet.sample' op top_p is (1), expected (3)}}
  %0 = linnet.sample %x temperature %f top_k %i top_p %g seed %s position %i copy %i : tensor<3x7xf32>, tensor<3xf32>, tensor<3xi32>, tensor<1xf32>, tensor<2xi32>, tensor<3xi32>, tensor<3xi32>
  return
}
// -----
func.func @f(%x: tensor<3x7xf32>, %f: tensor<3xf32>, %i: tensor<3xi32>, %s: tensor<2xi32>) {
  // expected-error@+1 {{'linnet.sample' op copy is (2), expected (3)}}
  %0 = linnet.sample %x temperature %f top_k %i top_p %f seed %s position %i copy %s : tensor<3x7xf32>, tensor<3xf32>, tensor<3xi32>, tensor<3xf32>, tensor<2xi32>, tensor<3xi32>, tensor<2xi32>
  return
}
// -----
func.func @f(%x: tensor<3x7xf32>, %f: tensor<3xf32>, %i: tensor<3xi32>) {
  // expected-error@+1 {{'linnet.sample' op seed is (3), expected (2)}}
  %0 = linnet.sample %x temperature %f top_k %i top_p %f seed %i position %i copy %i : tensor<3x7xf32>, tensor<3xf32>, tensor<3xi32>, tensor<3xf32>, tensor<3xi32>, tensor<3xi32>, tensor<3xi32>
  return
}
