// Lowering of the ops of training.
#include "backends/vulkan/lowering.h"
#include "backends/vulkan/ops/training.h"

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

bool samePlace(const fb::RefT &x, const fb::RefT &y) {
  return x.space == y.space && x.index == y.index && x.offset == y.offset;
}

} // namespace

Result<void> Lowering::emitUnits(const Call &call, const std::vector<uint32_t> &cut, const Extent &units,
                                 const Extent &unit, uint32_t per,
                                 const std::function<Kernel(const Operands &where, bool in_parts)> &make) {
  return emitAloneOrShared(call, [&](bool alone) {
    const Operands where = Lowering::where(call, {}, alone);
    bool in_parts = where.bind.empty() && unit.isStatic();
    for (uint32_t operand : cut) in_parts &= !(where.inside >> operand & 1);
    const uint64_t bytes = 4 * uint64_t(unit.factor);
    return Choice{.kernel = make(where, in_parts),
                  .groups = {{units, per}},
                  .parts = {{in_parts ? cut : std::vector<uint32_t>(), units, bytes, 0}},
                  .where = where};
  });
}

Result<void> Lowering::lowerThis(CrossEntropyOp op) {
  using Operand = CrossEntropySpec::Operand;
  LINNET_ASSIGN(const auto made, specOf(op));
  const RowSpec &logits = made.spec.logits;
  return emitUnits(op, made, crossEntropyKernel, {Operand::logits}, logits.rows, logits.columns, 1);
}

Result<void> Lowering::lowerThis(CrossEntropyGradOp op) {
  using Operand = CrossEntropyGradSpec::Operand;
  LINNET_ASSIGN(const auto made, specOf(op));
  const RowSpec &logits = made.spec.logits;
  return emitUnits(op, made, crossEntropyGradKernel, {Operand::logits, Operand::out}, logits.rows,
                   logits.columns, 1);
}

Result<void> Lowering::lowerThis(DropoutOp op) {
  using Operand = DropoutSpec::Operand;
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitUnits(op, made, dropoutKernel, {Operand::x, Operand::out}, made.spec.elements, 1, kItems);
}

Result<void> Lowering::lowerThis(ScatterAddOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitUnits(op, made, scatterAddKernel, {ScatterAddSpec::Operand::table}, made.spec.table_rows,
                   made.spec.columns, 1);
}

/// Emits two kernels. Working memory between them holds kQueryStatistics numbers for each query.
Result<void> Lowering::lowerThis(AttentionGradOp op) {
  using Operand = AttentionGradSpec::Operand;
  LINNET_ASSIGN(const auto made, specOf(op));
  const AttentionGradSpec &spec = made.spec;
  LINNET_TRY(checkHead(op, spec.head_size));
  const RankedTensorType q = tensorOf(op.getQ());
  const auto bytes = maxBytes(q, entry);
  if (!bytes) return errorAt(op, "the size of {} is unknown: linnet.bounds lacks a dimension", describe(q));
  Call call{op};
  LINNET_TRY(bind(call, made.operands));
  const uint32_t statistics = addWorking(call, *bytes / 4 / spec.head_size * kQueryStatistics);
  call.args[statistics].type = Type::f32;
  auto args = [&](std::initializer_list<Operand> results) {
    std::vector<uint32_t> numbers;
    for (Operand operand : {Operand::q, Operand::k, Operand::v, Operand::gradient})
      numbers.push_back(positionOf(spec, operand));
    numbers.push_back(statistics);
    for (Operand operand : results) numbers.push_back(positionOf(spec, operand));
    if (spec.length) numbers.push_back(positionOf(spec, Operand::length));
    return numbers;
  };
  const std::vector<uint32_t> of_queries = args({Operand::dq}), of_keys = args({Operand::dk, Operand::dv});
  constexpr uint32_t kReadInFours = 4; // q, k, v, gradient
  auto choiceOf = [&](bool alone, bool texels) {
    auto side = [&](Kernel (*make)(const AttentionGradSpec &, const Operands &),
                    const std::vector<uint32_t> &args, const Extent &groups) {
      Operands where = Lowering::where(call, args, alone);
      if (texels) where.texels.assign(kReadInFours, 4);
      return Choice{.kernel = make(spec, where), .groups = {{groups, 1}}, .where = where, .args = args};
    };
    Choice choice = side(attentionQueryGradKernel, of_queries, spec.batch * spec.heads * spec.queries);
    choice.then.push_back(
        side(attentionKeyGradKernel, of_keys, spec.batch * spec.keyHeads() * spec.capacity));
    return choice;
  };
  // The first choice reads rows as texels of four elements. It is for drivers that run on a CPU.
  const uint32_t inside = where(call, of_queries, true).inside & ((1u << kReadInFours) - 1);
  std::vector<Choice> choices;
  if (spec.head_size % 4 == 0 && !inside) choices.push_back(choiceOf(true, true));
  choices.push_back(choiceOf(true, false)); // binds more operands than some devices allow
  choices.push_back(choiceOf(false, false));
  return emit(call, std::move(choices));
}

/// In training programs each result has its operand's memory. In other programs the results are separate operands.
Result<void> Lowering::lowerThis(AdamWOp op) {
  using Operand = AdamWSpec::Operand;
  LINNET_ASSIGN(const auto made, specOf(op));
  Call call{op};
  LINNET_TRY(bind(call, made.operands));
  const uint32_t results = positionOf(made.spec, Operand::new_param);
  constexpr uint32_t kResults = 4; // param, gradient, m, v
  bool in_place = true;
  for (uint32_t i = 0; i < kResults; ++i) in_place &= samePlace(call.args[i].ref, call.args[results + i].ref);
  if (in_place) {
    for (uint32_t i = 0; i < kResults; ++i) call.args[i].written = true;
    call.args.resize(results);
  }
  std::vector<uint32_t> cut; // all operands except lr and the scales, which have one element
  for (uint32_t i = 0; i < call.args.size(); ++i)
    if (i < uint32_t(Operand::lr) || i > uint32_t(Operand::v_scale)) cut.push_back(i);
  return emitUnits(call, cut, made.spec.elements, 1, kItems, [&](const Operands &where, bool in_parts) {
    return adamwKernel(made.spec, where, in_parts, in_place);
  });
}

} // namespace linnet::vulkan
