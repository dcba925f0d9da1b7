// Fused regions: backends/common/scalar.h says what each op computes, the builder here says it in LLVM's
// vectors.
#include "backends/common/scalar.h"
#include "backends/cpu/emitter.h"
#include "backends/cpu/lowering.h"

#include "llvm/IR/Intrinsics.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {

/// scalar.h's builder. Floats of every width are f32 vectors, integers i32 vectors; constants are single
/// elements until they meet a vector.
struct VectorBuilder {
  using Value = llvm::Value *;
  Emitter &e;

  Value constant(double value) { return e.f32(value); }
  std::pair<Value, Value> level(Value x, Value y) {
    const int lanes = std::max(Emitter::lanesOf(x), Emitter::lanesOf(y));
    return {Emitter::lanesOf(x) == lanes ? x : e.splat(x, lanes),
            Emitter::lanesOf(y) == lanes ? y : e.splat(y, lanes)};
  }
  template <class F> Value binary(Value x, Value y, F f) {
    auto [l, r] = level(x, y);
    return f(l, r);
  }
  Value add(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.b.CreateFAdd(l, r); });
  }
  Value sub(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.b.CreateFSub(l, r); });
  }
  Value mul(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.b.CreateFMul(l, r); });
  }
  Value div(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.b.CreateFDiv(l, r); });
  }
  Value max(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.maximum(l, r); });
  }
  Value min(Value x, Value y) {
    return binary(x, y, [&](Value l, Value r) { return e.minimum(l, r); });
  }
  Value neg(Value x) { return e.b.CreateFNeg(x); }
  Value exp(Value x) { return e.exp(x); }
  Value log(Value x) { return e.log(x); }
  Value tanh(Value x) { return e.tanh(x); }
  Value erf(Value x) { return e.erf(x); }
  Value sqrt(Value x) { return e.sqrt(x); }
  Value cast(Value x, mlir::Type, mlir::Type to) { return e.convert(x, *elementType(to)); }
};

} // namespace

Result<void> Lowering::lowerFused(FusedOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  CpuElementwiseSpec spec{made.spec};
  spec.body = [op, types = spec.out](Emitter &e, const std::vector<llvm::Value *> &in) {
    VectorBuilder builder{e};
    std::vector<llvm::Value *> results = emitRegion(op, builder, std::span<llvm::Value *const>(in));
    for (size_t i = 0; i < results.size(); ++i)
      if (!isFloat(types[i])) results[i] = e.convert(results[i], types[i]);
    return results;
  };
  constexpr uint32_t kGrain = 2048;
  const Extent items = extentOf(op.getResults().front());
  const bool itemwise =
      made.operands.size() == 2 && !spec.reduce && extentOf(op.getInputs().front()) == items;
  return emitKernel(op, made, elementwiseKernel(spec), [&](const auto &) { return items; },
                    {spec.reduce ? 1 : kGrain, itemwise});
}

} // namespace linnet::cpu
