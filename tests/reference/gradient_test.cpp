// The gradient of every op against central differences, both computed by the interpreter: a @loss around the
// op is differentiated by linnet-autodiff, and each parameter moved a little.
#include "backends/reference/interpreter.h"
#include "ir/Linnet.h"
#include "passes/Passes.h"
#include "tests/catch.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <fmt/format.h>

using namespace linnet;
using reference::Named;
using reference::Tensor;

namespace {

/// y, of `shape`, computed by `body` from f32 params. The loss is y times a param of its shape, so that each
/// of y's elements counts differently.
struct Case {
  std::string name, body, shape;
  std::vector<std::pair<std::string, std::string>> params; ///< name, "3x5"
};

const std::vector<Case> kCases = {
    {"add", "%y = linnet.add %a, %b : tensor<3x5xf32>, tensor<3x5xf32>", "3x5", {{"a", "3x5"}, {"b", "3x5"}}},
    {"add with a bias",
     "%y = linnet.add %a, %b : tensor<2x3x5xf32>, tensor<5xf32>",
     "2x3x5",
     {{"a", "2x3x5"}, {"b", "5"}}},
    {"add of a matrix to each",
     "%y = linnet.add %a, %b : tensor<2x3x5xf32>, tensor<3x5xf32>",
     "2x3x5",
     {{"a", "2x3x5"}, {"b", "3x5"}}},
    {"mul with a column",
     "%y = linnet.mul %a, %b : tensor<3x5xf32>, tensor<3x1xf32>",
     "3x5",
     {{"a", "3x5"}, {"b", "3x1"}}},
    {"sub of itself, used twice",
     "%0 = linnet.mul %a, %a : tensor<7xf32>, tensor<7xf32>\n%y = linnet.sub %0, %a : tensor<7xf32>, "
     "tensor<7xf32>",
     "7",
     {{"a", "7"}}},
    {"sub", "%y = linnet.sub %a, %b : tensor<1xf32>, tensor<3x1xf32>", "3x1", {{"a", "1"}, {"b", "3x1"}}},
    {"div",
     "%0 = linnet.exp %b : tensor<3x5xf32>\n%y = linnet.div %a, %0 : tensor<3x5xf32>, tensor<3x5xf32>",
     "3x5",
     {{"a", "3x5"}, {"b", "3x5"}}},
    {"max", "%y = linnet.max %a, %b : tensor<3x5xf32>, tensor<3x5xf32>", "3x5", {{"a", "3x5"}, {"b", "3x5"}}},
    {"min", "%y = linnet.min %a, %b : tensor<3x5xf32>, tensor<3x5xf32>", "3x5", {{"a", "3x5"}, {"b", "3x5"}}},
    {"neg, tanh",
     "%0 = linnet.neg %a : tensor<3x5xf32>\n%y = linnet.tanh %0 : tensor<3x5xf32>",
     "3x5",
     {{"a", "3x5"}}},
    {"erf", "%y = linnet.erf %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"exp, log",
     "%0 = linnet.exp %a : tensor<3x5xf32>\n%1 = linnet.add %0, %0 : tensor<3x5xf32>, tensor<3x5xf32>\n%y = "
     "linnet.log %1 : tensor<3x5xf32>",
     "3x5",
     {{"a", "3x5"}}},
    {"sqrt",
     "%0 = linnet.exp %a : tensor<3x5xf32>\n%y = linnet.sqrt %0 : tensor<3x5xf32>",
     "3x5",
     {{"a", "3x5"}}},
    {"rsqrt",
     "%0 = linnet.exp %a : tensor<3x5xf32>\n%y = linnet.rsqrt %0 : tensor<3x5xf32>",
     "3x5",
     {{"a", "3x5"}}},
    {"relu", "%y = linnet.relu %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"gelu erf", "%y = linnet.gelu erf %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"gelu tanh", "%y = linnet.gelu tanh %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"gelu quick", "%y = linnet.gelu quick %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"silu", "%y = linnet.silu %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"cast", "%y = linnet.cast %a : tensor<3x5xf32> to tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"dropout",
     "%s = linnet.constant dense<[7, -1]> : tensor<2xi32>\n%y = linnet.dropout %a key %s {rate = 0.3 : f32, "
     "stream = 2 : i64} : tensor<3x5xf32>, tensor<2xi32>",
     "3x5",
     {{"a", "3x5"}}},
    {"matmul",
     "%y = linnet.matmul %a, %b : tensor<2x3x5xf32>, tensor<5x7xf32>",
     "2x3x7",
     {{"a", "2x3x5"}, {"b", "5x7"}}},
    {"matmul of a vector",
     "%y = linnet.matmul %a, %b : tensor<5xf32>, tensor<5x3xf32>",
     "3",
     {{"a", "5"}, {"b", "5x3"}}},
    {"matmul transpose_rhs",
     "%y = linnet.matmul %a, %b {transpose_rhs} : tensor<3x5xf32>, tensor<7x5xf32>",
     "3x7",
     {{"a", "3x5"}, {"b", "7x5"}}},
    {"matmul transpose_lhs",
     "%y = linnet.matmul %a, %b {transpose_lhs} : tensor<5x3xf32>, tensor<5x7xf32>",
     "3x7",
     {{"a", "5x3"}, {"b", "5x7"}}},
    {"matmul of batches",
     "%y = linnet.matmul %a, %b : tensor<2x3x5xf32>, tensor<2x5x4xf32>",
     "2x3x4",
     {{"a", "2x3x5"}, {"b", "2x5x4"}}},
    {"matmul of batches, both transposed",
     "%y = linnet.matmul %a, %b {transpose_lhs, transpose_rhs} : tensor<2x5x3xf32>, tensor<2x4x5xf32>",
     "2x3x4",
     {{"a", "2x5x3"}, {"b", "2x4x5"}}},
    {"matmul with an epilogue",
     "%y = linnet.matmul %a, %b bias %c residual %d {activation = #linnet<activation gelu_tanh>} : "
     "tensor<3x5xf32>, tensor<5x4xf32> bias tensor<4xf32> residual tensor<3x4xf32>",
     "3x4",
     {{"a", "3x5"}, {"b", "5x4"}, {"c", "4"}, {"d", "3x4"}}},
    {"matmul with silu",
     "%y = linnet.matmul %a, %b bias %c {activation = #linnet<activation silu>} : tensor<3x5xf32>, "
     "tensor<5x4xf32> bias tensor<4xf32>",
     "3x4",
     {{"a", "3x5"}, {"b", "5x4"}, {"c", "4"}}},
    {"matmul with gelu quick",
     "%y = linnet.matmul %a, %b {activation = #linnet<activation gelu_quick>} : tensor<3x5xf32>, "
     "tensor<5x4xf32>",
     "3x4",
     {{"a", "3x5"}, {"b", "5x4"}}},
    {"attention",
     "%y = linnet.attention %q, %k, %v {scale = 0.7 : f32} : tensor<2x5x3x4xf32>, tensor<2x3x5x4xf32>, "
     "tensor<2x3x5x4xf32>",
     "2x5x3x4",
     {{"q", "2x5x3x4"}, {"k", "2x3x5x4"}, {"v", "2x3x5x4"}}},
    {"attention, not causal, with a length",
     "%n = linnet.constant dense<[2, 5]> : tensor<2xi32>\n%y = linnet.attention %q, %k, %v length %n {scale "
     "= 0.7 : f32, causal = false} : tensor<2x5x1x3xf32>, tensor<2x1x5x3xf32>, tensor<2x1x5x3xf32> length "
     "tensor<2xi32>",
     "2x5x1x3",
     {{"q", "2x5x1x3"}, {"k", "2x1x5x3"}, {"v", "2x1x5x3"}}},
    {"layer_norm",
     "%y = linnet.layer_norm %x, %g, %b {epsilon = 1.0e-3 : f32} : tensor<2x3x7xf32>, tensor<7xf32>, "
     "tensor<7xf32>",
     "2x3x7",
     {{"x", "2x3x7"}, {"g", "7"}, {"b", "7"}}},
    {"rms_norm",
     "%y = linnet.rms_norm %x, %g {epsilon = 1.0e-3 : f32} : tensor<2x3x7xf32>, tensor<7xf32>",
     "2x3x7",
     {{"x", "2x3x7"}, {"g", "7"}}},
    {"rotary",
     "%t = linnet.rotary_table [1.0, 0.3] : tensor<9x4xf32>\n  %p = linnet.constant dense<[[1, 4, 8]]> : "
     "tensor<1x3xi32>\n"
     "  %y = linnet.rotary %x, %t, %p : tensor<1x3x2x5xf32>, tensor<9x4xf32>, tensor<1x3xi32>",
     "1x3x2x5",
     {{"x", "1x3x2x5"}}},
    {"rotary interleaved",
     "%t = linnet.rotary_table [1.0, 0.3] : tensor<9x4xf32>\n  %p = linnet.constant dense<[[1, 4, 8]]> : "
     "tensor<1x3xi32>\n"
     "  %y = linnet.rotary %x, %t, %p {interleaved = true} : tensor<1x3x2x5xf32>, tensor<9x4xf32>, "
     "tensor<1x3xi32>",
     "1x3x2x5",
     {{"x", "1x3x2x5"}}},
    {"softmax", "%y = linnet.softmax %a : tensor<3x5xf32>", "3x5", {{"a", "3x5"}}},
    {"reduce sum", "%y = linnet.reduce sum %a dim 1 : tensor<2x3x5xf32>", "2x1x5", {{"a", "2x3x5"}}},
    {"reduce mean", "%y = linnet.reduce mean %a dim 2 : tensor<2x3x5xf32>", "2x3x1", {{"a", "2x3x5"}}},
    {"embed",
     "%i = linnet.constant dense<[[1, 4, 1], [0, 1, 3]]> : tensor<2x3xi32>\n%y = linnet.embed %a, %i : "
     "tensor<5x4xf32>, tensor<2x3xi32>",
     "2x3x4",
     {{"a", "5x4"}}},
    {"pool last",
     "%n = linnet.constant dense<[2, 3]> : tensor<2xi32>\n%y = linnet.pool last %a, %n : tensor<2x3x4xf32>, "
     "tensor<2xi32>",
     "2x4",
     {{"a", "2x3x4"}}},
    {"pool first",
     "%n = linnet.constant dense<[2, 3]> : tensor<2xi32>\n%y = linnet.pool first %a, %n : tensor<2x3x4xf32>, "
     "tensor<2xi32>",
     "2x4",
     {{"a", "2x3x4"}}},
    {"pool mean",
     "%n = linnet.constant dense<[2, 3]> : tensor<2xi32>\n%y = linnet.pool mean %a, %n : tensor<2x3x4xf32>, "
     "tensor<2xi32>",
     "2x4",
     {{"a", "2x3x4"}}},
    {"attention",
     "%y = linnet.attention %a, %b, %c {scale = 0.7 : f32} : tensor<2x3x2x4xf32>, tensor<2x2x3x4xf32>, "
     "tensor<2x2x3x4xf32>",
     "2x3x2x4",
     {{"a", "2x3x2x4"}, {"b", "2x2x3x4"}, {"c", "2x2x3x4"}}},
    {"attention of six heads over two, a window, a cap and lengths",
     "%n = linnet.constant dense<[3, 5]> : tensor<2xi32>\n%y = linnet.attention %a, %b, %c length %n {scale "
     "= "
     "1.3 : f32, cap = 0.8 : f32, window = 3 : i64} : tensor<2x5x6x3xf32>, tensor<2x2x5x3xf32>, "
     "tensor<2x2x5x3xf32> length tensor<2xi32>",
     "2x5x6x3",
     {{"a", "2x5x6x3"}, {"b", "2x2x5x3"}, {"c", "2x2x5x3"}}},
    {"attention of three heads over one, both directions",
     "%y = linnet.attention %a, %b, %c {scale = 1.3 : f32, causal = false} : tensor<1x4x3x5xf32>, "
     "tensor<1x1x4x5xf32>, tensor<1x1x4x5xf32>",
     "1x4x3x5",
     {{"a", "1x4x3x5"}, {"b", "1x1x4x5"}, {"c", "1x1x4x5"}}},
    {"reshape", "%y = linnet.reshape %a : tensor<3x4xf32> to tensor<2x6xf32>", "2x6", {{"a", "3x4"}}},
    {"one slice", "%y = linnet.slice %a dim 1 offset 1 size 2 : tensor<3x5xf32>", "3x2", {{"a", "3x5"}}},
    {"slices that overlap",
     "%0 = linnet.slice %a dim 1 offset 0 size 3 : tensor<3x5xf32>\n%1 = linnet.slice %a dim 1 offset 2 size "
     "3 : tensor<3x5xf32>\n%y = linnet.mul %0, %1 : tensor<3x3xf32>, tensor<3x3xf32>",
     "3x3",
     {{"a", "3x5"}}},
    {"transpose", "%y = linnet.transpose %a [2, 0, 1] : tensor<2x3x5xf32>", "5x2x3", {{"a", "2x3x5"}}},
    {"concat",
     "%y = linnet.concat %a, %b dim 1 : tensor<3x2xf32>, tensor<3x4xf32>",
     "3x6",
     {{"a", "3x2"}, {"b", "3x4"}}},
    {"cross_entropy",
     "%l = linnet.constant dense<[4, -100, 0]> : tensor<3xi32>\n%y = linnet.cross_entropy %a, %l : "
     "tensor<3x5xf32>, tensor<3xi32>",
     "3",
     {{"a", "3x5"}}},
};

std::vector<int64_t> sizes(const std::string &shape) {
  std::vector<int64_t> out;
  for (size_t at = 0; at < shape.size();) {
    size_t used = 0;
    out.push_back(std::stoll(shape.substr(at), &used));
    at += used + 1;
  }
  return out;
}

std::string textOf(const Case &c) {
  std::string type = fmt::format("tensor<{}xf32>", c.shape), params;
  auto all = c.params;
  all.push_back({"w", c.shape});
  for (auto &[name, shape] : all)
    params += fmt::format("  %{0} = linnet.param \"{0}\" : tensor<{1}xf32>\n", name, shape);
  return fmt::format("func.func @loss() -> ({0} {{linnet.name = \"loss\"}}) {{\n{1}{2}\n"
                     "  %loss = linnet.mul %y, %w : {0}, {0}\n  return %loss : {0}\n}}\n",
                     type, params, c.body);
}

reference::WeightProvider none() {
  return [](std::string_view name) -> Result<Tensor> { return Error{"no weight " + std::string(name)}; };
}

double lossOf(mlir::ModuleOp module, Named states) {
  auto out = reference::run(module, "accumulate", {}, states, none()); // not "evaluate", which has no dropout
  if (!out) FAIL(out.error().message);
  double sum = 0;
  for (float value : *out->at("loss").floats) sum += value;
  return sum;
}

} // namespace

TEST_CASE("gradients of every op agree with central differences") {
  const Case &c = GENERATE(from_range(kCases));
  CAPTURE(c.name);
  mlir::MLIRContext context;
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(textOf(c), &context);
  REQUIRE(module);
  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  REQUIRE(appendPasses(manager, "linnet-autodiff", "test"));
  REQUIRE(mlir::succeeded(manager.run(*module)));

  // Values that lie well apart from each other and from 0: max, min and relu have a corner there.
  Named states;
  int counter = 0;
  auto params = c.params;
  params.push_back({"w", c.shape});
  for (auto &[name, shape] : params) {
    Tensor tensor = Tensor::zeros(reference::Kind::f32, sizes(shape));
    for (float &value : *tensor.floats)
      value = static_cast<float>((counter++ * 37 % 101 - 50) / 55.0 + 0.009);
    states["param." + name] = tensor;
  }
  Named after = states;
  auto out = reference::run(*module, "accumulate", {}, after, none());
  if (!out) FAIL(out.error().message);

  constexpr double kStep = 0.004;
  for (auto &[name, shape] : params) {
    CAPTURE(name);
    const Tensor &gradient = after.at("grad." + name);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < gradient.size(); ++i) {
      auto moved = [&](double by) {
        Named other = states;
        Tensor &tensor = other.at("param." + name);
        tensor.floats = std::make_shared<std::vector<float>>(*tensor.floats);
        tensor.data()[i] = static_cast<float>(tensor.data()[i] + by);
        return lossOf(*module, other);
      };
      double slope =
          (8 * (moved(kStep) - moved(-kStep)) - (moved(2 * kStep) - moved(-2 * kStep))) / (12 * kStep);
      worst = std::max(worst, std::fabs(slope - gradient.data()[i]));
      largest = std::max(largest, std::fabs(slope));
    }
    CHECK(worst < 1e-3 * std::max(largest, 0.1));
  }
}
