// Fused regions: instantiates the formulas of backends/common/scalar.h with a builder of LLVM vectors.
#include "backends/common/scalar.h"
#include "backends/cpu/lowering.h"
#include "backends/cpu/vector_math.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {

struct FusedMath : VectorMath {
  Value cast(Value x, mlir::Type, mlir::Type to) { return e.convert(x, *elementType(to)); }
};

} // namespace

Result<void> Lowering::lowerThis(FusedOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  CpuElementwiseSpec spec{made.spec};
  spec.body = [op, types = spec.out](Emitter &e, const std::vector<llvm::Value *> &in) {
    FusedMath builder{{e}};
    std::vector<llvm::Value *> results = emitRegion(op, builder, std::span<llvm::Value *const>(in));
    for (size_t i = 0; i < results.size(); ++i)
      if (!isFloat(types[i])) results[i] = e.convert(results[i], types[i]);
    return results;
  };
  constexpr uint32_t kGrain = 2048;
  const Extent items = extentOf(op.getResults().front());
  const bool itemwise =
      made.operands.size() == 2 && !spec.reduce && extentOf(op.getInputs().front()) == items;
  return emitKernel(op, made, {elementwiseKernel(spec), {items, spec.reduce ? 1 : kGrain, itemwise}});
}

} // namespace linnet::cpu
