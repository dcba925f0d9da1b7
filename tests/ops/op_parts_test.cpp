// What an op consists of. A part that an op lacks is named here: "linnet.softmax has no ...". The reasons below are the
// only exceptions. docs/adding-an-op.md walks through the parts.
#include "backends/cpu/backend.h"
#include "backends/reference/interpreter.h"
#include "backends/vulkan/backend.h"
#include "ir/Gradients.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "passes/Passes.h"
#include "support/error.h"
#include "support/file.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/ops/each_op.h"
#include "tests/reference/provided_weights.h"
#include "tests/targets.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"

#include <set>

using namespace linnet;
using namespace linnet::testing;

namespace {

using Names = std::set<std::string>;

/// Ops that lack a part for a reason.
struct Reason {
  const char *part, *why;
  Names ops;
};
const std::vector<Reason> kReasons = {
    {"gradient", "its result is of integers", {"argmax", "positions", "sample", "quantize"}},
    {"gradient", "weights alone, before training", {"quantize_scale", "relayout"}},
    {"gradient", "it has no operands", {"constant", "param", "rotary_table"}},
    {"gradient", "the pipeline differentiates before it fuses", {"fused", "yield"}},
    {"gradient", "training has no cache and masks inside attention", {"cache_append", "mask"}},
    {"gradient",
     "a step of training, which is not differentiated again",
     {"adamw", "attention_grad", "contract", "cross_entropy_grad", "layer_norm_grad", "pool_grad",
      "scatter_add", "sum_rows"}},
    {"cost",
     "it moves data",
     {"cache_append", "concat", "constant", "embed", "mask", "param", "pool_grad", "positions", "relayout",
      "reshape", "slice", "transpose", "yield"}},
    {"cost", "weights alone, at compile time", {"quantize", "quantize_scale", "rotary_table"}},
    {"verifier of results", "any type is right", {"param"}},
    {"cpu", "the session draws tokens there", {"sample"}},
};

std::string reasonFor(const std::string &op, const std::string &part) {
  for (const Reason &reason : kReasons)
    if (part == reason.part && reason.ops.contains(op)) return reason.why;
  return "";
}

/// "linnet.NAME has no PART" for each part that is missing, "... has a PART, and a reason to have none" for reasons
/// that no longer hold.
class Missing {
public:
  void check(const std::string &op, const std::string &part, bool has) {
    const bool excused = !reasonFor(op, part).empty();
    if (!has && !excused) texts.push_back("linnet." + op + " has no " + part);
    if (has && excused) texts.push_back("linnet." + op + " has a " + part + ", and a reason to have none");
  }
  void expectNone() const {
    std::string all;
    for (const std::string &text : texts) all += text + "\n";
    CHECK(all == "");
  }

private:
  std::vector<std::string> texts;
};

class NoBlobs : public BlobSink {
public:
  Result<void> begin() override { return {}; }
  Result<void> append(std::span<const std::byte>) override { return {}; }
  Result<fb::BlobT> end() override { return fb::BlobT(); }
};

std::string nameOf(mlir::Operation *op) { return op->getName().stripDialect().str(); }

/// Calls f(case, op) for each op of the dialect in the file.
template <class F> void forEachOp(std::vector<OpCase> &cases, F f) {
  for (OpCase &one : cases)
    one.module->walk([&](mlir::Operation *op) {
      if (llvm::isa<ir::LinnetDialect>(op->getDialect())) f(one, op);
    });
}

Names registeredOps(mlir::MLIRContext &context) {
  Names names;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations())
    if (name.getDialectNamespace() == "linnet") names.insert(name.stripDialect().str());
  return names;
}

bool verifies(mlir::Operation *op) {
  mlir::ScopedDiagnosticHandler quiet(op->getContext(), [](mlir::Diagnostic &) { return mlir::success(); });
  return mlir::succeeded(mlir::verify(op, false));
}

/// A type that no op of the file has room for: 7 dimensions.
mlir::RankedTensorType strange(mlir::Type type) {
  return mlir::RankedTensorType::get({9, 8, 7, 6, 5, 4, 3},
                                     llvm::cast<mlir::RankedTensorType>(type).getElementType());
}

reference::WeightProvider weightsOf(mlir::ModuleOp module) {
  return [module](std::string_view name) mutable -> Result<reference::Tensor> {
    std::optional<reference::Tensor> found;
    module.walk([&](ir::ParamOp param) {
      if (param.getName() != llvm::StringRef(name.data(), name.size())) return;
      const auto shape = ir::tensor(param.getResult()).getShape();
      found = reference::Tensor::zeros(reference::Kind::f32, {shape.begin(), shape.end()});
      for (int64_t i = 0; i < found->size(); ++i) found->data()[i] = 0.25f + 0.01f * float(i % 17);
    });
    if (!found) return errorf("no weight {}", name);
    return *found;
  };
}

/// How lowering a copy of the module for `backend` ends.
Result<void> lowers(mlir::ModuleOp module, const Backend &backend) {
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  PipelineSpec spec;
  spec.target = backend.description().name;
  LINNET_TRY(buildPipeline(manager, spec));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  ProvidedWeights source(*planned, weightsOf(module));
  NoBlobs blobs;
  auto program =
      backend.lower(*planned, source, blobs, {.argument = backend.localArgument(), .listener = {}});
  if (!program) return program.error();
  return {};
}

} // namespace

TEST_CASE("each op of the dialect is in each_op.mlir and in docs/ir.md", "[parts]") {
  mlir::MLIRContext context;
  std::vector<OpCase> cases = opCases(context);
  Names shown;
  forEachOp(cases, [&](OpCase &, mlir::Operation *op) { shown.insert(nameOf(op)); });
  auto page = readTextFile(sourceFolder() + "/docs/ir.md");
  REQUIRE(page);
  Missing missing;
  for (const std::string &op : registeredOps(context)) {
    missing.check(op, "function in tests/ops/each_op.mlir", shown.contains(op));
    missing.check(op, "section in docs/ir.md", page->find("### `linnet." + op + "`") != std::string::npos);
  }
  missing.expectNone();
}

TEST_CASE("each op has a gradient, or a reason to have none, and a cost", "[parts]") {
  mlir::MLIRContext context;
  std::vector<OpCase> cases = opCases(context);
  std::map<std::string, std::pair<bool, bool>> parts;
  forEachOp(cases, [&](OpCase &, mlir::Operation *op) {
    auto flops = llvm::dyn_cast<ir::FlopsOpInterface>(op);
    parts[nameOf(op)] = {llvm::isa<ir::DifferentiableOpInterface>(op), flops && flops.flops().each > 0};
  });
  Missing missing;
  for (const auto &[op, has] : parts) {
    missing.check(op, "gradient", has.first);
    missing.check(op, "cost", has.second);
  }
  missing.expectNone();
}

TEST_CASE("each op rejects operands and results of another shape", "[parts]") {
  mlir::MLIRContext context;
  std::vector<OpCase> cases = opCases(context);
  Missing missing;
  Names seen;
  forEachOp(cases, [&](OpCase &, mlir::Operation *op) {
    if (!seen.insert(nameOf(op)).second || llvm::isa<ir::YieldOp>(op)) return;
    REQUIRE(verifies(op));
    for (mlir::OpResult result : op->getResults()) {
      if (!llvm::isa<mlir::RankedTensorType>(result.getType())) continue;
      const mlir::Type right = result.getType();
      result.setType(strange(right));
      missing.check(nameOf(op), "verifier of results", !verifies(op));
      result.setType(right);
    }
    mlir::OpBuilder builder(op);
    for (mlir::OpOperand &operand : op->getOpOperands()) {
      if (!llvm::isa<mlir::RankedTensorType>(operand.get().getType())) continue;
      const mlir::Value right = operand.get();
      auto wrong = builder.create<ir::ParamOp>(op->getLoc(), strange(right.getType()), "strange");
      operand.set(wrong);
      missing.check(nameOf(op), "verifier of operand " + std::to_string(operand.getOperandNumber()),
                    !verifies(op));
      operand.set(right);
      wrong.erase();
    }
  });
  missing.expectNone();
}

TEST_CASE("the interpreter knows each op", "[parts]") {
  mlir::MLIRContext context;
  std::vector<OpCase> cases = opCases(context);
  for (OpCase &one : cases) {
    CAPTURE(one.name);
    auto main = one.module->lookupSymbol<mlir::func::FuncOp>("main");
    reference::Named inputs, states;
    for (unsigned i = 0; i < main.getNumArguments(); ++i) {
      auto type = llvm::cast<mlir::RankedTensorType>(main.getArgumentTypes()[i]);
      std::vector<int64_t> shape;
      for (const ir::Dim &dim : ir::shapeOf(type)) shape.push_back(dim.name ? kOpCaseBatch : dim.size);
      auto tensor = reference::Tensor::zeros(
          type.getElementType().isInteger(32) ? reference::Kind::i32 : reference::Kind::f32, shape);
      for (int64_t j = 0; j < tensor.size(); ++j)
        if (tensor.isFloat())
          tensor.data()[j] = 0.5f;
        else
          tensor.ints()[j] = 1;
      inputs.emplace(ir::argName(main, i).str(), std::move(tensor));
    }
    auto outputs = reference::run(*one.module, "main", inputs, states, weightsOf(*one.module));
    CHECK((outputs ? "" : outputs.error().message) == "");
  }
}

TEST_CASE("each backend has a kernel for each op", "[parts]") {
  registerPassesAndTargets();
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(cpu::makeBackend());
  all.push_back(vulkan::makeBackend());
  mlir::MLIRContext context;
  std::vector<OpCase> cases = opCases(context);
  for (const auto &backend : all) {
    const std::string target = backend->description().name;
    for (OpCase &one : cases) {
      CAPTURE(target, one.name);
      auto lowered = lowers(*one.module, *backend);
      if (reasonFor(one.name, target).empty())
        CHECK((lowered ? "" : lowered.error().message) == "");
      else
        CHECK_FALSE(lowered.ok());
    }
  }
}
