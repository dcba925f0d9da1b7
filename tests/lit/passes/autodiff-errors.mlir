// RUN: linnet-opt %s --split-input-file --verify-diagnostics --linnet-autodiff

// expected-error @below {{@loss has no parameter "v"; it has w}}
func.func @loss() -> (tensor<2xf32> {linnet.name = "loss"}) attributes {linnet.train = {v = {}}} {
  %w = linnet.param "w" : tensor<2xf32>
  return %w : tensor<2xf32>
}

// -----

// expected-error @below {{its first result is expected to be called "loss"}}
func.func @loss() -> (tensor<2xf32> {linnet.name = "y"}) {
  %w = linnet.param "w" : tensor<2xf32>
  return %w : tensor<2xf32>
}

// -----

func.func @loss() -> (tensor<2x1xf32> {linnet.name = "loss"}) {
  %w = linnet.param "w" : tensor<2x3xf32>
  // expected-error @below {{of kind max cannot be trained through}}
  %0 = linnet.reduce max %w dim 1 : tensor<2x3xf32>
  return %0 : tensor<2x1xf32>
}

// -----

// expected-error @below {{"loss" depends on none of the trained parameters}}
func.func @loss() -> (tensor<2x3xf32> {linnet.name = "loss"}) {
  %c = linnet.constant dense<1.0> : tensor<2x3xf32>
  %w = linnet.param "w" : tensor<3xf32>
  return %c : tensor<2x3xf32>
}
