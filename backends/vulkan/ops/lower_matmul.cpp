#include "backends/vulkan/lowering.h"
#include "backends/vulkan/ops/matmul/half_tile.h"

#include <algorithm>
#include <numeric>

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

bool panelFits(PanelAttr panel, Type type) {
  return panel.getInterleave() == (type == Type::i4 ? 2 : 1) && panel.getNBlock() == 64 &&
         panel.getKBlock() == 16;
}

/// Variants of the packed matmul, best first. The last one runs on every device. Drivers that run on a CPU gain nothing
/// from shared memory, and implement a barrier as a switch between fibres. A GPU has more invocations than a row has
/// columns, so other variants split k.
const std::vector<RankedMatmul> kVariants = {
    {{.kind = MatmulVariant::direct, .rows = 1, .subgroup = 8}, 0, 1},
    {{.kind = MatmulVariant::direct, .rows = 4, .subgroup = 8}, 2, 7},
    {{.kind = MatmulVariant::direct, .rows = 8, .subgroup = 8}, 8, 15},
    {{.kind = MatmulVariant::direct, .rows = 16, .subgroup = 8}, 16},
    {{.kind = MatmulVariant::direct, .rows = 1, .split = 8}, 0, 1},
    {{.kind = MatmulVariant::direct, .rows = 4, .split = 8}, 2, 8},
    {{.kind = MatmulVariant::tiled, .rows = 64}},
};

/// Variants for few rows on GPUs, which come before kVariants.
constexpr int64_t kMostRowsOfLanes = 8;
constexpr RankedMatmul kLanes[] = {
    {{.kind = MatmulVariant::lanes, .rows = 1, .slices = 4}, 0, 1},
    {{.kind = MatmulVariant::lanes, .rows = 4, .slices = 4}, 2, kMostRowsOfLanes},
};

/// The operands of the variants for CPUs. Each has its own binding. Operands that are read four elements at a time are
/// texels.
Operands texelsOf(const PackedMatmulSpec &spec) {
  Operands where{.inside = spec.where.inside};
  const bool fours = spec.a_stride % 4 == 0 && !(where.inside & 1);
  where.texels = {uint8_t(fours ? 4 : 0), 0, texelWords(spec.w.type)};
  if (spec.scaled) where.texels.push_back(4);
  if (spec.norm) {
    where.texels.resize(3u + spec.scaled + spec.bias + spec.residual);
    where.texels.insert(where.texels.end(), 2, texelWords(spec.norm->type));
  }
  return where;
}

/// The number of workgroups along k. It is above 1 if columns are too few to fill a GPU. Each workgroup has at least
/// kLeastDepth rows, because its result passes through memory.
uint32_t piecesOf(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  constexpr int64_t kLeastDepth = 1024;
  if (spec.argmax || variant.kind != MatmulVariant::lanes) return 1;
  const int64_t groups = spec.w.count() * variant.slices;
  return uint32_t(
      std::max<int64_t>(std::min((kFillingGroups + groups - 1) / groups, spec.w.k / kLeastDepth), 1));
}

} // namespace

/// Matrices with at most this many panels are split into slices. 64 workgroups of 128 invocations are half of what the
/// largest GPUs run at once.
constexpr int64_t kFewPanels = 64;

/// f16 activations have 11 bits. The relative error of a product is at most 2^-12, that of a sum is less.
constexpr float kHalfTolerance = 2e-3f;
/// Sums of eight products are in f16, too. Their error is 2e-3 of a row's largest element if a driver truncates instead
/// of rounding.
constexpr float kHalfSumTolerance = 5e-3f;

const std::vector<RankedMatmul> kSelfReadingVariants = {
    {{.kind = MatmulVariant::direct, .rows = 1, .subgroup = 8}, 0, 1},
    {{.kind = MatmulVariant::direct, .rows = 4, .subgroup = 8}, 2, 7},
    {{.kind = MatmulVariant::direct, .rows = 1, .split = 8}, 0, 1},
    {{.kind = MatmulVariant::direct, .rows = 4, .split = 8}, 2, 8},
};

Result<void> Lowering::lowerThis(MatmulOp op) {
  if (panelOf(tensorOf(op.getRhs()))) return lowerPackedMatmul(op);
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitPlainMatmul(op, made);
}

/// Lowers (M, K) times a weight in panels, for any M. The leading dimensions of lhs are rows, too.
Result<void> Lowering::lowerPackedMatmul(MatmulOp op) {
  Call call{op};
  LINNET_ASSIGN(const PackedMatmulSpec spec, packedMatmulOf(op, call));
  std::vector<RankedMatmul> variants = kVariants;
  // f16 keeps 11 bits of each activation. Weights with more bits do not use it. Direct variants handle up to 8 rows.
  if (spec.w.type != Type::f32 && spec.w.k % 4 == 0)
    for (const auto &[m, n, k, subgroup] : options.matrices)
      variants.insert(variants.end() - 1,
                      {{.kind = MatmulVariant::matrix, .rows = 64, .shape = {m, n, k, subgroup}}, 9});
  // f16 cannot represent all bf16 numbers
  const bool narrow = spec.w.type != Type::f32 && spec.w.type != Type::bf16;
  if (narrow && spec.w.k % 4 == 0 && spec.group % HalfTile::kDepth == 0)
    variants.insert(variants.end() - 1, {{.kind = MatmulVariant::half, .rows = HalfTile::kRows}, 9});
  return emit(call, packedMatmulChoices(call, spec, {}, variants));
}

Result<PackedMatmulSpec> Lowering::packedMatmulOf(MatmulOp op, Call &call) {
  const RankedTensorType rhs = tensorOf(op.getRhs());
  const PanelAttr panel = panelOf(rhs);
  if (op.getTransposeLhs()) return errorAt(op, "target vulkan has no packed matmul with transpose_lhs");
  if (op.getInt8Rows()) return errorAt(op, "target vulkan does not round rows to 8 bits (int8_rows)");
  PackedMatmulSpec spec;
  LINNET_ASSIGN(spec.w.type, typeOf(op, op.getRhs()));
  if (!panelFits(panel, spec.w.type))
    return errorAt(
        op, "target vulkan supports panels of 16x64 with interleave 1 (2 for i4), found {}x{}, interleave {}",
        panel.getKBlock(), panel.getNBlock(), panel.getInterleave());
  spec.w.k = rhs.getDimSize(panel.getTransposed() ? 1 : 0);
  spec.w.n = rhs.getDimSize(panel.getTransposed() ? 0 : 1);
  spec.w.k_block = panel.getKBlock(), spec.w.n_block = panel.getNBlock();
  spec.group = int64_t(op.getGroup());
  if (spec.group % 4)
    return errorAt(op, "target vulkan needs groups of a multiple of 4, found {}", spec.group);
  spec.scaled = bool(op.getScale()), spec.bias = bool(op.getBias()), spec.residual = bool(op.getResidual());
  spec.asymmetric = op.getAsymmetric();
  spec.activation = activationOf(op);
  llvm::SmallVector<mlir::Value> floats = {op.getLhs(), op.getResult()};
  if (spec.residual) floats.push_back(op.getResidual());
  LINNET_ASSIGN(const Type type, commonType(op, floats));
  if (type != Type::f32)
    return errorAt(op, "target vulkan supports f32 with packed weights, found {}", nameOf(type));

  call.in_parts = 2;
  LINNET_ASSIGN(const Extent stride, readRows(call, op.getLhs(), spec.w.k));
  spec.a_stride = stride.factor;
  LINNET_TRY(write(call, op.getResult()));
  LINNET_TRY(readPacked(call, op.getRhs()));
  if (spec.scaled) {
    const PanelAttr layout = panelOf(tensorOf(op.getScale()));
    if (!layout || layout.getKBlock() != 1 || layout.getNBlock() != spec.w.n_block)
      return errorAt(op, "target vulkan needs the scale in panels of 1x{}, as the weight's columns lie",
                     spec.w.n_block);
    LINNET_TRY(readPacked(call, op.getScale()));
    if (call.args.back().type != Type::f32)
      return errorAt(op, "target vulkan supports scales in f32, found {}", nameOf(call.args.back().type));
  }
  if (spec.bias) {
    LINNET_TRY(read(call, op.getBias()));
    spec.bias_type = call.args.back().type;
  }
  if (spec.residual) LINNET_TRY(read(call, op.getResidual()));
  spec.m = extentOf(op.getLhs(), 0, tensorOf(op.getLhs()).getRank() - 1);
  return spec;
}

namespace {

Choice packedChoice(const PackedMatmulSpec &spec, const RankedMatmul &ranked,
                    const std::vector<uint32_t> &args) {
  constexpr uint32_t kWeight = 2;
  const MatmulVariant &variant = ranked.variant;
  const uint64_t of_two = spec.w.type == Type::i4 ? 1 : 2 * uint64_t(sizeOf(spec.w.type));
  const Parts parts{{kWeight}, spec.w.count(), uint64_t(spec.w.panelElements()) * of_two / 2, 0};
  Choice choice{.kernel = packedMatmulKernel(spec, variant),
                .groups = {{spec.w.count(), panelsOfGroup(spec, variant)},
                           {spec.m, variant.rows},
                           {variant.slices * variant.pieces, 1}},
                .parts = {parts},
                .amount = spec.m,
                .least = ranked.least,
                .most = ranked.most,
                .where = spec.where,
                .args = args};
  if (variant.kind == MatmulVariant::matrix) choice.tolerance = kHalfTolerance;
  if (variant.kind == MatmulVariant::half) choice.tolerance = kHalfSumTolerance;
  return choice;
}

} // namespace

/// `args` are the positions of the kernel's operands among the call's. Empty means all.
std::vector<Choice> Lowering::packedMatmulChoices(Call &call, PackedMatmulSpec spec,
                                                  const std::vector<uint32_t> &args,
                                                  const std::vector<RankedMatmul> &variants) {
  const Operands plain = where(call, args), alone = where(call, args, true);
  spec.where = plain;
  const Operands texels = texelsOf(spec);
  std::vector<Choice> choices;
  if (!gathering) choices = lanesChoices(call, spec, args); // a group computes its own choices
  auto add = [&](RankedMatmul ranked, const Operands &where) {
    if (ranked.variant.split > 1 && spec.w.count() <= kFewPanels)
      ranked.variant.slices = 4, ranked.variant.split *= 4;
    spec.where = where;
    choices.push_back(packedChoice(spec, ranked, args));
  };
  // A group has more operands than some devices can bind. Separate bindings come first, for devices that can.
  if (!args.empty() && !plain.bind.empty())
    for (const RankedMatmul &ranked : variants) {
      if (!ranked.variant.subgroup) add(ranked, alone);
    }
  for (const RankedMatmul &ranked : variants) add(ranked, ranked.variant.subgroup ? texels : plain);
  // Choices for CPUs come first.
  std::stable_partition(choices.begin(), choices.end(), [](const Choice &choice) {
    return std::ranges::count(choice.kernel.features, "cpu");
  });
  return choices;
}

/// Each operand has its own binding: devices with subgroups allow many bindings.
std::vector<Choice> Lowering::lanesChoices(Call &call, PackedMatmulSpec spec, std::vector<uint32_t> args) {
  if (args.empty()) args.resize(call.args.size()), std::iota(args.begin(), args.end(), 0);
  std::vector<Choice> choices;
  const uint32_t pieces = piecesOf(spec, kLanes[0].variant);
  if (pieces > 1) {
    args.push_back(addWorking(call, spec.w.count() * spec.w.n_block * kMostRowsOfLanes * pieces));
    args.push_back(addCounters(call, spec.w.count() * kLanes[0].variant.slices * kMostRowsOfLanes));
  }
  spec.where = where(call, args, true);
  for (RankedMatmul ranked : kLanes) {
    ranked.variant.pieces = pieces;
    ranked.variant.subgroups = {options.lanes[0], options.lanes[1]};
    choices.push_back(packedChoice(spec, ranked, args));
  }
  return choices;
}

namespace {

struct TiledMatmul {
  Kernel (*kernel)(const VulkanMatmulSpec &);
  MatmulTile tile;
  bool texels = false;
};
const TiledMatmul kTiledMatmuls[] = {{cpuMatmulKernel, kCpuMatmulTile, true},
                                     {tiledMatmulKernel, kTiledMatmulTile}};

/// `alone` describes operands that have separate bindings.
Choice tiledMatmul(const TiledMatmul &how, VulkanMatmulSpec spec, const Operands &alone) {
  using Operand = MatmulSpec::Operand;
  if (how.texels) spec.where = cpuMatmulOperands(spec, alone);
  // If the number of columns is static, the number of workgroups follows from it.
  const uint32_t wide = how.tile.columns;
  const Axis across = spec.n.isStatic() && spec.cut != VulkanMatmulSpec::columns
                          ? Axis{spec.groups * Extent((spec.n.factor + wide - 1) / wide), 1}
                          : Axis{spec.groups * spec.n, wide};
  Choice choice{.kernel = how.kernel(spec), .where = spec.where};
  const Axis down{spec.m, how.tile.rows};
  const auto axis = uint8_t(how.tile.axis);
  choice.groups = {axis ? across : down, axis ? down : across};
  if (spec.cut == VulkanMatmulSpec::columns)
    choice.parts = {{{positionOf(spec, Operand::w)},
                     spec.n,
                     uint64_t(spec.k.factor * sizeOf(spec.w)),
                     uint8_t(1 - axis)}};
  if (spec.cut == VulkanMatmulSpec::rows)
    choice.parts = {{{positionOf(spec, Operand::out), positionOf(spec, Operand::residual)},
                     spec.m,
                     uint64_t(spec.n.factor * sizeOf(spec.type)),
                     axis}};
  return choice;
}

} // namespace

bool Lowering::isLarge(const Extent &rows, const Extent &columns, Type type) const {
  return rows.isStatic() && columns.isStatic() &&
         uint64_t(rows.factor * columns.factor * sizeOf(type)) > options.binding;
}

/// How a matmul is split if its matrix exceeds the binding of some devices. Parts must begin at whole words.
VulkanMatmulSpec::Cut Lowering::cutOf(const Call &call, const MatmulSpec &spec) const {
  using Operand = MatmulSpec::Operand;
  const uint32_t inside = where(call, {}, true).inside;
  auto beginsInside = [&](Operand operand) { return inside >> positionOf(spec, operand) & 1; };
  if (!spec.shared_w || spec.groups != Extent(1)) return VulkanMatmulSpec::whole;
  if (spec.transpose_w && !spec.transpose_a && isLarge(spec.n, spec.k, spec.w) && !beginsInside(Operand::w) &&
      spec.k.factor * sizeOf(spec.w) % 4 == 0)
    return VulkanMatmulSpec::columns;
  if (spec.transpose_a && spec.residual && !spec.bias && isLarge(spec.m, spec.n, spec.type) &&
      !beginsInside(Operand::out) && !beginsInside(Operand::residual) &&
      spec.n.factor * sizeOf(spec.type) % 4 == 0)
    return VulkanMatmulSpec::rows;
  if (!spec.transpose_w && !spec.transpose_a && !spec.bias && spec.activation == Activation::none &&
      isLarge(spec.k, spec.n, spec.w) && !beginsInside(Operand::w))
    return VulkanMatmulSpec::depth;
  return VulkanMatmulSpec::whole;
}

Result<void> Lowering::emitPlainMatmul(Operation *op, const Described<MatmulSpec> &made) {
  Call call{op};
  LINNET_TRY(bind(call, made.operands));
  VulkanMatmulSpec spec{made.spec};
  const Operands alone = where(call, {}, true);
  spec.where = where(call);
  if (spec.scaled || !isFloat(spec.w)) return emit(call, matmulKernel(spec), spec.elements());
  const VulkanMatmulSpec::Cut cut = cutOf(call, spec);
  if (cut == VulkanMatmulSpec::columns || cut == VulkanMatmulSpec::rows) {
    spec.cut = cut;
    spec.where = alone;
  }
  std::vector<Choice> choices;
  for (const TiledMatmul &how : kTiledMatmuls) choices.push_back(tiledMatmul(how, spec, alone));
  if (cut == VulkanMatmulSpec::depth)
    for (Choice &choice : inDepth(call, spec)) choices.push_back(std::move(choice));
  return emit(call, std::move(choices));
}

/// For devices that cannot bind w at once. Multiplies by some rows of w at a time and adds each product to the previous
/// sum.
std::vector<Choice> Lowering::inDepth(Call &call, VulkanMatmulSpec spec) {
  using Operand = MatmulSpec::Operand;
  constexpr int64_t kMultiple = 128, kMostPieces = 8; // rows: kMultiple of them are a multiple of 256 bytes
  const int64_t row_bytes = spec.n.factor * sizeOf(spec.w), depth = spec.k.factor;
  const int64_t most = int64_t(options.binding) / row_bytes / kMultiple * kMultiple;
  if (most == 0 || depth > most * kMostPieces) return {};
  const uint32_t a = positionOf(spec, Operand::a), w = positionOf(spec, Operand::w);
  const uint32_t out = positionOf(spec, Operand::out), residual = positionOf(spec, Operand::residual);
  const bool adds = spec.residual;
  spec.cut = VulkanMatmulSpec::depth, spec.depth_all = depth;
  std::vector<Choice> choices(std::size(kTiledMatmuls));
  for (int64_t first = 0; first < depth; first += most) {
    const int64_t rows = std::min(most, depth - first);
    Arg piece = call.args[w];
    piece.ref.offset += uint64_t(first * row_bytes), piece.ref.size = uint64_t(rows * row_bytes);
    std::vector<uint32_t> args = {a, uint32_t(call.args.size()), out};
    call.args.push_back(piece);
    spec.depth_first = first, spec.k = rows;
    spec.residual = first || adds;
    if (spec.residual) args.push_back(first ? out : residual);
    spec.where = where(call, args, true);
    for (size_t i = 0; i < choices.size(); ++i) {
      Choice step = tiledMatmul(kTiledMatmuls[i], spec, spec.where);
      step.args = args;
      if (first)
        choices[i].then.push_back(std::move(step));
      else
        choices[i] = std::move(step);
    }
  }
  return choices;
}

} // namespace linnet::vulkan
