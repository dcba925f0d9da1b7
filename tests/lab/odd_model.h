// The golden model of odd sizes, or another one, for the tests of lab/.
#pragma once
#include "frontend/model/graph.h"
#include "ir/Linnet.h"
#include "passes/Passes.h"
#include "tests/reference/fixtures.h"

#include "mlir/IR/MLIRContext.h"
#include "tests/folders.h"
#include "tests/targets.h"

namespace linnet::testing {

struct OddModel {
  explicit OddModel(const std::string &directory = linnet::testing::golden("odd"))
      : checkpoint(*Checkpoint::open(directory)) {
    linnet::testing::registerPassesAndTargets();
    context.disableMultithreading();
    context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
    weights = weightsOf(checkpoint);
  }
  /// All default entries, or these.
  mlir::OwningOpRef<mlir::ModuleOp> graph(std::vector<EntrySpec> entries = {}, int64_t max_batch = 2) {
    return buildGraph(context, checkpoint.config(), {.max_batch = max_batch, .entries = std::move(entries)});
  }

  mlir::MLIRContext context;
  Checkpoint checkpoint;
  reference::WeightProvider weights;
};

} // namespace linnet::testing
