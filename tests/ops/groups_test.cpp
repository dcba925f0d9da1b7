// Compares matmuls and lookups of integers whose groups of rows have scales of their own with the interpreter, on
// every runner under test.
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

using namespace linnet;
using namespace linnet::testing;

namespace {

struct Stored {
  std::string type;
  int64_t group;
  bool asymmetric = false;

  int64_t scales(int64_t size) const { return (size + group - 1) / group * (asymmetric ? 2 : 1); }
  int32_t least() const { return type == "i4" ? -8 : -127; }
  int32_t count() const { return type == "i4" ? 16 : 255; }
  std::string attributes(const std::string &more = "") const {
    return fmt::format("{{group = {} : i64{}{}}}", group, asymmetric ? ", asymmetric" : "", more);
  }
};

/// Drivers compile each case for some seconds, so no test takes all types with all sizes.
constexpr int64_t kColumns = 70;

/// Without a residual, because a device may have four storage buffers only. The numbers of x are rounded to bf16 in the
/// graph, so that the interpreter and a processor round the same ones.
std::string product(const Stored &stored, int64_t k, bool transposed) {
  const int64_t scales = stored.scales(k);
  auto shape = [&](int64_t rows) {
    return transposed ? fmt::format("{}x{}", kColumns, rows) : fmt::format("{}x{}", rows, kColumns);
  };
  return replaced(function({{"x", "$x"}},
                           R"(  %w = linnet.param "w" : $w
  %s = linnet.param "s" : $s
  %b = linnet.param "b" : tensor<$nxf32>
  %0 = linnet.cast %x : $x to $h
  %1 = linnet.cast %0 : $h to $x
  %2 = linnet.matmul %1, %w scale %s $a : $x, $w scale $s
  %3 = linnet.add %2, %b : $y, tensor<$nxf32>
  %r = linnet.silu %3 : $y)",
                           "r", "$y", "batch = 5, seq = 80"),
                  {{"$w", fmt::format("tensor<{}x{}>", shape(k), stored.type)},
                   {"$s", fmt::format("tensor<{}xf32>", shape(scales))},
                   {"$a", stored.attributes(transposed ? ", transpose_rhs" : "")},
                   {"$x", fmt::format("tensor<?x{}xf32, #linnet.dims<seq>>", k)},
                   {"$h", fmt::format("tensor<?x{}xbf16, #linnet.dims<seq>>", k)},
                   {"$y", fmt::format("tensor<?x{}xf32, #linnet.dims<seq>>", kColumns)},
                   {"$n", std::to_string(kColumns)}});
}

} // namespace

TEST_CASE("a matmul of integers in groups, at each number of rows") {
  const auto [stored, rows, k] = GENERATE(table<Stored, int64_t, int64_t>({{{"i8", 32}, 1, 96},
                                                                           {{"i8", 32}, 3, 70},
                                                                           {{"i8", 32}, 9, 33},
                                                                           {{"i8", 32}, 67, 100},
                                                                           {{"i8", 16}, 2, 41},
                                                                           {{"i4", 32}, 1, 70},
                                                                           {{"i4", 32}, 5, 96},
                                                                           {{"i4", 32}, 70, 100},
                                                                           {{"i4", 32, true}, 1, 70},
                                                                           {{"i4", 32, true}, 2, 33},
                                                                           {{"i4", 32, true}, 4, 100},
                                                                           {{"i4", 32, true}, 9, 20},
                                                                           {{"i4", 32, true}, 70, 96},
                                                                           {{"i4", 16, true}, 3, 41}}));
  const bool transposed = rows % 2;
  checkAgreement({.text = product(stored, k, transposed),
                  .dims = {{"seq", rows}},
                  .integers = {{"w", stored.count()}},
                  .tolerance = 1e-4,
                  .least = {{"w", stored.least()}}},
                 k == 33 || k == 70 ? plainPipeline() : PipelineSpec());
}

TEST_CASE("a tied table of integers in groups serves embed and matmul") {
  const Stored stored = GENERATE(Stored{"i8", 32}, Stored{"i4", 32}, Stored{"i4", 32, true});
  const std::string text = replaced(function({{"ids", "$i"}},
                                             R"(  %t = linnet.param "w" : $w
  %s = linnet.param "s" : $s
  %e = linnet.embed %t, %ids scale %s $a : $w, $i scale $s
  %r = linnet.matmul %e, %t scale %s $m : tensor<?x?x45xf32, #linnet.dims<batch, seq>>, $w scale $s)",
                                             "r", "tensor<?x?x131xf32, #linnet.dims<batch, seq>>"),
                                    {{"$a", stored.attributes()},
                                     {"$m", stored.attributes(", transpose_rhs")},
                                     {"$i", "tensor<?x?xi32, #linnet.dims<batch, seq>>"},
                                     {"$s", fmt::format("tensor<131x{}xf32>", stored.scales(45))},
                                     {"$w", fmt::format("tensor<131x45x{}>", stored.type)}});
  checkAgreement({.text = text,
                  .dims = {{"batch", 2}, {"seq", 7}},
                  .integers = {{"w", stored.count()}, {"ids", 131}},
                  .tolerance = 1e-4,
                  .least = {{"w", stored.least()}}},
                 GENERATE(PipelineSpec(), plainPipeline()));
}
