// Compares attention and its caches with the interpreter, on every runner under test.
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::testing;

namespace {

struct Heads {
  int64_t size, count = 3, keys = 3;
};

/// Attention over caches that are states: q, k and v are cut from one matrix of `type`, k and v go into the caches, of
/// type `cache`. `bounds`: "batch = 3, seq = 16, context = 37". `more`: attributes besides the scale.
std::string cachedAttention(const std::string &type, const std::string &cache, Heads heads,
                            const std::string &bounds, const std::string &more = "") {
  return replaced(R"(module attributes {linnet.bounds = {$bounds}} {
func.func @main(%x: $row {linnet.name = "x"}, %past: $past {linnet.name = "past"}, %k: $cache {linnet.state = "k"}, %v: $cache {linnet.state = "v"})
    -> ($part {linnet.name = "out"}, $cache {linnet.state = "k"}, $cache {linnet.state = "v"}) {
  %qs = linnet.slice %x dim 2 offset 0 size <C> : $row
  %ks = linnet.slice %x dim 2 offset <C> size <K> : $row
  %vs = linnet.slice %x dim 2 offset <CK> size <K> : $row
  %qh = linnet.reshape %qs : $part to $heads
  %kh = linnet.reshape %ks : $new to $entries
  %vh = linnet.reshape %vs : $new to $entries
  %k1 = linnet.cache_append %k, %kh, %past : $cache, $entries, $past
  %v1 = linnet.cache_append %v, %vh, %past : $cache, $entries, $past
  %a = linnet.attention %qh, %k1, %v1 past %past {scale = 0.5 : f32$more} : $heads, $cache, $cache past $past
  %r = linnet.reshape %a : $heads to $part
  return %r, %k1, %v1 : $part, $cache, $cache
}
})",
                  {{"$bounds", bounds},
                   {"$more", more},
                   {"$row", "tensor<?x?x<CKK>x<T>, #linnet.dims<batch, seq>>"},
                   {"$part", "tensor<?x?x<C>x<T>, #linnet.dims<batch, seq>>"},
                   {"$new", "tensor<?x?x<K>x<T>, #linnet.dims<batch, seq>>"},
                   {"$heads", "tensor<?x?x<H>x<D>x<T>, #linnet.dims<batch, seq>>"},
                   {"$entries", "tensor<?x?x<G>x<D>x<T>, #linnet.dims<batch, seq>>"},
                   {"$cache", "tensor<?x<G>x?x<D>x<S>, #linnet.dims<batch, context>>"},
                   {"$past", "tensor<?xi32, #linnet.dims<batch>>"},
                   {"<CKK>", std::to_string((heads.count + 2 * heads.keys) * heads.size)},
                   {"<CK>", std::to_string((heads.count + heads.keys) * heads.size)},
                   {"<C>", std::to_string(heads.count * heads.size)},
                   {"<K>", std::to_string(heads.keys * heads.size)},
                   {"<H>", std::to_string(heads.count)},
                   {"<G>", std::to_string(heads.keys)},
                   {"<D>", std::to_string(heads.size)},
                   {"<S>", cache},
                   {"<T>", type}});
}

} // namespace

TEST_CASE("attention over caches that are states, q k and v cut from one matrix", "[attention]") {
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  checkAgreement({.text = cachedAttention(type, type, {7}, "batch = 3, seq = 16, context = 37"),
                  .dims = {{"batch", 3}, {"seq", 13}},
                  .integers = {{"past", 25}},
                  .tolerance = type == "f32"   ? 1e-5
                               : type == "f16" ? 2e-3
                                               : 1e-2,
                  .repeats = 3});
}

TEST_CASE("tokens appended to the caches that their attention reads", "[attention]") {
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
  checkAgreement({.text = cachedAttention(type, cache, {head}, "batch = 3, seq = 40, context = 75"),
                  .dims = {{"batch", 3}, {"seq", seq}},
                  .integers = {{"past", 90}},
                  .tolerance = type == "f32" ? (cache == "f32" ? 1e-5 : 1e-4) : 2e-3,
                  .repeats = 6});
}

TEST_CASE("tokens appended to long caches, whose keys several workgroups share", "[attention]") {
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
      {.text = cachedAttention("f32", cache, {head},
                               fmt::format("batch = {}, seq = {}, context = {}", batch, context, context)),
       .dims = {{"batch", batch}, {"seq", seq}},
       .integers = {{"past", 3}},
       .tolerance = cache == "f32" ? 1e-5 : 1e-4,
       .repeats = 4,
       .least = {{"past", int32_t(least)}},
       .filling = {{"batch", batch}, {"seq", context}}});
}

TEST_CASE("heads that share keys, windows and caps, over caches that are states", "[attention]") {
  const auto [cache, heads, seq, more] = GENERATE(table<std::string, Heads, int64_t, std::string>({
      {"f32", {40, 6, 2}, 1, ""},
      {"bf16", {40, 6, 2}, 1, ""},
      {"f16", {40, 6, 2}, 37, ""},
      {"f32", {20, 3, 3}, 1, ", window = 1 : i64"},
      {"f32", {7, 3, 3}, 1, ", window = 3 : i64"},
      {"bf16", {40, 6, 2}, 1, ", window = 3 : i64"},
      {"f32", {20, 3, 3}, 37, ", window = 1 : i64"},
      {"f16", {40, 6, 2}, 37, ", window = 3 : i64"},
      {"f32", {40, 6, 2}, 9, ", window = 21 : i64"},
      {"f32", {7, 4, 2}, 37, ", window = 1000 : i64"},
      {"f32", {7, 2, 2}, 9, ", window = 5000000000 : i64"},
      {"f32", {40, 6, 2}, 1, ", cap = 0.7 : f32"},
      {"bf16", {7, 3, 3}, 5, ", cap = 0.7 : f32"},
      {"f32", {40, 6, 2}, 37, ", cap = 0.7 : f32, window = 5 : i64"},
  }));
  CAPTURE(cache, heads.size, heads.count, heads.keys, seq, more);
  // Some pasts reach beyond the caches: then there is no room for the new row.
  checkAgreement({.text = cachedAttention("f32", cache, heads, "batch = 3, seq = 40, context = 75", more),
                  .dims = {{"batch", 3}, {"seq", seq}},
                  .integers = {{"past", 90}},
                  .tolerance = cache == "f32" ? 1e-5 : 1e-4,
                  .repeats = 4});
}

TEST_CASE("long caches whose keys several workgroups share, for heads that share keys and for windows",
          "[attention]") {
  const auto [heads, context, least, seq, more] =
      GENERATE(table<Heads, int64_t, int64_t, int64_t, std::string>({
          {{20, 6, 2}, 300, 290, 1, ""},
          {{7, 6, 2}, 300, 126, 3, ""},
          {{20, 6, 2}, 300, 290, 1, ", window = 200 : i64"},
          {{20, 3, 3}, 700, 640, 1, ", window = 129 : i64, cap = 0.7 : f32"},
          {{20, 2, 1}, 300, 254, 2, ", window = 3 : i64"},
      }));
  CAPTURE(heads.size, heads.count, heads.keys, context, least, seq, more);
  checkAgreement(
      {.text = cachedAttention("f32", "f32", heads,
                               fmt::format("batch = 1, seq = {}, context = {}", context, context), more),
       .dims = {{"batch", 1}, {"seq", seq}},
       .integers = {{"past", 3}},
       .tolerance = 1e-5,
       .repeats = 3,
       .least = {{"past", int32_t(least)}},
       .filling = {{"batch", 1}, {"seq", context}}});
}

TEST_CASE("a token appended from rows that are not the query's", "[attention]") {
  const int64_t size = GENERATE(7, 40), key_heads = GENERATE(1, 2, 6), seq = GENERATE(1, 3);
  const std::string q = fmt::format("tensor<?x?x6x{}xf32, #linnet.dims<batch, seq>>", size);
  const std::string text = replaced(
      R"(module attributes {linnet.bounds = {batch = 2, seq = 3, context = 37}} {
func.func @main(%q: $q {linnet.name = "q"}, %n: $n {linnet.name = "n"}, %m: $n {linnet.name = "m"}, %past: $p {linnet.name = "past"},
    %k: $k {linnet.state = "k"}, %v: $k {linnet.state = "v"}) -> ($q {linnet.name = "out"}, $k {linnet.state = "k"}, $k {linnet.state = "v"}) {
  %k1 = linnet.cache_append %k, %n, %past : $k, $n, $p
  %v1 = linnet.cache_append %v, %m, %past : $k, $n, $p
  %a = linnet.attention %q, %k1, %v1 past %past {scale = 0.5 : f32} : $q, $k, $k past $p
  return %a, %k1, %v1 : $q, $k, $k
}
})",
      {{"$q", q},
       {"$n", fmt::format("tensor<?x?x{}x{}xf32, #linnet.dims<batch, seq>>", key_heads, size)},
       {"$k", fmt::format("tensor<?x{}x?x{}xf32, #linnet.dims<batch, context>>", key_heads, size)},
       {"$p", "tensor<?xi32, #linnet.dims<batch>>"}});
  checkAgreement({.text = text,
                  .dims = {{"batch", 2}, {"seq", seq}},
                  .integers = {{"past", 30}},
                  .tolerance = 1e-5,
                  .repeats = 4});
}

TEST_CASE("attention without a past or a mask", "[attention]") {
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

TEST_CASE("a mask, and attention that stops at a row's length", "[attention]") {
  const std::string causal =
      GENERATE(std::string("true"), std::string("false"), std::string("true, window = 1 : i64"),
               std::string("true, window = 4 : i64"), std::string("true, window = 5000000000 : i64"));
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
