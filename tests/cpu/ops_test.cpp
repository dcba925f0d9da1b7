// Every op on cpu beside the interpreter, at sizes that no vector or tile divides.
#include "tests/catch.h"
#include "tests/cpu/path.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::cpu::testing;

namespace {

/// @main with arguments "name: type" and a body that returns `result` of type `type`.
std::string function(const std::vector<std::pair<std::string, std::string>> &arguments,
                     const std::string &body, const std::string &result, const std::string &type,
                     const std::string &bounds = "batch = 5, seq = 40") {
  std::string list;
  for (const auto &[name, argument_type] : arguments)
    list += fmt::format("{}%{}: {} {{linnet.name = \"{}\"}}", list.empty() ? "" : ", ", name, argument_type,
                        name);
  return fmt::format("module attributes {{linnet.bounds = {{{}}}}} {{\nfunc.func @main({}) -> ({} "
                     "{{linnet.name = \"out\"}}) {{\n{}\n  return "
                     "%{} : {}\n}}\n}}",
                     bounds, list, type, body, result, type);
}

std::string replaced(std::string text, const std::map<std::string, std::string> &names) {
  for (const auto &[name, value] : names)
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  return text;
}

/// Only what correctness needs: no fusion, no packing.
PipelineSpec plainPipeline() {
  PipelineSpec spec;
  spec.opt_level = 0;
  return spec;
}

/// Attention of three heads of `head` over caches that are states: q, k and v are cut from one matrix of
/// `type`, k and v go into the caches, of type `cache`. `bounds`: "batch = 3, seq = 16, context = 37".
std::string cachedAttention(const std::string &type, const std::string &cache, int64_t head,
                            const std::string &bounds) {
  return replaced(R"(module attributes {linnet.bounds = {$bounds}} {
func.func @main(%x: $row {linnet.name = "x"}, %past: $past {linnet.name = "past"}, %k: $cache {linnet.state = "k"}, %v: $cache {linnet.state = "v"})
    -> ($part {linnet.name = "out"}, $cache {linnet.state = "k"}, $cache {linnet.state = "v"}) {
  %qs = linnet.slice %x dim 2 offset 0 size <C> : $row
  %ks = linnet.slice %x dim 2 offset <C> size <C> : $row
  %vs = linnet.slice %x dim 2 offset <2C> size <C> : $row
  %qh = linnet.reshape %qs : $part to $heads
  %kh = linnet.reshape %ks : $part to $heads
  %vh = linnet.reshape %vs : $part to $heads
  %k1 = linnet.cache_append %k, %kh, %past : $cache, $heads, $past
  %v1 = linnet.cache_append %v, %vh, %past : $cache, $heads, $past
  %a = linnet.attention %qh, %k1, %v1 past %past {scale = 0.5 : f32} : $heads, $cache, $cache past $past
  %r = linnet.reshape %a : $heads to $part
  return %r, %k1, %v1 : $part, $cache, $cache
}
})",
                  {{"$bounds", bounds},
                   {"$row", fmt::format("tensor<?x?x{}x<T>, #linnet.dims<batch, seq>>", 9 * head)},
                   {"$part", "tensor<?x?x<C>x<T>, #linnet.dims<batch, seq>>"},
                   {"$heads", "tensor<?x?x3x<D>x<T>, #linnet.dims<batch, seq>>"},
                   {"$cache", "tensor<?x3x?x<D>x<S>, #linnet.dims<batch, context>>"},
                   {"$past", "tensor<?xi32, #linnet.dims<batch>>"},
                   {"<2C>", std::to_string(6 * head)},
                   {"<C>", std::to_string(3 * head)},
                   {"<D>", std::to_string(head)},
                   {"<S>", cache},
                   {"<T>", type}});
}

} // namespace

TEST_CASE("elementwise ops, each alone") {
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  const std::string op =
      GENERATE(std::string("neg"), std::string("exp"), std::string("tanh"), std::string("erf"),
               std::string("relu"), std::string("gelu erf"), std::string("gelu tanh"));
  const std::string t = "tensor<?x7x3x" + type + ", #linnet.dims<batch>>";
  const Agreement agreement{.text =
                                function({{"x", t}}, fmt::format("  %r = linnet.{} %x : {}", op, t), "r", t),
                            .dims = {{"batch", 3}},
                            .tolerance = type == "f32"   ? 1e-6
                                         : type == "f16" ? 6e-4
                                                         : 4e-3};
  checkAgreement(agreement, plainPipeline());
}

TEST_CASE("elementwise ops that want positive numbers") {
  const std::string op = GENERATE(std::string("log"), std::string("sqrt"), std::string("rsqrt"));
  const std::string t = "tensor<?x13xf32, #linnet.dims<batch>>";
  checkAgreement(
      {.text = function(
           {{"x", t}},
           fmt::format(
               "  %s = linnet.mul %x, %x : {0}, {0}\n  %c = linnet.constant dense<0.01> : tensor<1xf32>\n  "
               "%p = linnet.add %s, %c : {0}, tensor<1xf32>\n  %r = linnet.{1} %p : {0}",
               t, op),
           "r", t),
       .dims = {{"batch", 5}},
       .tolerance = 1e-6});
}

TEST_CASE("two operands broadcast as in NumPy") {
  const std::string op = GENERATE(std::string("add"), std::string("sub"), std::string("mul"),
                                  std::string("max"), std::string("min"));
  const auto [a, b, r] = GENERATE(table<std::string, std::string, std::string>({
      {"tensor<?x5x7xf32, #linnet.dims<batch>>", "tensor<7xf32>", "tensor<?x5x7xf32, #linnet.dims<batch>>"},
      {"tensor<?x1x7xf32, #linnet.dims<batch>>", "tensor<5x1xf32>", "tensor<?x5x7xf32, #linnet.dims<batch>>"},
      {"tensor<1x1x1xf32>", "tensor<?x?x17xf32, #linnet.dims<batch, seq>>",
       "tensor<?x?x17xf32, #linnet.dims<batch, seq>>"},
      {"tensor<?x1x33xf32, #linnet.dims<batch>>", "tensor<?x?x1xf32, #linnet.dims<batch, seq>>",
       "tensor<?x?x33xf32, #linnet.dims<batch, seq>>"},
      {"tensor<f32>", "tensor<3xf32>", "tensor<3xf32>"},
      {"tensor<2x1x3x1x5xf32>", "tensor<4x1x6x5xf32>", "tensor<2x4x3x6x5xf32>"},
      {"tensor<f32>", "tensor<f32>", "tensor<f32>"},
  }));
  checkAgreement({.text = function({{"a", a}, {"b", b}},
                                   fmt::format("  %r = linnet.{} %a, %b : {}, {}", op, a, b), "r", r),
                  .dims = {{"batch", 3}, {"seq", 11}},
                  .tolerance = 1e-6});
}

TEST_CASE("casts between all element types") {
  const std::string from = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"),
                                    std::string("i32"), std::string("i8"));
  const std::string to = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"),
                                  std::string("i32"), std::string("i8"));
  if (from == to) return;
  const std::string a = "tensor<37x" + from + ">", b = "tensor<37x" + to + ">";
  const Agreement agreement{
      .text = function({{"x", a}}, fmt::format("  %r = linnet.cast %x : {} to {}", a, b), "r", b),
      .integers = {{"x", 100}},
      .tolerance = 0};
  checkAgreement(agreement);
}

TEST_CASE("a fused region with two results") {
  checkAgreement({.text = R"(module {
func.func @main(%x: tensor<5x9xf32> {linnet.name = "x"}, %y: tensor<9xf32> {linnet.name = "y"})
    -> (tensor<5x9xf32> {linnet.name = "a"}, tensor<5x9xf32> {linnet.name = "b"}) {
  %p, %q = linnet.fused (%s = %x : tensor<5x9xf32>, %t = %y : tensor<9xf32>) -> tensor<5x9xf32>, tensor<5x9xf32> {
    %c = linnet.constant 2.5 : f32
    %0 = linnet.mul %s, %c : f32, f32
    %1 = linnet.add %0, %t : f32, f32
    %2 = linnet.exp %1 : f32
    linnet.yield %1, %2 : f32, f32
  }
  return %p, %q : tensor<5x9xf32>, tensor<5x9xf32>
}
})",
                  .tolerance = 1e-6});
}

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
      GENERATE(std::string("gelu erf"), std::string("gelu tanh"), std::string("relu"));
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

TEST_CASE("embed of plain tables, positions") {
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  checkAgreement(
      {.text = function({{"ids", "tensor<?x3xi32, #linnet.dims<batch>>"}},
                        replaced("  %t = linnet.param \"t\" : tensor<17x19x$>\n  %r = linnet.embed %t, %ids "
                                 ": tensor<17x19x$>, tensor<?x3xi32, #linnet.dims<batch>>",
                                 {{"$", type}}),
                        "r", "tensor<?x3x19x" + type + ", #linnet.dims<batch>>"),
       .dims = {{"batch", 5}},
       .integers = {{"ids", 17}},
       .tolerance = 0});
  checkAgreement({.text = function({{"past", "tensor<?xi32, #linnet.dims<batch>>"},
                                    {"ids", "tensor<?x?xi32, #linnet.dims<batch, seq>>"}},
                                   "  %r = linnet.positions %past, %ids limit 20 : tensor<?xi32, "
                                   "#linnet.dims<batch>>, tensor<?x?xi32, #linnet.dims<batch, seq>>",
                                   "r", "tensor<?x?xi32, #linnet.dims<batch, seq>>"),
                  .dims = {{"batch", 3}, {"seq", 19}},
                  .integers = {{"past", 12}}});
  checkAgreement({.text = function({{"ids", "tensor<?x?xi32, #linnet.dims<batch, seq>>"}},
                                   "  %r = linnet.positions %ids limit 12 : tensor<?x?xi32, "
                                   "#linnet.dims<batch, seq>>",
                                   "r", "tensor<?x?xi32, #linnet.dims<batch, seq>>"),
                  .dims = {{"batch", 3}, {"seq", 19}}});
}

TEST_CASE("attention over caches that are states, q k and v cut from one matrix") {
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  checkAgreement({.text = cachedAttention(type, type, 7, "batch = 3, seq = 16, context = 37"),
                  .dims = {{"batch", 3}, {"seq", 13}},
                  .integers = {{"past", 25}},
                  .tolerance = type == "f32"   ? 1e-5
                               : type == "f16" ? 2e-3
                                               : 1e-2,
                  .repeats = 3});
}

TEST_CASE("tokens appended to the caches that their attention reads") {
  const auto [type, cache, head, seq] =
      GENERATE(table<std::string, std::string, int64_t, int64_t>({{"f32", "f32", 7, 1},
                                                                  {"f32", "f32", 20, 1},
                                                                  {"f32", "f32", 64, 1},
                                                                  {"f32", "f16", 20, 1},
                                                                  {"f32", "bf16", 7, 1},
                                                                  {"f32", "bf16", 64, 1},
                                                                  {"f16", "f16", 7, 1},
                                                                  {"f32", "f32", 20, 37},
                                                                  {"f32", "f16", 64, 37},
                                                                  {"f32", "f32", 100, 9}}));
  // Some pasts reach beyond the caches: then there is no room for the new row.
  checkAgreement({.text = cachedAttention(type, cache, head, "batch = 3, seq = 40, context = 75"),
                  .dims = {{"batch", 3}, {"seq", seq}},
                  .integers = {{"past", 90}},
                  .tolerance = type == "f32" ? (cache == "f32" ? 1e-5 : 1e-4) : 2e-3,
                  .repeats = 6});
}

TEST_CASE("tokens appended to long caches, whose keys several workgroups share") {
  // Pasts from `least` on, three of them: nothing, the edges of parts of 128 keys, a full cache and beyond
  // it.
  const auto [cache, head, batch, context, least, seq] = GENERATE(
      table<std::string, int64_t, int64_t, int64_t, int64_t, int64_t>({{"f32", 20, 3, 300, 0, 1},
                                                                       {"f32", 7, 3, 300, 127, 1},
                                                                       {"f16", 64, 3, 300, 256, 1},
                                                                       {"f32", 64, 3, 300, 298, 1},
                                                                       {"bf16", 100, 1, 700, 640, 1},
                                                                       {"f32", 20, 20, 300, 290, 1},
                                                                       {"f32", 20, 1, 300, 126, 3},
                                                                       {"bf16", 7, 1, 300, 254, 2},
                                                                       {"f16", 64, 3, 700, 692, 7}}));
  checkAgreement(
      {.text = cachedAttention("f32", cache, head,
                               fmt::format("batch = {}, seq = {}, context = {}", batch, context, context)),
       .dims = {{"batch", batch}, {"seq", seq}},
       .integers = {{"past", 3}},
       .tolerance = cache == "f32" ? 1e-5 : 1e-4,
       .repeats = 4,
       .least = {{"past", int32_t(least)}},
       .filling = {{"batch", batch}, {"seq", context}}});
}

namespace {

/// What reads %n, the norm of k columns: a matmul of weights of type `w` with everything behind it.
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

TEST_CASE("the embedding of tokens and of their positions") {
  const bool tied = GENERATE(true, false);
  const int64_t seq = GENERATE(1, 7);
  const std::string text =
      replaced(function({{"ids", "$i"}, {"past", "$p"}},
                        std::string(R"(  %t = linnet.param "wte" : tensor<131x44xf32>
  %u = linnet.param "wpe" : tensor<17x44xf32>
  %0 = linnet.embed %t, %ids : tensor<131x44xf32>, $i
  %1 = linnet.positions %past, %ids limit 17 : $p, $i
  %2 = linnet.embed %u, %1 : tensor<17x44xf32>, $i
  %3 = linnet.add %0, %2 : $x, $x
)") + (tied ? "  %r = linnet.matmul %3, %t {transpose_rhs} : $x, tensor<131x44xf32>"
            : "  %r = linnet.neg %3 : $x"),
                        "r", tied ? "tensor<?x?x131xf32, #linnet.dims<batch, seq>>" : "$x"),
               {{"$i", "tensor<?x?xi32, #linnet.dims<batch, seq>>"},
                {"$p", "tensor<?xi32, #linnet.dims<batch>>"},
                {"$x", "tensor<?x?x44xf32, #linnet.dims<batch, seq>>"}});
  PipelineSpec pipeline;
  if (!tied) pipeline.disabled.push_back("linnet-fuse-elementwise"); // which would take the sum as well
  checkAgreement(
      {.text = text, .dims = {{"batch", 2}, {"seq", seq}}, .integers = {{"ids", 131}, {"past", 16}}},
      pipeline);
}

TEST_CASE("attention without a past or a mask") {
  const std::string causal = GENERATE(std::string("true"), std::string("false"));
  const std::string text = replaced(
      function(
          {{"q", "tensor<2x5x2x20xf32>"}, {"k", "tensor<2x2x23x20xf32>"}, {"v", "tensor<2x2x23x20xf32>"}},
          "  %r = linnet.attention %q, %k, %v {scale = 0.3 : f32, causal = $} : tensor<2x5x2x20xf32>, "
          "tensor<2x2x23x20xf32>, tensor<2x2x23x20xf32>",
          "r", "tensor<2x5x2x20xf32>"),
      {{"$", causal}});
  checkAgreement({.text = text});
}

TEST_CASE("a mask, and attention that stops at a row's length") {
  const std::string causal = GENERATE(std::string("true"), std::string("false"));
  const std::string x = "tensor<?x3x?x37xf32, #linnet.dims<batch, seq>>",
                    b = "tensor<?xi32, #linnet.dims<batch>>";
  // An infinity is no number to compare by its distance: what is masked becomes 0 behind exp.
  checkAgreement(
      {.text = function(
           {{"x", x}, {"past", b}, {"length", b}},
           replaced("  %m = linnet.mask %x past %past length %length {causal = $c} : $x past $b length $b\n"
                    "  %r = linnet.exp %m : $x",
                    {{"$c", causal}, {"$x", x}, {"$b", b}}),
           "r", x),
       .dims = {{"batch", 3}, {"seq", 5}},
       .tolerance = 1e-6});
  const std::string q = "tensor<?x?x3x20xf32, #linnet.dims<batch, seq>>",
                    k = "tensor<?x3x37x20xf32, #linnet.dims<batch>>";
  checkAgreement(
      {.text = function(
           {{"q", q}, {"k", k}, {"v", k}, {"past", b}, {"length", b}},
           replaced("  %r = linnet.attention %q, %k, %v past %past length %length {scale = 0.3 : f32, "
                    "causal = $c} : $q, $k, $k past $b length $b",
                    {{"$c", causal}, {"$q", q}, {"$k", k}, {"$b", b}}),
           "r", q),
       .dims = {{"batch", 3}, {"seq", 5}},
       .tolerance = 1e-5});
}

TEST_CASE("a fused region that is reduced along the last dimension") {
  const std::string kind = GENERATE(std::string("sum"), std::string("mean"), std::string("max"));
  const auto [x, y, r] = GENERATE(table<std::string, std::string, std::string>({
      {"tensor<?x5x37xf32, #linnet.dims<batch>>", "tensor<37xf32>", "tensor<?x5x1xf32, #linnet.dims<batch>>"},
      {"tensor<?x5x37xf32, #linnet.dims<batch>>", "tensor<5x1xf32>",
       "tensor<?x5x1xf32, #linnet.dims<batch>>"},
      {"tensor<3x?xf32, #linnet.dims<seq>>", "tensor<3x1xf32>", "tensor<3x1xf32>"},
      {"tensor<?x5x1xf32, #linnet.dims<batch>>", "tensor<5x1xf32>", "tensor<?x5x1xf32, #linnet.dims<batch>>"},
      {"tensor<19xf32>", "tensor<1xf32>", "tensor<1xf32>"},
  }));
  checkAgreement({.text = function(
                      {{"x", x}, {"y", y}},
                      replaced("  %r = linnet.fused (%a = %x : $x, %b = %y : $y) -> $r attributes {reduce = "
                               "#linnet<reduce_kind $k>} {\n    %s = linnet.sub %a, %b : f32, f32\n    %t = "
                               "linnet.mul %s, %s : f32, f32\n    linnet.yield %t : f32\n  }",
                               {{"$k", kind}, {"$x", x}, {"$y", y}, {"$r", r}}),
                      "r", r),
                  .dims = {{"batch", 3}, {"seq", 33}},
                  .tolerance = 2e-6});
}

TEST_CASE("rows: layer norm, softmax, argmax") {
  const std::string c = GENERATE(std::string("1"), std::string("5"), std::string("64"), std::string("131"));
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  const std::string t = "tensor<?x2x" + c + "x" + type + ", #linnet.dims<batch>>",
                    p = "tensor<" + c + "x" + type + ">";
  const double tolerance = type == "f32" ? 1e-5 : type == "f16" ? 2e-3 : 1.6e-2;
  checkAgreement({.text = function(
                      {{"x", t}},
                      fmt::format("  %g = linnet.param \"g\" : {1}\n  %b = linnet.param \"b\" : {1}\n  %r = "
                                  "linnet.layer_norm %x, %g, %b {{epsilon = 1.0e-5 : f32}} : {0}, {1}, {1}",
                                  t, p),
                      "r", t),
                  .dims = {{"batch", 3}},
                  .tolerance = tolerance});
  checkAgreement({.text = function({{"x", t}}, fmt::format("  %r = linnet.softmax %x : {}", t), "r", t),
                  .dims = {{"batch", 3}},
                  .tolerance = tolerance});
  checkAgreement({.text = function({{"x", t}}, fmt::format("  %r = linnet.argmax %x : {}", t), "r",
                                   "tensor<?x2xi32, #linnet.dims<batch>>"),
                  .dims = {{"batch", 3}}});
}

TEST_CASE("reductions along each dimension") {
  const std::string kind = GENERATE(std::string("sum"), std::string("mean"), std::string("max"));
  const int dim = GENERATE(0, 1, 2);
  const std::string shapes[] = {"tensor<1x?x37xf32, #linnet.dims<seq>>",
                                "tensor<?x1x37xf32, #linnet.dims<batch>>",
                                "tensor<?x?x1xf32, #linnet.dims<batch, seq>>"};
  const std::string t = "tensor<?x?x37xf32, #linnet.dims<batch, seq>>";
  checkAgreement(
      {.text = function({{"x", t}}, fmt::format("  %r = linnet.reduce {} %x dim {} : {}", kind, dim, t), "r",
                        shapes[dim]),
       .dims = {{"batch", 3}, {"seq", 19}}});
}

TEST_CASE("pooling") {
  const std::string mode = GENERATE(std::string("last"), std::string("first"), std::string("mean"));
  const std::string t = "tensor<?x?x37xf32, #linnet.dims<batch, seq>>",
                    l = "tensor<?xi32, #linnet.dims<batch>>";
  // Lengths from 1 on: drawn from 0, one added.
  const std::string text = function(
      {{"x", t}, {"n", l}},
      fmt::format("  %f = linnet.cast %n : {1} to tensor<?xf32, #linnet.dims<batch>>\n  %c = linnet.constant "
                  "dense<1.0> : tensor<1xf32>\n  %g = linnet.add %f, %c : tensor<?xf32, "
                  "#linnet.dims<batch>>, tensor<1xf32>\n  %l = linnet.cast %g : tensor<?xf32, "
                  "#linnet.dims<batch>> to {1}\n  %r = linnet.pool {2} %x, %l : {0}, {1}",
                  t, l, mode),
      "r", "tensor<?x37xf32, #linnet.dims<batch>>");
  checkAgreement({.text = text, .dims = {{"batch", 5}, {"seq", 9}}, .integers = {{"n", 9}}});
}

TEST_CASE("transposition") {
  const std::string type =
      GENERATE(std::string("f32"), std::string("f16"), std::string("i32"), std::string("i8"));
  const auto [order, shape] = GENERATE(table<std::string, std::string>({{"[1, 0, 2]", "tensor<5x?x7x"},
                                                                        {"[2, 1, 0]", "tensor<7x5x?x"},
                                                                        {"[0, 2, 1]", "tensor<?x7x5x"},
                                                                        {"[1, 2, 0]", "tensor<5x7x?x"}}));
  const std::string t = "tensor<?x5x7x" + type + ", #linnet.dims<batch>>",
                    r = shape + type + ", #linnet.dims<batch>>";
  checkAgreement(
      {.text = function({{"x", t}}, fmt::format("  %r = linnet.transpose %x {} : {}", order, t), "r", r),
       .dims = {{"batch", 3}},
       .tolerance = 0});
}

TEST_CASE("slices, concatenation, reshapes") {
  const int dim = GENERATE(1, 2);
  const std::string t = "tensor<?x5x7xf32, #linnet.dims<batch>>",
                    r = dim == 1 ? "tensor<?x3x7xf32, #linnet.dims<batch>>"
                                 : "tensor<?x5x3xf32, #linnet.dims<batch>>";
  const std::string both =
      dim == 1 ? "tensor<?x8x7xf32, #linnet.dims<batch>>" : "tensor<?x5x10xf32, #linnet.dims<batch>>";
  const std::string body = fmt::format("  %s = linnet.slice %x dim {0} offset 1 size 3 : {1}\n  %n = "
                                       "linnet.neg %s : {2}\n  %r = linnet.concat %x, %n dim {0} : {1}, {2}",
                                       dim, t, r);
  checkAgreement({.text = function({{"x", t}}, body, "r", both), .dims = {{"batch", 3}}, .tolerance = 0});
  checkAgreement(
      {.text = function({{"x", t}}, fmt::format("  %r = linnet.slice %x dim {} offset 2 size 3 : {}", dim, t),
                        "r", r),
       .dims = {{"batch", 4}},
       .tolerance = 0});
  checkAgreement(
      {.text =
           function({{"x", t}},
                    fmt::format("  %r = linnet.reshape %x : {} to tensor<?x35xf32, #linnet.dims<batch>>", t),
                    "r", "tensor<?x35xf32, #linnet.dims<batch>>"),
       .dims = {{"batch", 4}},
       .tolerance = 0});
}

TEST_CASE("constants, plain and packed") {
  checkAgreement(
      {.text = function({{"x", "tensor<3x2xf32>"}},
                        "  %w = linnet.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : "
                        "tensor<2x3xf32>\n  %r = linnet.matmul %x, %w : tensor<3x2xf32>, tensor<2x3xf32>",
                        "r", "tensor<3x3xf32>")});
  checkAgreement({.text = function({{"x", "tensor<3x2xf32>"}},
                                   "  %w = linnet.constant dense<0.5> : tensor<2x70xf32>\n  %r = "
                                   "linnet.matmul %x, %w : tensor<3x2xf32>, tensor<2x70xf32>",
                                   "r", "tensor<3x70xf32>")});
  checkAgreement({.text = function({{"x", "tensor<3x2xf32>"}},
                                   "  %w = linnet.constant dense<[1.0, 2.0]> : tensor<2xf32>\n  %r = "
                                   "linnet.add %x, %w : tensor<3x2xf32>, tensor<2xf32>",
                                   "r", "tensor<3x2xf32>")});
}
