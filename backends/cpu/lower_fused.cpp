// Fused regions: backends/common/scalar.h says what each op computes, the builder here says it in LLVM's
// vectors.
#include "backends/common/fused.h"
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
  Value cast(Value x, mlir::Type, mlir::Type to) {
    if (to.isInteger(32)) return e.convert(x, Type::i32);
    if (to.isInteger(8)) return e.convert(x, Type::i8);
    return e.convert(x, to.isF16() ? Type::f16 : to.isBF16() ? Type::bf16 : Type::f32);
  }
};

} // namespace

Result<void> Lowering::lowerFused(FusedOp op) {
  ElementwiseSpec spec;
  spec.name = backend::nameOfRegion(op);
  const mlir::Value first = op.getResults().front();
  const backend::RegionShape shape = backend::shapeOfRegion(op);
  const size_t inputs = op.getInputs().size();
  if (inputs > 31 || shape.type.getRank() > 31)
    return errorAt(op, "target cpu takes at most 31 inputs and dimensions");
  spec.broadcast.assign(inputs, 0);
  spec.gaps.resize(inputs);
  std::vector<fb::RefT> args;
  std::vector<Operand> operands;
  for (mlir::Value input : op.getInputs()) {
    LINNET_ASSIGN(const Type type, typeOf(op, input));
    LINNET_ASSIGN(const Operand operand, rows(op, input));
    spec.in.push_back(type);
    operands.push_back(operand);
    args.push_back(operand.ref);
  }
  for (mlir::Value result : op.getResults()) {
    LINNET_ASSIGN(const Type type, typeOf(op, result));
    LINNET_ASSIGN(const fb::RefT ref, dense(op, result));
    spec.out.push_back(type);
    args.push_back(ref);
  }

  backend::MergedShape merged = dimensionsOf(op, shape);
  // Rows with gaps: the trailing dimensions that make up one stay together, apart from the others.
  std::vector<size_t> row_begins(inputs, 0);
  for (size_t i = 0; i < inputs; ++i) {
    if (operands[i].dense) continue;
    int64_t row = 1;
    size_t d = merged.extents.size();
    while (d > 0 && row < operands[i].row && merged.extents[d - 1].isStatic() &&
           !(merged.flags[d - 1] >> i & 1))
      row *= merged.extents[--d].factor;
    if (row != operands[i].row) return errorAt(op, "input {} has gaps inside the rows it is read by", i);
    if (d < merged.border.size()) merged.border[d] = true;
    row_begins[i] = d;
  }
  spec.shape = merged.merge(spec.broadcast);
  for (size_t i = 0; i < inputs; ++i) {
    if (operands[i].dense) continue;
    size_t dims = 0; // groups behind the border
    for (size_t d = row_begins[i]; d < merged.extents.size(); ++d)
      dims += d == row_begins[i] || merged.flags[d] != merged.flags[d - 1] || merged.border[d];
    spec.gaps[i] = {dims, operands[i].stride};
  }

  spec.body = [op, types = spec.out](Emitter &e, const std::vector<llvm::Value *> &in) {
    VectorBuilder builder{e};
    std::vector<llvm::Value *> results = emitRegion(op, builder, std::span<llvm::Value *const>(in));
    for (size_t i = 0; i < results.size(); ++i)
      if (!isFloat(types[i])) results[i] = e.convert(results[i], types[i]);
    return results;
  };
  if (shape.reduces) spec.reduce = static_cast<Reduction>(*op.getReduce());
  Call call{elementwiseKernel(spec), args, extentOf(first), shape.reduces ? 1u : 2048u};
  call.itemwise =
      args.size() == 2 && !shape.reduces && operands[0].dense && extentOf(op.getInputs()[0]) == call.work;
  return emit(op, std::move(call));
}

} // namespace linnet::cpu
