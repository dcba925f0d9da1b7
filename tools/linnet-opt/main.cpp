// linnet-opt: mlir-opt with the linnet dialect and passes.
#include "ir/Linnet.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<linnet::ir::LinnetDialect, mlir::func::FuncDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  mlir::registerSymbolDCEPass();
  mlir::registerStripDebugInfoPass();
  linnet::registerPasses();
  return mlir::failed(mlir::MlirOptMain(argc, argv, "Linnet's pass laboratory\n", registry));
}
