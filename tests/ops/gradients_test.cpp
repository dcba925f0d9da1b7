// Compares the ops of training with the interpreter, on every runner under test (an instruction set of the
// cpu, a choice of a gpu).
#include "tests/catch.h"
#include "tests/ops/agreement.h"

#include <fmt/format.h>

using namespace linnet::testing;

namespace {

struct Port {
  std::string name, type;
};

/// @main with these inputs, `body`, and %r0, %r1, ... returned.
std::string entry(const std::vector<Port> &inputs, const std::string &body,
                  const std::vector<std::string> &results) {
  std::string arguments, types, values, list;
  for (const Port &port : inputs)
    arguments += fmt::format("{}%{}: {} {{linnet.name = \"{}\"}}", arguments.empty() ? "" : ", ", port.name,
                             port.type, port.name);
  for (size_t i = 0; i < results.size(); ++i) {
    types += fmt::format("{}{} {{linnet.name = \"r{}\"}}", i ? ", " : "", results[i], i);
    values += fmt::format("{}%r{}", i ? ", " : "", i);
    list += fmt::format("{}{}", i ? ", " : "", results[i]);
  }
  return fmt::format(
      "func.func @main({}) -> ({}) attributes {{linnet.bounds = {{b = 4, t = 131}}}} {{\n{}\n  "
      "return {} : {}\n}}\n",
      arguments, types, body, values, list);
}

const std::string kRows = "tensor<?x?x37xf32, #linnet.dims<b, t>>",
                  kTokens = "tensor<?x?xi32, #linnet.dims<b, t>>",
                  kEach = "tensor<?x?xf32, #linnet.dims<b, t>>", kLengths = "tensor<?xi32, #linnet.dims<b>>";
using Dims = std::map<std::string, int64_t>;
const Dims kDims = {{"b", 3}, {"t", 19}};
/// More rows than a workgroup has invocations, too.
Dims smallAndLarge() { return {{"b", 3}, {"t", GENERATE(19, 131)}}; }

} // namespace

TEST_CASE("cross entropy and its gradient, labels that do not count among them") {
  const Dims dims = smallAndLarge();
  std::string body = fmt::format(R"(
  %r0 = linnet.cross_entropy %x, %l : {0}, {1}
  %r1 = linnet.cross_entropy_grad %x, %l, %g : {0}, {1}, {2})",
                                 kRows, kTokens, kEach);
  checkAgreement({.text = entry({{"x", kRows}, {"l", kTokens}, {"g", kEach}}, body, {kEach, kRows}),
                  .dims = dims,
                  .integers = {{"l", 37}}});
  const char *fixed = R"(
  %l = linnet.constant dense<[[2, -1, 0], [-100, 4, 4]]> : tensor<2x3xi32>
  %r0 = linnet.cross_entropy %x, %l : tensor<2x3x5xf32>, tensor<2x3xi32>
  %r1 = linnet.cross_entropy_grad %x, %l, %g : tensor<2x3x5xf32>, tensor<2x3xi32>, tensor<2x3xf32>)";
  checkAgreement({.text = entry({{"x", "tensor<2x3x5xf32>"}, {"g", "tensor<2x3xf32>"}}, fixed,
                                {"tensor<2x3xf32>", "tensor<2x3x5xf32>"})});
}

TEST_CASE("sums into accumulators") {
  const Dims dims = smallAndLarge();
  std::string other = "tensor<?x?x13xf32, #linnet.dims<b, t>>";
  checkAgreement({.text = entry({{"a", "tensor<37x13xf32>"}, {"x", kRows}, {"y", other}},
                                fmt::format("%r0 = linnet.contract %a, %x, %y : tensor<37x13xf32>, {}, {}",
                                            kRows, other),
                                {"tensor<37x13xf32>"}),
                  .dims = dims});
  checkAgreement({.text = entry({{"a", "tensor<37xf32>"}, {"x", kRows}},
                                fmt::format("%r0 = linnet.sum_rows %a, %x : tensor<37xf32>, {}", kRows),
                                {"tensor<37xf32>"}),
                  .dims = dims});
  checkAgreement(
      {.text = entry(
           {{"a", "tensor<101x37xf32>"}, {"i", kTokens}, {"x", kRows}},
           fmt::format("%r0 = linnet.scatter_add %a, %i, %x : tensor<101x37xf32>, {}, {}", kTokens, kRows),
           {"tensor<101x37xf32>"}),
       .dims = dims,
       .integers = {{"i", 101}}});
}

// llvmpipe ends a kernel's loops after 65,535 steps in all: fewer than twelve columns an invocation times
// these ids.
TEST_CASE("a row of a table that thousands of tokens have") {
  checkAgreement(
      {.text =
           entry({{"a", "tensor<3x768xf32>"}, {"i", "tensor<2x3000xi32>"}, {"x", "tensor<2x3000x768xf32>"}},
                 "%r0 = linnet.scatter_add %a, %i, %x : tensor<3x768xf32>, tensor<2x3000xi32>, "
                 "tensor<2x3000x768xf32>",
                 {"tensor<3x768xf32>"})});
}

TEST_CASE("matmuls of training large enough for the library: x w, dy w^T, dw += x^T dy") {
  std::string x = "tensor<?x?x67xf32, #linnet.dims<b, t>>", y = "tensor<?x?x131xf32, #linnet.dims<b, t>>",
              w = "tensor<67x131xf32>";
  std::string body = fmt::format(R"(
  %r0 = linnet.matmul %x, %w : {0}, {2}
  %r1 = linnet.matmul %y, %w {{transpose_rhs}} : {1}, {2}
  %r2 = linnet.contract %w, %x, %y : {2}, {0}, {1})",
                                 x, y, w);
  checkAgreement(
      {.text = entry({{"x", x}, {"y", y}, {"w", w}}, body, {y, x, w}), .dims = {{"b", 4}, {"t", 21}}});
}

TEST_CASE("matmuls of training with a table: scores of its rows, their gradients, sums into it") {
  std::string x = "tensor<?x?x5xf32, #linnet.dims<b, t>>", y = "tensor<?x?x4201xf32, #linnet.dims<b, t>>",
              w = "tensor<4201x5xf32>";
  std::string body = fmt::format(R"(
  %r0 = linnet.matmul %x, %w {{transpose_rhs}} : {0}, {2}
  %r1 = linnet.matmul %y, %w : {1}, {2}
  %r2 = linnet.contract %w, %y, %x : {2}, {1}, {0}
  %s = linnet.mul %w, %w : {2}, {2}
  %r3 = linnet.reduce sum %s dim 1 : {2})",
                                 x, y, w);
  checkAgreement({.text = entry({{"x", x}, {"y", y}, {"w", w}}, body, {y, x, w, "tensor<4201x1xf32>"}),
                  .dims = {{"b", 2}, {"t", 9}}});
}

TEST_CASE("products of bf16 with sums in f32, by kernels and by the library") {
  auto [k, n] = GENERATE(std::pair(7, 5), std::pair(67, 131));
  CAPTURE(k, n);
  std::string x = fmt::format("tensor<?x?x{}xf32, #linnet.dims<b, t>>", k),
              y = fmt::format("tensor<?x?x{}xf32, #linnet.dims<b, t>>", n),
              w = fmt::format("tensor<{}x{}xf32>", k, n);
  auto narrow = [](std::string type) { return type.replace(type.find("f32"), 3, "bf16"); };
  std::string body = fmt::format(R"(
  %xn = linnet.cast %x : {0} to {3}
  %yn = linnet.cast %y : {1} to {4}
  %wn = linnet.cast %w : {2} to {5}
  %r0 = linnet.matmul %xn, %wn {{wide}} : {3}, {5}
  %r1 = linnet.matmul %yn, %wn {{transpose_rhs, wide}} : {4}, {5}
  %r2 = linnet.contract %w, %xn, %yn : {2}, {3}, {4})",
                                 x, y, w, narrow(x), narrow(y), narrow(w));
  checkAgreement(
      {.text = entry({{"x", x}, {"y", y}, {"w", w}}, body, {y, x, w}), .dims = {{"b", 4}, {"t", 21}}});
}

TEST_CASE("dropout, the same elements as the interpreter's") {
  float rate = GENERATE(0.f, 0.1f, 0.75f);
  const Dims dims = smallAndLarge();
  CAPTURE(rate);
  std::string body = fmt::format(
      "%r0 = linnet.dropout %x key %s {{rate = {:.8e} : f32, stream = 3000000000 : i64}} : {}, tensor<2xi32>",
      rate, kRows);
  checkAgreement({.text = entry({{"x", kRows}, {"s", "tensor<2xi32>"}}, body, {kRows}),
                  .dims = dims,
                  .integers = {{"s", 2000000000}}});
}

TEST_CASE("gradient of layer norm") {
  const Dims dims = smallAndLarge();
  std::string body = fmt::format(
      "%r0 = linnet.layer_norm_grad %x, %g, %d {{epsilon = 1.0e-5 : f32}} : {}, tensor<37xf32>", kRows);
  checkAgreement(
      {.text = entry({{"x", kRows}, {"g", "tensor<37xf32>"}, {"d", kRows}}, body, {kRows}), .dims = dims});
}

TEST_CASE("gradients of attention: causal or not, lengths, head sizes that no vector divides") {
  auto d = GENERATE(1, 5, 16, 20);
  bool causal = GENERATE(true, false), length = GENERATE(false, true);
  const Dims dims = d == 5 ? smallAndLarge() : kDims;
  CAPTURE(d, causal, length);
  std::string q = fmt::format("tensor<?x?x3x{}xf32, #linnet.dims<b, t>>", d),
              k = fmt::format("tensor<?x3x?x{}xf32, #linnet.dims<b, t>>", d);
  std::string body = fmt::format(
      "%r0, %r1, %r2 = linnet.attention_grad %q, %k, %v, %g {} {{scale = 0.4 : f32, causal = {}}} : {}, {}{}",
      length ? "length %n" : "", causal, q, k, length ? " length " + kLengths : "");
  std::vector<Port> inputs = {{"q", q}, {"k", k}, {"v", k}, {"g", q}};
  if (length) inputs.push_back({"n", kLengths});
  checkAgreement({.text = entry(inputs, body, {q, k, k}), .dims = dims, .integers = {{"n", 19}}});
}

TEST_CASE("gradients of attention: heads that share keys, windows, caps") {
  const auto [size, key_heads, more, length] = GENERATE(table<int, int, std::string, bool>({
      {20, 2, "", false},
      {5, 1, ", causal = false", true},
      {20, 6, ", window = 1 : i64", false},
      {5, 6, ", window = 3 : i64", true},
      {8, 2, ", window = 1000 : i64", false},
      {20, 6, ", cap = 0.3 : f32", false},
      {20, 3, ", cap = 0.3 : f32, window = 7 : i64", true},
  }));
  CAPTURE(size, key_heads, more, length);
  const std::string q = fmt::format("tensor<?x?x6x{}xf32, #linnet.dims<b, t>>", size),
                    k = fmt::format("tensor<?x{}x?x{}xf32, #linnet.dims<b, t>>", key_heads, size);
  const std::string body = fmt::format(
      "%r0, %r1, %r2 = linnet.attention_grad %q, %k, %v, %g {} {{scale = 0.4 : f32{}}} : {}, {}{}",
      length ? "length %n" : "", more, q, k, length ? " length " + kLengths : "");
  std::vector<Port> inputs = {{"q", q}, {"k", k}, {"v", k}, {"g", q}};
  if (length) inputs.push_back({"n", kLengths});
  checkAgreement({.text = entry(inputs, body, {q, k, k}), .dims = kDims, .integers = {{"n", 19}}});
}

TEST_CASE("gradients of pools") {
  std::string mode = GENERATE(std::string("last"), std::string("first"), std::string("mean"));
  std::string row = "tensor<?x37xf32, #linnet.dims<b>>";
  std::string body = fmt::format(R"(
  %n = linnet.constant dense<[2, 5, 1]> : tensor<3xi32>
  %r0 = linnet.pool_grad {} %g, %n, %x : tensor<3x37xf32>, tensor<3xi32>, tensor<3x5x37xf32>)",
                                 mode);
  checkAgreement({.text = entry({{"g", "tensor<3x37xf32>"}, {"x", "tensor<3x5x37xf32>"}}, body,
                                {"tensor<3x5x37xf32>"})});
}

TEST_CASE("AdamW, with and without a pull towards the start") {
  bool pull = GENERATE(false, true);
  std::string body =
      fmt::format(R"(
  %p = linnet.mul %v, %v : tensor<131x37xf32>, tensor<131x37xf32>
  %s = linnet.mul %f, %f : tensor<1xf32>, tensor<1xf32>
  %r0, %r1, %r2, %r3 = linnet.adamw %a, %g, %m, %p lr %l scale %f m_scale %s v_scale %s {}
    {{beta1 = 0.9 : f32, beta2 = 0.99 : f32, epsilon = 1.0e-3 : f32, decay = 0.1 : f32, lr_scale = 0.5 : f32, pull = {} : f32}}
    : tensor<131x37xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>{})",
                  pull ? "start %g" : "", pull ? "0.25" : "0.0", pull ? " start tensor<131x37xf32>" : "");
  std::string type = "tensor<131x37xf32>";
  checkAgreement({.text = entry({{"a", type},
                                 {"g", type},
                                 {"m", type},
                                 {"v", type},
                                 {"l", "tensor<1xf32>"},
                                 {"f", "tensor<1xf32>"}},
                                body, {type, type, type, type})});
}

TEST_CASE("AdamW in place of states, gradients summed into one before") {
  bool pull = GENERATE(false, true);
  std::string type = "tensor<131x37xf32>", one = "tensor<1xf32>", rows = "tensor<11x131xf32>",
              columns = "tensor<11x37xf32>";
  std::string text = fmt::format(
      R"(
func.func @main(%x: {2} {{linnet.name = "x"}}, %y: {3} {{linnet.name = "y"}}, %l: {1} {{linnet.name = "l"}}, %f: {1} {{linnet.name = "f"}},
                %p: {0} {{linnet.state = "p"}}, %g: {0} {{linnet.state = "g"}}, %m: {0} {{linnet.state = "m"}}, %v: {0} {{linnet.state = "v"}}{4})
    -> ({1} {{linnet.name = "lr"}}, {0} {{linnet.name = "now"}}, {0} {{linnet.state = "p"}}, {0} {{linnet.state = "g"}}, {0} {{linnet.state = "m"}}, {0} {{linnet.state = "v"}}) {{
  %s = linnet.mul %f, %f : {1}, {1}
  %sum = linnet.contract %g, %x, %y : {0}, {2}, {3}
  %r0, %r1, %r2, %r3 = linnet.adamw %p, %sum, %m, %v lr %l scale %f m_scale %s v_scale %s {5}
    {{beta1 = 0.9 : f32, beta2 = 0.99 : f32, epsilon = 1.0e-2 : f32, decay = 0.1 : f32, lr_scale = 0.5 : f32, pull = {6} : f32}}
    : {0}, {1}, {1}, {1}, {1}{7}
  %now = linnet.add %r0, %r2 : {0}, {0}
  return %s, %now, %r0, %r1, %r2, %r3 : {1}, {0}, {0}, {0}, {0}, {0}
}})",
      type, one, rows, columns, pull ? ", %start: " + type + " {linnet.name = \"start\"}" : "",
      pull ? "start %start" : "", pull ? "0.25" : "0.0", pull ? " start " + type : "");
  checkAgreement({.text = text, .repeats = 3});
}
