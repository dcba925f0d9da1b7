// Compares every op with the interpreter, on every runner under test, at sizes that no vector or tile
// divides. Matmuls, attention and gradients have files of their own.
#include "ir/Shapes.h"
#include "tests/catch.h"
#include "tests/ops/agreement.h"
#include "tests/ops/each_op.h"
#include "tests/ops/modules.h"

#include <fmt/format.h>

#include <cmath>

using namespace linnet;
using namespace linnet::testing;

TEST_CASE("each op of the dialect, as in each_op.mlir", "[each_op]") {
  mlir::MLIRContext context;
  for (OpCase &one : opCases(context)) {
    if (one.name == "sample" && runnersUnderTest().front().target == "cpu") continue; // op_parts_test.cpp
    CAPTURE(one.name);
    Agreement agreement{.dims = {{"batch", kOpCaseBatch}}};
    if (one.name == "quantize")
      agreement.tolerance = 1e-4; // rows of lhs are rounded to 16 bits next to integers
    llvm::raw_string_ostream(agreement.text) << *one.module;
    auto main = one.module->lookupSymbol<mlir::func::FuncOp>("main");
    for (unsigned i = 0; i < main.getNumArguments(); ++i) {
      const std::string name = ir::argName(main, i).str();
      agreement.integers[name] = 2, agreement.least[name] = 1;
    }
    checkAgreement(agreement);
  }
}

TEST_CASE("elementwise ops, each alone") {
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  const std::string op = GENERATE(std::string("neg"), std::string("exp"), std::string("tanh"),
                                  std::string("erf"), std::string("relu"), std::string("gelu erf"),
                                  std::string("gelu tanh"), std::string("gelu quick"), std::string("silu"));
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

TEST_CASE("rows: norms, softmax, argmax") {
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
  checkAgreement(
      {.text = function({{"x", t}},
                        fmt::format("  %g = linnet.param \"g\" : {1}\n  %r = linnet.rms_norm %x, %g "
                                    "{{epsilon = 1.0e-5 : f32}} : {0}, {1}",
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

TEST_CASE("rotary positions: pairs next to each other or not, heads in part, rows with gaps") {
  const auto [heads, size, angles] =
      GENERATE(std::tuple(1, 64, 32), std::tuple(3, 22, 11), std::tuple(5, 40, 7));
  const std::string type = GENERATE(std::string("f32"), std::string("f16"), std::string("bf16"));
  const std::string flags =
      GENERATE(std::string(""), std::string("{interleaved = true}"), std::string("{inverse = true}"),
               std::string("{interleaved = true, inverse = true}"));
  const double tolerance = type == "f32" ? 1e-5 : type == "f16" ? 2e-3 : 1.6e-2;
  std::string frequencies;
  for (int i = 0; i < angles; ++i)
    frequencies += fmt::format("{}{:e}", i ? ", " : "", std::pow(100.0, -i / double(angles)));
  const std::string all = fmt::format("tensor<?x3x{}x{}, #linnet.dims<batch>>", 2 * heads * size, type),
                    part = fmt::format("tensor<?x3x{}x{}, #linnet.dims<batch>>", heads * size, type),
                    x = fmt::format("tensor<?x3x{}x{}x{}, #linnet.dims<batch>>", heads, size, type),
                    table = fmt::format("tensor<17x{}xf32>", 2 * angles),
                    p = "tensor<?x3xi32, #linnet.dims<batch>>";
  checkAgreement({.text = function({{"all", all}, {"p", p}},
                                   fmt::format("  %t = linnet.rotary_table [{}] {{scale = 1.5 : f32}} : {}\n"
                                               "  %s = linnet.slice %all dim 2 offset {} size {} : {}\n"
                                               "  %x = linnet.reshape %s : {} to {}\n"
                                               "  %r = linnet.rotary %x, %t, %p {} : {}, {}, {}",
                                               frequencies, table, heads * size, heads * size, all, part, x,
                                               flags, x, table, p),
                                   "r", x),
                  .dims = {{"batch", 5}},
                  .integers = {{"p", 17}},
                  .tolerance = tolerance});
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
