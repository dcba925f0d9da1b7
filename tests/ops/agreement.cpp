#include "tests/ops/agreement.h"

#include "ir/Shapes.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/reference/provided_weights.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace linnet::testing {
namespace {

using reference::Kind;
using reference::Named;
using reference::Tensor;

Kind kindOf(mlir::Type type) {
  if (type.isF16()) return Kind::f16;
  if (type.isBF16()) return Kind::bf16;
  if (type.isInteger(32)) return Kind::i32;
  if (type.isInteger(8)) return Kind::i8;
  if (type.isInteger(4)) return Kind::i4;
  return Kind::f32;
}

Tensor draw(mlir::RankedTensorType type, const Agreement &agreement, const std::string &name,
            std::minstd_rand &random, bool filling = false) {
  const auto &dims = filling ? agreement.filling : agreement.dims;
  std::vector<int64_t> shape;
  for (const ir::Dim &dim : ir::shapeOf(type)) shape.push_back(dim.name ? dims.at(dim.name.str()) : dim.size);
  Tensor tensor = Tensor::zeros(kindOf(type.getElementType()), shape);
  std::uniform_real_distribution<float> uniform(-1, 1);
  auto limit = agreement.integers.find(name), least = agreement.least.find(name);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.isFloat())
      tensor.data()[i] = reference::rounded(tensor.kind, uniform(random));
    else
      tensor.ints()[i] =
          filling ? 0
                  : (least == agreement.least.end() ? 0 : least->second) +
                        int32_t(random() % (limit == agreement.integers.end() ? 3 : limit->second));
  }
  return tensor;
}

void compare(const std::string &name, const Tensor &found, const Tensor &expected, double tolerance) {
  INFO(name);
  REQUIRE(expected.size() > 0);
  REQUIRE(found.shape == expected.shape);
  REQUIRE(found.kind == expected.kind);
  double largest = 1e-30, worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!expected.isFloat()) {
      CHECK(found.ints()[i] == expected.ints()[i]);
      continue;
    }
    const double x = found.data()[i], y = expected.data()[i];
    if (std::isfinite(y)) largest = std::max(largest, std::abs(y));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    worst = std::max(worst, std::isfinite(x - y) ? std::abs(x - y) : HUGE_VAL);
  }
  CHECK(worst <= tolerance * largest);
}

/// One module, its weights, and the interpreter's answers.
struct Comparison {
  const Agreement &agreement;
  mlir::ModuleOp module;
  mlir::func::FuncOp function;
  std::minstd_rand random{1234};
  std::map<std::string, Tensor> params = {};
  reference::WeightProvider weights = [this](std::string_view name) -> Result<Tensor> {
    auto found = params.find(std::string(name));
    if (found == params.end()) return errorf("no weight {}", name);
    return found->second;
  };

  void drawParams() {
    module.walk([&](ir::ParamOp param) {
      auto type = llvm::cast<mlir::RankedTensorType>(param.getType());
      params.emplace(param.getName().str(), draw(type, agreement, param.getName().str(), random));
    });
  }

  Named drawInputs(bool filling) {
    Named inputs;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      if (!ir::argState(function, i).empty()) continue;
      const std::string name = ir::argName(function, i).str();
      const auto type = llvm::cast<mlir::RankedTensorType>(function.getArgumentTypes()[i]);
      inputs.emplace(name, draw(type, agreement, name, random, filling));
    }
    return inputs;
  }

  /// Whether the runner takes such a module.
  bool check(const Runner &runner, PipelineSpec pipeline) {
    INFO(runner.name);
    pipeline.target = runner.target;
    auto run = runner.load(module, weights, pipeline);
    if (!run) FAIL(run.error().message);
    if (!*run) return false;
    REQUIRE(agreement.repeats > 0);
    Named states;
    for (int repeat = agreement.filling.empty() ? 0 : -1; repeat < agreement.repeats; ++repeat) {
      const Named inputs = drawInputs(repeat < 0);
      auto expected = reference::run(module, agreement.entry, inputs, states, weights);
      if (!expected) FAIL(expected.error().message);
      auto found = (*run)(agreement.entry, inputs);
      if (!found) FAIL(found.error().message);
      REQUIRE_FALSE(expected->empty());
      for (const auto &[name, tensor] : *expected) {
        REQUIRE(found->count(name) == 1);
        compare(name, found->at(name), tensor, std::max(agreement.tolerance, runner.tolerance));
      }
    }
    return true;
  }
};

} // namespace

void checkAgreement(const Agreement &agreement, const PipelineSpec &pipeline) {
  INFO(agreement.text);
  mlir::MLIRContext context;
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(agreement.text, &context);
  REQUIRE(module);
  auto function = module->lookupSymbol<mlir::func::FuncOp>(agreement.entry);
  REQUIRE(function);
  Comparison comparison{agreement, *module, function};
  comparison.drawParams();
  const std::vector<Runner> runners = runnersUnderTest();
  REQUIRE_FALSE(runners.empty());
  int compared = 0;
  for (const Runner &runner : runners) compared += comparison.check(runner, pipeline);
  INFO("no runner takes this module");
  REQUIRE(compared > 0);
}

} // namespace linnet::testing
