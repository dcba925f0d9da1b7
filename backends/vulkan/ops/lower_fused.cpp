// Fused regions: instantiates the formulas of backends/common/scalar.h with a builder of SPIR-V.
#include "backends/common/scalar.h"
#include "backends/vulkan/lowering.h"
#include "backends/vulkan/scalar_math.h"

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

struct FusedMath : ScalarMath {
  Value cast(Value x, mlir::Type, mlir::Type to) {
    const Type type = *elementType(to);
    return isFloat(type) ? e.roundTo(real(x), type) : e.toInteger(x, type == Type::i8 ? 8 : 32);
  }
};

} // namespace

Result<void> Lowering::lowerThis(FusedOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  if (made.operands.size() > kMaxOperands)
    return errorAt(op, "target vulkan takes at most {} operands, found {}", kMaxOperands,
                   made.operands.size());
  VulkanElementwiseSpec spec{made.spec};
  Call call{op};
  LINNET_TRY(bind(call, made.operands));
  spec.body = [op, types = spec.out](Emitter &e, const std::vector<Value> &in, std::vector<Value> &out) {
    FusedMath builder{{e}};
    out = emitRegion(op, builder, std::span<const Value>(in));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = isFloat(types[i]) ? builder.real(out[i]) : e.toInteger(out[i], types[i] == Type::i8 ? 8 : 32);
  };
  // Operands of the whole shape may exceed one binding. They are then split; units are elements of a result.
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
