// A module that is interpreted, and compiled for a runner.
#pragma once
#include "tests/catch.h"
#include "tests/ops/agreement.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

namespace linnet::testing {

struct Subject {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  reference::WeightProvider weights;

  explicit Subject(const std::string &text, reference::WeightProvider given = {})
      : weights(std::move(given)) {
    context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    REQUIRE(module);
  }
  /// The interpreter's results of @main.
  reference::Named interpreted(const reference::Named &inputs) {
    reference::Named states;
    auto found = reference::run(*module, "main", inputs, states, weights);
    if (!found) FAIL(found.error().message);
    return *found;
  }
  Runner::Run load(const Runner &runner) {
    PipelineSpec pipeline;
    pipeline.target = runner.target;
    auto run = runner.load(*module, weights, pipeline);
    if (!run) FAIL(run.error().message);
    return *run;
  }
  static reference::Named ran(const Runner::Run &run, const reference::Named &inputs) {
    auto found = run("main", inputs);
    if (!found) FAIL(found.error().message);
    return *found;
  }
};

} // namespace linnet::testing
