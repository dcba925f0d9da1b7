// RUN: linnet-opt %s --split-input-file --verify-diagnostics --linnet-alias --linnet-plan-memory

func.func @no_bound(%x: tensor<?x8xf32, #linnet.dims<seq>>) -> tensor<?x8xf32, #linnet.dims<seq>> {
  // expected-error@+1 {{the largest size of (seq, 8) is unknown: linnet.bounds of @no_bound lacks a dimension}}
  %0 = linnet.softmax %x : tensor<?x8xf32, #linnet.dims<seq>>
  %1 = linnet.softmax %0 : tensor<?x8xf32, #linnet.dims<seq>>
  return %1 : tensor<?x8xf32, #linnet.dims<seq>>
}

// -----

// expected-error@+1 {{the sizes of @overflow's activations overflow}}
func.func @overflow(%x: tensor<?x1099511627776xf32, #linnet.dims<seq>>) -> tensor<?x1099511627776xf32, #linnet.dims<seq>> attributes {linnet.bounds = {seq = 2000000}} {
  %0 = linnet.softmax %x : tensor<?x1099511627776xf32, #linnet.dims<seq>>
  %1 = linnet.softmax %0 : tensor<?x1099511627776xf32, #linnet.dims<seq>>
  %2 = linnet.softmax %1 : tensor<?x1099511627776xf32, #linnet.dims<seq>>
  return %2 : tensor<?x1099511627776xf32, #linnet.dims<seq>>
}

