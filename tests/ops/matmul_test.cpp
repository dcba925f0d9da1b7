// Compares matmuls, with the ops fused before them, with the interpreter, on every runner under test.
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::testing;

TEST_CASE("matmul of activations, all forms") {
  const std::string lhs_flag = GENERATE(std::string(""), std::string("transpose_lhs")),
                    rhs_flag = GENERATE(std::string(""), std::string("transpose_rhs"));
  const bool shared = GENERATE(true, false);
  std::string flags = lhs_flag + (lhs_flag.empty() || rhs_flag.empty() ? "" : ", ") + rhs_flag;
  if (!flags.empty()) flags = " {" + flags + "}";
  const std::string a = lhs_flag.empty() ? "tensor<?x5x13xf32, #linnet.dims<batch>>"
                                         : "tensor<?x13x5xf32, #linnet.dims<batch>>";
  const std::string w = std::string("tensor<") + (shared ? "" : "?x") +
                        (rhs_flag.empty() ? "13x67" : "67x13") +
                        (shared ? "xf32>" : "xf32, #linnet.dims<batch>>");
  const std::string r = "tensor<?x5x67xf32, #linnet.dims<batch>>";
  checkAgreement(
      {.text = function({{"a", a}, {"w", w}},
                        fmt::format("  %r = linnet.matmul %a, %w{} : {}, {}", flags, a, w), "r", r),
       .dims = {{"batch", 3}}});
}

TEST_CASE("matmul with a weight, its epilogue and rows with gaps") {
  const std::string n = GENERATE(std::string("1"), std::string("67"), std::string("128"));
  const std::string activation =
      GENERATE(std::string("gelu erf"), std::string("gelu tanh"), std::string("gelu quick"),
               std::string("relu"), std::string("silu"));
  const std::string text = function({{"x", "$x"}, {"res", "$r"}},
                                    replaced(R"(  %w = linnet.param "w" : tensor<13x$nxf32>
  %b = linnet.param "b" : tensor<$nxf32>
  %s = linnet.slice %x dim 2 offset 4 size 13 : $x
  %0 = linnet.matmul %s, %w : $s, tensor<13x$nxf32>
  %1 = linnet.add %0, %b : $r, tensor<$nxf32>
  %2 = linnet.$act %1 : $r
  %r = linnet.add %2, %res : $r, $r)",
                                             {{"$act", activation}}),
                                    "r", "$r");
  checkAgreement({.text = replaced(text, {{"$x", "tensor<?x?x20xf32, #linnet.dims<batch, seq>>"},
                                          {"$s", "tensor<?x?x13xf32, #linnet.dims<batch, seq>>"},
                                          {"$r", "tensor<?x?x" + n + "xf32, #linnet.dims<batch, seq>>"},
                                          {"$n", n}}),
                  .dims = {{"batch", 2}, {"seq", 9}}});
}

TEST_CASE("a matmul of many panels, few rows") {
  const int64_t rows = GENERATE(1, 3);
  checkAgreement(
      {.text = function({{"x", "tensor<?x13xf32, #linnet.dims<seq>>"}},
                        "  %w = linnet.param \"w\" : tensor<13x4225xf32>\n  %r = linnet.matmul %x, %w : "
                        "tensor<?x13xf32, #linnet.dims<seq>>, tensor<13x4225xf32>",
                        "r", "tensor<?x4225xf32, #linnet.dims<seq>>"),
       .dims = {{"seq", rows}}});
}

TEST_CASE("a matmul of long rows and few columns, again and again") {
  const auto [rows, k, type] = GENERATE(table<int64_t, std::string, std::string>(
      {{1, "2051", "f32"}, {3, "2048", "f32"}, {8, "3072", "f32"}, {1, "3072", "bf16"}, {5, "2050", "i8"}}));
  const bool scaled = type == "i8";
  const std::string text = function({{"x", "$x"}, {"y", "$y"}},
                                    R"(  %w = linnet.param "w" : tensor<$kx70x$t>
  %s = linnet.param "s" : tensor<1x70xf32>
  %0 = linnet.matmul %x, %w$S : $x, tensor<$kx70x$t>$T
  %r = linnet.add %0, %y : $y, $y)",
                                    "r", "$y");
  checkAgreement({.text = replaced(text, {{"$S", scaled ? " scale %s" : ""},
                                          {"$T", scaled ? " scale tensor<1x70xf32>" : ""},
                                          {"$x", "tensor<?x" + k + "xf32, #linnet.dims<seq>>"},
                                          {"$y", "tensor<?x70xf32, #linnet.dims<seq>>"},
                                          {"$t", type},
                                          {"$k", k}}),
                  .dims = {{"seq", rows}},
                  .integers = {{"w", 128}},
                  .tolerance = type == "f32" ? 1e-5 : 1e-4,
                  .repeats = 3});
}

TEST_CASE("a vector times a matrix, and narrow types") {
  checkAgreement({.text = function({{"x", "tensor<31xf32>"}},
                                   "  %w = linnet.param \"w\" : tensor<31x70xf32>\n  %r = linnet.matmul %x, "
                                   "%w : tensor<31xf32>, tensor<31x70xf32>",
                                   "r", "tensor<70xf32>")});
  const std::string type = GENERATE(std::string("f16"), std::string("bf16"));
  checkAgreement({.text = function({{"x", "tensor<3x31x" + type + ">"}},
                                   replaced("  %w = linnet.param \"w\" : tensor<31x70x$>\n  %r = "
                                            "linnet.matmul %x, %w : tensor<3x31x$>, tensor<31x70x$>",
                                            {{"$", type}}),
                                   "r", "tensor<3x70x" + type + ">"),
                  .tolerance = type == "f16" ? 1e-3 : 8e-3});
}

TEST_CASE("matmul with weights in fewer bits") {
  const auto [type, tolerance] =
      GENERATE(std::pair<std::string, double>{"bf16", 1e-5}, std::pair<std::string, double>{"i8", 1e-4});
  const std::string scaled = type == "i8" ? " scale %s" : "",
                    scale_type = type == "i8" ? " scale tensor<1x130xf32>" : "";
  // The same numbers are rounded on both sides, so that none is rounded two ways.
  const std::string text = function({{"x", "$x"}},
                                    replaced(R"(  %w = linnet.param "w" : tensor<45x130x$t>
  %s = linnet.param "s" : tensor<1x130xf32>
  %n = linnet.cast %x : $x to $n
  %y = linnet.cast %n : $n to $x
  %r = linnet.matmul %y, %w$S : $x, tensor<45x130x$t>$T)",
                                             {{"$t", type}, {"$S", scaled}, {"$T", scale_type}}),
                                    "r", "tensor<?x?x130xf32, #linnet.dims<batch, seq>>");
  checkAgreement({.text = replaced(text, {{"$x", "tensor<?x?x45xf32, #linnet.dims<batch, seq>>"},
                                          {"$n", "tensor<?x?x45xbf16, #linnet.dims<batch, seq>>"}}),
                  .dims = {{"batch", 2}, {"seq", 7}},
                  .integers = {{"w", 128}},
                  .tolerance = tolerance},
                 GENERATE(PipelineSpec(), plainPipeline()));
}

TEST_CASE("a tied table serves embed and matmul") {
  const std::string text = function({{"ids", "tensor<?x?xi32, #linnet.dims<batch, seq>>"}},
                                    R"(  %t = linnet.param "wte" : tensor<131x21xf32>
  %e = linnet.embed %t, %ids : tensor<131x21xf32>, tensor<?x?xi32, #linnet.dims<batch, seq>>
  %r = linnet.matmul %e, %t {transpose_rhs} : tensor<?x?x21xf32, #linnet.dims<batch, seq>>, tensor<131x21xf32>)",
                                    "r", "tensor<?x?x131xf32, #linnet.dims<batch, seq>>");
  checkAgreement({.text = text, .dims = {{"batch", 2}, {"seq", 7}}, .integers = {{"ids", 131}}});
}

namespace {

/// The readers of %n, the norm of k columns: a matmul of weights of type `w` with every op that may follow
/// it.
std::string projection(const std::string &t, const std::string &k, const std::string &w = "f32") {
  const bool scaled = w == "i8";
  return replaced(R"(
  %w = linnet.param "w" : tensor<$kx70x$w>
  %scale = linnet.param "scale" : tensor<1x70xf32>
  %bias = linnet.param "bias" : tensor<70xf32>
  %0 = linnet.matmul %n, %w$S : $t, tensor<$kx70x$w>$T
  %1 = linnet.add %0, %bias : $r, tensor<70xf32>
  %r = linnet.gelu tanh %1 : $r)",
                  {{"$S", scaled ? " scale %scale" : ""},
                   {"$T", scaled ? " scale tensor<1x70xf32>" : ""},
                   {"$t", t},
                   {"$k", k},
                   {"$w", w}});
}

} // namespace

TEST_CASE("a layer norm and the matmul that reads it, at each number of rows") {
  // A driver compiles each case for some seconds: not every pair.
  const auto [rows, k, w] = GENERATE(table<int64_t, std::string, std::string>({{1, "37", "f32"},
                                                                               {1, "96", "i8"},
                                                                               {2, "96", "bf16"},
                                                                               {3, "37", "i8"},
                                                                               {7, "100", "f32"},
                                                                               {8, "96", "f32"},
                                                                               {9, "37", "bf16"},
                                                                               {17, "96", "f32"},
                                                                               {71, "100", "bf16"},
                                                                               {67, "96", "i8"}}));
  const std::string t = "tensor<?x" + k + "xf32, #linnet.dims<seq>>",
                    r = "tensor<?x70xf32, #linnet.dims<seq>>";
  const std::string body =
      replaced(
          "  %g = linnet.param \"g\" : tensor<$kxf32>\n  %b = linnet.param \"b\" : tensor<$kxf32>\n"
          "  %n = linnet.layer_norm %x, %g, %b {epsilon = 1.0e-5 : f32} : $t, tensor<$kxf32>, tensor<$kxf32>",
          {{"$t", t}, {"$k", k}}) +
      projection(t, k, w);
  checkAgreement({.text = replaced(function({{"x", t}}, body, "r", r, "batch = 5, seq = 80"), {{"$r", r}}),
                  .dims = {{"seq", rows}},
                  .integers = {{"w", 128}},
                  .tolerance = w == "i8" ? 1e-4 : 1e-5});
}

TEST_CASE("the last position of each sequence chosen, normalized and multiplied; a residual chosen alike") {
  const auto [batch, seq, k] = GENERATE(table<int64_t, int64_t, std::string>(
      {{1, 1, "64"}, {1, 6, "37"}, {2, 6, "64"}, {5, 1, "37"}, {5, 6, "64"}}));
  const std::string x = "tensor<?x?x" + k + "xf32, #linnet.dims<batch, seq>>",
                    t = "tensor<?x" + k + "xf32, #linnet.dims<batch>>",
                    r = "tensor<?x70xf32, #linnet.dims<batch>>",
                    y = "tensor<?x?x70xf32, #linnet.dims<batch, seq>>",
                    l = "tensor<?xi32, #linnet.dims<batch>>";
  const std::string last = fmt::format("  %p = linnet.pool last %x, %l : {}, {}\n", x, l);
  const bool norm = GENERATE(true, false);
  std::string body = last;
  if (norm)
    body +=
        replaced("  %g = linnet.param \"g\" : tensor<$kxf32>\n  %b = linnet.param \"b\" : tensor<$kxf32>\n"
                 "  %n = linnet.layer_norm %p, %g, %b {epsilon = 1.0e-5 : f32} : $t, tensor<$kxf32>, "
                 "tensor<$kxf32>",
                 {{"$t", t}, {"$k", k}}) +
        projection(t, k);
  else
    body += replaced(R"(  %q = linnet.pool last %y, %l : $y, $l
  %w = linnet.param "w" : tensor<$kx70xf32>
  %0 = linnet.matmul %p, %w : $t, tensor<$kx70xf32>
  %r = linnet.add %0, %q : $r, $r)",
                     {{"$y", y}, {"$l", l}, {"$t", t}, {"$k", k}});
  // Lengths of 0 and beyond seq are for the kernels to bear; the interpreter refuses them.
  checkAgreement(
      {.text = replaced(function({{"x", x}, {"y", y}, {"len", l}},
                                 fmt::format("  %f = linnet.cast %len : {0} to tensor<?xf32, "
                                             "#linnet.dims<batch>>\n  %c = linnet.constant dense<1.0> : "
                                             "tensor<1xf32>\n  %h = linnet.add %f, %c : tensor<?xf32, "
                                             "#linnet.dims<batch>>, tensor<1xf32>\n  %l = linnet.cast "
                                             "%h : tensor<?xf32, #linnet.dims<batch>> to {0}\n",
                                             l) +
                                     body,
                                 "r", r),
                        {{"$r", r}}),
       .dims = {{"batch", batch}, {"seq", seq}},
       .integers = {{"len", int32_t(seq)}}});
}
