// Ops that need more than one kernel over all items: attention, embeddings, samples, concatenations.
#include "backends/vulkan/lowering.h"

#include <algorithm>
#include <numeric>

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;

Result<void> Lowering::checkHead(Operation *op, int64_t size) {
  constexpr int64_t kMost = 1024; // two rows of a head are in shared memory
  if (size > kMost) return errorAt(op, "target vulkan takes heads of at most {}, found {}", kMost, size);
  return {};
}

Result<void> Lowering::lowerThis(AttentionOp op) {
  Call call{op};
  LINNET_ASSIGN(const VulkanAttentionSpec spec, attentionOf(op, call));
  std::vector<uint32_t> args(call.args.size());
  std::iota(args.begin(), args.end(), 0);
  std::vector<Choice> choices = attentionChoices(call, spec, args);
  addInParts(call, op, spec, args, choices);
  return emit(call, std::move(choices));
}

Result<VulkanAttentionSpec> Lowering::attentionOf(AttentionOp op, Call &call) {
  LINNET_ASSIGN(const auto made, specOf(op));
  if (made.spec.bf16_rows) return errorAt(op, "target vulkan does not round attention's factors (bf16_rows)");
  LINNET_TRY(checkHead(op, made.spec.head_size));
  LINNET_TRY(bind(call, made.operands));
  return VulkanAttentionSpec{made.spec};
}

/// `args` are the positions of the kernel's operands among the call's.
std::vector<Choice> Lowering::attentionChoices(const Call &call, VulkanAttentionSpec spec,
                                               const std::vector<uint32_t> &args) {
  const std::vector<Axis> queries = {{spec.rows(), 1}};
  std::vector<Choice> choices;
  const Operands plain = where(call, args);
  // Operands that kernels may read four elements at a time, and the words of a texel of each.
  using Operand = AttentionSpec::Operand;
  const uint8_t words = texelWords(spec.cache);
  std::vector<std::pair<uint32_t, uint8_t>> read_in_fours = {{positionOf(spec, Operand::q), 4},
                                                             {positionOf(spec, Operand::k), words},
                                                             {positionOf(spec, Operand::v), words}};
  const auto fours = [](const Extent &extent) { return extent.isStatic() && extent.factor % 4 == 0; };
  bool in_fours =
      fours(spec.head_size) && fours(spec.q_stride) && spec.head_size <= 128 && spec.type == Type::f32;
  if (spec.append) {
    read_in_fours.insert(read_in_fours.end(), {{spec.newKey(), 4}, {spec.newValue(), 4}});
    in_fours &= fours(spec.key_stride) && fours(spec.value_stride);
  }
  std::vector<uint8_t> texels;
  for (const auto &[operand, words] : read_in_fours) {
    in_fours &= !(plain.inside >> operand & 1);
    texels.resize(operand + 1);
    texels[operand] = words;
  }
  if (in_fours) {
    spec.where = {.inside = plain.inside, .texels = texels};
    choices.push_back(
        {.kernel = subgroupAttentionKernel(spec), .groups = queries, .where = spec.where, .args = args});
    spec.where = plain;
    if (!spec.append)
      choices.push_back({.kernel = tiledAttentionKernel(spec),
                         .groups = {{spec.queries, kAttentionTile}, {spec.batch * spec.heads, 1}},
                         .amount = spec.queries,
                         .least = kAttentionTile / 2,
                         .where = plain,
                         .args = args});
  }
  auto add = [&](const Operands &where) {
    spec.where = where;
    choices.push_back({.kernel = attentionKernel(spec), .groups = queries, .where = where, .args = args});
  };
  if (spec.append) add(where(call, args, true)); // binds more operands than some devices allow
  add(plain);
  return choices;
}

/// Inserts a choice for GPUs after the choices for CPUs: several workgroups share the keys of each query. It applies if
/// heads and queries are too few to fill a GPU. The tiled kernel handles more queries.
void Lowering::addInParts(Call &call, AttentionOp op, VulkanAttentionSpec spec, std::vector<uint32_t> args,
                          std::vector<Choice> &choices) {
  const auto cache = tensorOf(op.getK());
  const int64_t heads = tensorOf(op.getQ()).getDimSize(2), queries = spec.append ? 1 : kAttentionTile / 2 - 1;
  const auto room = cache.isDynamicDim(2) ? boundOf(entry, dimName(cache, 2)) : cache.getDimSize(2);
  if (!spec.past || !room || cache.isDynamicDim(1)) return;
  const auto parts = std::min((kFillingGroups + heads - 1) / heads, (*room - 1) / kLeastKeysOfPart + 1);
  if (parts < 2) return;
  const uint32_t past = args[positionOf(spec, AttentionSpec::Operand::past)];
  // the number of sequences at the bounds
  const auto batch = int64_t(call.args[past].ref.size / sizeOf(Type::i32));
  const int64_t items = batch * heads * queries;
  spec.parts = uint32_t(parts);
  args.push_back(addWorking(call, items * parts * spec.wordsOfPart()));
  args.push_back(addCounters(call, items));
  spec.where = where(call, args, true);
  auto behind = std::ranges::find_if(
      choices, [](const Choice &choice) { return !std::ranges::count(choice.kernel.features, "cpu"); });
  choices.insert(behind, {.kernel = attentionKernel(spec),
                          .groups = {{spec.rows(), 1}, {parts, 1}},
                          .amount = spec.queries,
                          .most = queries,
                          .where = spec.where,
                          .args = args});
}

bool Lowering::readsRowsOf(PanelAttr panel, Type type) const {
  return panel.getTransposed() && panel.getInterleave() == (type == Type::i4 ? 2 : 1);
}

Result<void> Lowering::lowerThis(EmbedOp op) {
  Call call{op};
  LINNET_ASSIGN(auto lookup, embedOf(op, call));
  auto &[spec, parts] = lookup;
  spec.where = where(call);
  return emit(call, {Choice{embedKernel(spec), {{spec.elements(), kItems}}, {parts}}});
}

Result<std::pair<VulkanEmbedSpec, Parts>> Lowering::embedOf(EmbedOp op, Call &call) {
  LINNET_ASSIGN(const auto made, specOf(op));
  LINNET_TRY(bind(call, made.operands));
  const VulkanEmbedSpec spec{made.spec};
  const uint32_t table = positionOf(made.spec, EmbedSpec::Operand::table);
  call.in_parts = table;
  const uint64_t bits = spec.table == Type::i4 ? 4 : 8 * uint64_t(sizeOf(spec.table));
  Parts parts{{}, spec.rows, uint64_t(spec.columns.factor) * bits / 8};
  if (spec.panel) {
    const PanelSpec panel = spec.panelSpec();
    parts = {{}, panel.count(), uint64_t(panel.panelElements()) * bits / 8};
  }
  if (spec.columns.isStatic()) parts.operands = {table};
  return std::pair(spec, parts);
}

Result<void> Lowering::lowerThis(SampleOp op) {
  const RankedTensorType logits = tensorOf(op.getLogits());
  if (logits.isDynamicDim(1) || logits.getDimSize(1) > kMostSampled)
    return errorAt(op, "target vulkan samples from a static number of logits up to {}, found {}",
                   kMostSampled, describe(logits));
  SampleSpec spec{dimOf(op.getLogits(), 0), dimOf(op.getLogits(), 1)};
  LINNET_ASSIGN(spec.type, typeOf(op, op.getLogits()));
  Call call{op};
  for (mlir::Value operand : op->getOperands()) LINNET_TRY(read(call, operand));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, sampleKernel(spec), spec.rows, 1);
}

/// Emits a command for each operand.
Result<void> Lowering::lowerThis(ConcatOp op) {
  LINNET_ASSIGN(const auto copies, specsOf(op));
  for (const auto &made : copies) LINNET_TRY(emitKernel(op, made));
  return {};
}

} // namespace linnet::vulkan
