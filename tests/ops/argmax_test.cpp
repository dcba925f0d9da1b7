// Compares the argmax fused into a matmul with the interpreter, on every runner under test.
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::testing;

namespace {

/// A layer norm of k columns, n products of weights of type `w`, and the best of them. `bias` gives each
/// column's bias.
std::string likeliest(int64_t k, int64_t n, const std::string &w, const std::string &bias, bool logits) {
  return replaced(R"(module attributes {linnet.bounds = {seq = 40}} {
func.func @main(%x: $t {linnet.name = "x"}) -> ($outs) {
  %g = linnet.param "g" : tensor<$kxf32>
  %b = linnet.param "b" : tensor<$kxf32>
  %w = linnet.param "w" : tensor<$kx$nx$w>
  %bias = $bias : tensor<$nxf32>
  %h = linnet.layer_norm %x, %g, %b {epsilon = 1.0e-5 : f32} : $t, tensor<$kxf32>, tensor<$kxf32>
  %0 = linnet.matmul %h, %w : $t, tensor<$kx$nx$w>
  %r = linnet.add %0, %bias : <r>, tensor<$nxf32>
  %token = linnet.argmax %r : <r>
  return $values
}
})",
                  {{"$outs", std::string(logits ? "<r> {linnet.name = \"logits\"}, " : "") +
                                 "tensor<?xi32, #linnet.dims<seq>> {linnet.name = \"token\"}"},
                   {"$values", std::string(logits ? "%r, %token : <r>, " : "%token : ") +
                                   "tensor<?xi32, #linnet.dims<seq>>"},
                   {"$bias", bias},
                   {"$t", fmt::format("tensor<?x{}xf32, #linnet.dims<seq>>", k)},
                   {"<r>", fmt::format("tensor<?x{}xf32, #linnet.dims<seq>>", n)},
                   {"$w", w},
                   {"$k", std::to_string(k)},
                   {"$n", std::to_string(n)}});
}

/// So large that nothing added to it counts, in columns of several panels; no number in some, but for the
/// first.
std::string tiedBias(int64_t n, const std::string &lowest) {
  std::string values;
  for (int64_t i = 0; i < n; ++i)
    values += (i ? ", " : "") + std::string(i % 71 == 69 ? "3.0e+30" : i % 5 == 1 ? "0x7FC00000" : lowest);
  return "linnet.constant dense<[" + values + "]>";
}

} // namespace

TEST_CASE("a norm, a matmul and the best of its columns") {
  const auto [rows, k, n, w] = GENERATE(table<int64_t, int64_t, int64_t, std::string>({{1, 37, 70, "f32"},
                                                                                       {1, 64, 4167, "f32"},
                                                                                       {2, 20, 1, "f32"},
                                                                                       {3, 37, 131, "bf16"},
                                                                                       {7, 20, 4167, "f32"},
                                                                                       {8, 37, 200, "f16"},
                                                                                       {17, 20, 70, "f32"}}));
  const bool logits = n != 131;
  checkAgreement({.text = likeliest(k, n, w, "linnet.param \"bias\"", logits),
                  .dims = {{"seq", rows}},
                  .tolerance = w == "f32" ? 1e-5 : 1e-4,
                  .repeats = 3});
}

TEST_CASE("the best of columns that are equal, no numbers, or without end below 0") {
  const int64_t rows = GENERATE(1, 3, 9);
  const int64_t n = GENERATE(5, 200);
  const std::string lowest = GENERATE(std::string("-3.0"), std::string("0xFF800000"));
  checkAgreement(
      {.text = likeliest(20, n, "f32", tiedBias(n, lowest), true), .dims = {{"seq", rows}}, .repeats = 2});
}
