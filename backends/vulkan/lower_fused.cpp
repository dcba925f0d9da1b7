// Fused regions: backends/common/scalar.h says what each op computes, the builder here says it in SPIR-V.
#include "backends/common/scalar.h"
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/lowering.h"

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

/// scalar.h's builder. Floats of every width are f32, integers i32.
struct ScalarBuilder {
  using Value = spirv::Value;
  Emitter &e;

  Value constant(double value) { return e.f(value); }
  Value real(Value x) { return e.b.convert(x, Builder::f32()); }
  Value add(Value x, Value y) { return e.b.add(real(x), real(y)); }
  Value sub(Value x, Value y) { return e.b.sub(real(x), real(y)); }
  Value mul(Value x, Value y) { return e.b.mul(real(x), real(y)); }
  Value div(Value x, Value y) { return e.b.div(real(x), real(y)); }
  Value max(Value x, Value y) { return e.maximum(real(x), real(y)); }
  Value min(Value x, Value y) { return e.minimum(real(x), real(y)); }
  Value neg(Value x) { return e.b.neg(real(x)); }
  Value exp(Value x) { return e.exp(x); }
  Value log(Value x) { return e.log(x); }
  Value tanh(Value x) { return e.tanh(x); }
  Value erf(Value x) { return e.erf(x); }
  Value sqrt(Value x) { return e.b.sqrt(x); }
  Value cast(Value x, mlir::Type, mlir::Type to) {
    const Type type = *elementType(to);
    return isFloat(type) ? e.roundTo(real(x), type) : e.toInteger(x, type == Type::i8 ? 8 : 32);
  }
};

} // namespace

Result<void> Lowering::lowerFused(FusedOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  VulkanElementwiseSpec spec{made.spec};
  Call call{op};
  LINNET_TRY(bind(call, made.operands));
  spec.body = [op, types = spec.out](Emitter &e, const std::vector<Value> &in, std::vector<Value> &out) {
    ScalarBuilder builder{e};
    out = emitRegion(op, builder, std::span<const Value>(in));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = isFloat(types[i]) ? builder.real(out[i]) : e.toInteger(out[i], types[i] == Type::i8 ? 8 : 32);
  };
  // Where operands of the whole shape are more than some devices bind: units are what a result has.
  std::vector<uint32_t> cut;
  const auto inputs = uint32_t(spec.in.size());
  for (uint32_t i = 0; i < inputs; ++i)
    if (!spec.broadcast[i]) cut.push_back(i);
  for (uint32_t i = 0; i < spec.out.size() && !spec.reduce; ++i) cut.push_back(inputs + i);
  const Extent units = extentOf(op.getResults().front()), unit = spec.reduce ? spec.shape.back() : Extent(1);
  const bool large = !cut.empty() && isLarge(units, unit, Type::f32);
  return emitAloneOrShared(call, [&](bool alone) {
    spec.where = where(call, {}, alone);
    spec.in_parts = large && spec.where.bind.empty();
    for (uint32_t i : cut) spec.in_parts &= call.args[i].type == Type::f32 && !(spec.where.inside >> i & 1);
    Choice choice{.kernel = elementwiseKernel(spec),
                  .groups = {{units, spec.reduce ? 1 : kItems}},
                  .where = spec.where};
    if (spec.in_parts) choice.parts = {{cut, units, 4 * uint64_t(unit.factor), 0}};
    return choice;
  });
}

} // namespace linnet::vulkan
