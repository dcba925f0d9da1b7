#include "frontend/model/sampler.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace linnet {

void addSampleEntry(ModuleOp module, int64_t vocab_size, int64_t max_batch) {
  MLIRContext *context = module.getContext();
  ImplicitLocOpBuilder b(NameLoc::get(StringAttr::get(context, "sample")), context);
  b.setInsertionPointToEnd(module.getBody());
  const ir::Dim batch{ShapedType::kDynamic, b.getStringAttr("batch")};
  const Type f32 = b.getF32Type(), i32 = b.getI32Type();
  const Type floats = ir::makeType(ArrayRef<ir::Dim>{batch}, f32),
             ints = ir::makeType(ArrayRef<ir::Dim>{batch}, i32);
  const std::pair<const char *, Type> arguments[] = {
      {"logits", ir::makeType(ArrayRef<ir::Dim>{batch, ir::Dim{vocab_size, {}}}, f32)},
      {"temperature", floats},
      {"top_k", ints},
      {"top_p", floats},
      {"seed", RankedTensorType::get({2}, i32)},
      {"position", ints},
      {"copy", ints}};
  SmallVector<Type> types;
  for (auto &[name, type] : arguments) types.push_back(type);
  auto function = b.create<func::FuncOp>("sample", b.getFunctionType(types, {ints}));
  function->setAttr("linnet.bounds",
                    b.getDictionaryAttr({b.getNamedAttr("batch", b.getI64IntegerAttr(max_batch))}));
  for (auto [i, argument] : llvm::enumerate(arguments))
    function.setArgAttr(static_cast<unsigned>(i), "linnet.name", b.getStringAttr(argument.first));
  function.setResultAttr(0, "linnet.name", b.getStringAttr("token"));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToEnd(body);
  auto x = body->getArguments();
  b.create<func::ReturnOp>(
      ValueRange(b.create<ir::SampleOp>(x[0], x[1], x[2], x[3], x[4], x[5], x[6]).getResult()));
}

} // namespace linnet
