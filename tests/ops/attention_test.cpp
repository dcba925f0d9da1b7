// Compares attention and its caches with the interpreter, on every runner under test.
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::testing;

namespace {

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
  // Infinities cannot be compared by their distance: exp turns masked scores into 0.
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
