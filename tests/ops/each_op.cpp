#include "tests/ops/each_op.h"

#include "ir/Linnet.h"
#include "tests/catch.h"
#include "tests/folders.h"

#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"

namespace linnet::testing {

std::vector<OpCase> opCases(mlir::MLIRContext &context) {
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  const std::string path = sourceFolder() + "/tests/ops/each_op.mlir";
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
  if (!module) FAIL(path << " is not right");
  std::vector<OpCase> cases;
  mlir::Builder builder(&context);
  for (auto function : module->getOps<mlir::func::FuncOp>()) {
    OpCase one{function.getName().str(), mlir::ModuleOp::create(builder.getUnknownLoc())};
    auto main = llvm::cast<mlir::func::FuncOp>(function->clone());
    main.setName("main");
    for (unsigned i = 0; i < main.getNumResults(); ++i)
      main.setResultAttr(i, "linnet.name", builder.getStringAttr("r" + std::to_string(i)));
    one.module->push_back(main);
    one.module->getOperation()->setAttr(
        "linnet.bounds",
        builder.getDictionaryAttr(builder.getNamedAttr("batch", builder.getI64IntegerAttr(kOpCaseBatch))));
    cases.push_back(std::move(one));
  }
  return cases;
}

} // namespace linnet::testing
