// RUN: linnet-opt %s --split-input-file --verify-diagnostics --linnet-verify-plan

// expected-error-re@+1 {{plan of @overlap: linnet.softmax at {{.*}} and linnet.exp at {{.*}} are alive at the same time in overlapping slots}}
func.func @overlap(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {linnet.arena_bytes = 256 : i64} {
  %0 = linnet.softmax %x {linnet.slot = #linnet.slot<0, 128>} : tensor<4x8xf32>
  %1 = linnet.exp %x {linnet.slot = #linnet.slot<64, 128>} : tensor<4x8xf32>
  %2 = linnet.add %0, %1 {linnet.output = 0} : tensor<4x8xf32>, tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// expected-error-re@+1 {{plan of @overwritten_too_early: linnet.softmax at {{.*}} and linnet.exp at {{.*}} are alive}}
func.func @overwritten_too_early(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {linnet.arena_bytes = 128 : i64} {
  %0 = linnet.softmax %x {linnet.slot = #linnet.slot<0, 128>} : tensor<4x8xf32>
  %1 = linnet.exp %0 {linnet.slot = #linnet.slot<0, 128>} : tensor<4x8xf32>
  %2 = linnet.add %0, %1 {linnet.output = 0} : tensor<4x8xf32>, tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// expected-error-re@+1 {{plan of @softmax_in_place: linnet.softmax at {{.*}} and linnet.softmax at {{.*}} are alive}}
func.func @softmax_in_place(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {linnet.arena_bytes = 128 : i64} {
  %0 = linnet.softmax %x {linnet.slot = #linnet.slot<0, 128>} : tensor<4x8xf32>
  %1 = linnet.softmax %0 {linnet.slot = #linnet.slot<0, 128>} : tensor<4x8xf32>
  %2 = linnet.softmax %1 {linnet.output = 0} : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// expected-error@+1 {{needs 128 bytes, its slot has 64}}
func.func @small(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {linnet.arena_bytes = 128 : i64} {
  %0 = linnet.softmax %x {linnet.slot = #linnet.slot<0, 64>} : tensor<4x8xf32>
  %1 = linnet.softmax %0 {linnet.output = 0} : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// expected-error@+1 {{has slot [64, 192) in an arena of 128 bytes}}
func.func @outside(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {linnet.arena_bytes = 128 : i64} {
  %0 = linnet.softmax %x {linnet.slot = #linnet.slot<64, 128>} : tensor<4x8xf32>
  %1 = linnet.softmax %0 {linnet.output = 0} : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// expected-error-re@+1 {{linnet.softmax at {{.*}} has 0 places, expected one}}
func.func @nowhere(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linnet.softmax %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// expected-error@+1 {{result 1 of @wrong_output is not computed in its output's memory}}
func.func @wrong_output(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = linnet.softmax %x {linnet.output = 0} : tensor<4x8xf32>
  return %0, %0 : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// expected-error-re@+1 {{linnet.softmax at {{.*}} reads a value that was overwritten by linnet.cache_append}}
func.func @stale(%k: tensor<1x1x4x2xf32> {linnet.state = "k"}, %n: tensor<1x1x1x2xf32>, %p: tensor<1xi32>)
    -> (tensor<1x1x4x2xf32>, tensor<1x1x4x2xf32> {linnet.state = "k"}) {
  %1 = linnet.cache_append %k, %n, %p {linnet.in_place} : tensor<1x1x4x2xf32>, tensor<1x1x1x2xf32>, tensor<1xi32>
  %2 = linnet.softmax %k {linnet.output = 0} : tensor<1x1x4x2xf32>
  return %2, %1 : tensor<1x1x4x2xf32>, tensor<1x1x4x2xf32>
}

// -----

// expected-error@+1 {{works in place on what is neither a state nor an activation}}
func.func @input(%k: tensor<1x1x4x2xf32>, %n: tensor<1x1x1x2xf32>, %p: tensor<1xi32>) -> tensor<1x1x4x2xf32> {
  %1 = linnet.cache_append %k, %n, %p {linnet.in_place} : tensor<1x1x4x2xf32>, tensor<1x1x1x2xf32>, tensor<1xi32>
  %2 = linnet.softmax %1 {linnet.output = 0} : tensor<1x1x4x2xf32>
  return %2 : tensor<1x1x4x2xf32>
}

// -----

// expected-error-re@+1 {{linnet.softmax at {{.*}} reads a value that was overwritten}}
func.func @state_written_early(%a: tensor<8xf32> {linnet.state = "a"}) -> (tensor<8xf32> {linnet.state = "a"}, tensor<8xf32>) {
  %0 = linnet.exp %a {linnet.output = 0} : tensor<8xf32>
  %1 = linnet.softmax %a {linnet.output = 1} : tensor<8xf32>
  return %0, %1 : tensor<8xf32>, tensor<8xf32>
}
