// Lowers groups of ops that linnet-join marked. A group becomes one command. Its first choices are kernels that compute
// the whole group, for small calls. After them come the ops' own kernels, one after another.
#include "backends/vulkan/lowering.h"

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

bool sameMemory(const fb::RefT &a, const fb::RefT &b) {
  return a.space == b.space && a.index == b.index && a.offset == b.offset && a.size == b.size;
}

/// The position of an operand among the group's. Operands of the same memory, type and use share a position.
uint32_t numberOf(std::vector<Arg> &args, const Arg &arg) {
  for (uint32_t i = 0; i < args.size(); ++i)
    if (sameMemory(args[i].ref, arg.ref) && args[i].type == arg.type && args[i].written == arg.written &&
        args[i].working == arg.working)
      return i;
  args.push_back(arg);
  return uint32_t(args.size() - 1);
}

uint32_t number(OperandNumber operand) { return operand.value; }

/// Appends `step` to the kernels of `chain`. At most one of the two may be limited to some sizes.
Choice behind(const Choice *chain, Choice step) {
  if (!chain) return step;
  Choice longer = *chain;
  if (step.least > 0 || step.most < kAnyAmount)
    longer.amount = step.amount, longer.least = step.least, longer.most = step.most;
  std::vector<Choice> rest = std::move(step.then);
  step.then.clear();
  longer.tolerance = std::max(longer.tolerance, step.tolerance);
  longer.name = longer.nameOf() + " + " + step.nameOf();
  longer.then.push_back(std::move(step));
  for (Choice &next : rest) longer.then.push_back(std::move(next));
  return longer;
}

} // namespace

Result<void> Lowering::lowerGroup(const std::vector<Operation *> &ops) {
  Group group;
  gathering = &group.emitted;
  for (Operation *op : ops)
    if (auto done = lowerOp(op); !done) {
      gathering = nullptr;
      return done;
    }
  gathering = nullptr;
  group.call.op = ops.back(), group.call.group = ops;
  std::vector<Choice> apart = oneByOne(group);
  LINNET_ASSIGN(std::vector<Choice> choices, asOne(group, ops));
  for (Choice &choice : apart) choices.push_back(std::move(choice));
  return emit(group.call, std::move(choices));
}

/// All ways to compute the ops one after another, best first. Arena memory that one op writes for the next ops is
/// working memory of the command.
std::vector<Choice> Lowering::oneByOne(Group &group) {
  std::vector<Choice> chains;
  for (size_t i = 0; i < group.emitted.size(); ++i) {
    const Emitted &emitted = group.emitted[i];
    std::vector<uint32_t> &places = group.places.emplace_back();
    for (Arg arg : emitted.call.args) {
      arg.working |= arg.written && i + 1 < group.emitted.size() && arg.ref.space == fb::Space::arena;
      places.push_back(numberOf(group.call.args, arg));
    }
    auto bound = [&](Choice choice) {
      if (!choice.where) choice.where = where(emitted.call);
      std::vector<uint32_t> args;
      for (uint32_t j = 0; j < choice.kernel.operands; ++j)
        args.push_back(places[choice.args.empty() ? j : choice.args[j]]);
      choice.args = std::move(args);
      return choice;
    };
    std::vector<Choice> longer;
    for (size_t c = 0; c < std::max<size_t>(chains.size(), 1); ++c)
      for (const Choice &choice : emitted.choices) {
        Choice step = bound(choice);
        for (Choice &next : step.then) next = bound(next);
        longer.push_back(behind(chains.empty() ? nullptr : &chains[c], std::move(step)));
      }
    chains = std::move(longer);
  }
  return chains;
}

/// Choices of kernels that compute the whole group. Empty if there is no such kernel.
Result<std::vector<Choice>> Lowering::asOne(Group &group, const std::vector<Operation *> &ops) {
  if (group.emitted.size() != ops.size()) return std::vector<Choice>();
  if (llvm::isa<AttentionOp>(ops.back())) return appendAndAttend(group, ops);
  if (llvm::isa<FusedOp>(ops.back())) return embedBoth(group, ops);
  if (llvm::isa<MatmulOp, ArgmaxOp>(ops.back())) return readAndMultiply(group, ops);
  return std::vector<Choice>();
}

/// Operands: {a, out, w, scale?, bias?, residual?, gain?, beta?, length?, token?, parts?, counters?}.
Result<std::vector<Choice>> Lowering::readAndMultiply(Group &group, const std::vector<Operation *> &ops) {
  const bool chooses = llvm::isa<ArgmaxOp>(ops.back());
  const size_t product = ops.size() - 1 - chooses;
  auto matmul = llvm::dyn_cast<MatmulOp>(ops[product]);
  if (!matmul) return std::vector<Choice>();
  Call call{matmul};
  LINNET_ASSIGN(PackedMatmulSpec spec, packedMatmulOf(matmul, call));
  if (spec.a_stride != spec.w.k) return std::vector<Choice>();
  std::vector<uint32_t> args = group.places[product], more;
  args.resize(call.args.size()); // without working memory
  // the residual is the last of the matmul's own operands, if it exists
  const size_t residual = args.size() - 1;
  std::optional<uint32_t> length;
  for (size_t i = product; i-- > 0;) {
    LINNET_ASSIGN(const Type type, typeOf(ops[i], ops[i]->getOperand(0)));
    if (type != Type::f32) return std::vector<Choice>();
    const std::vector<uint32_t> &at = group.places[i];
    if (auto norm = llvm::dyn_cast<LayerNormOp>(ops[i])) {
      spec.norm = PackedMatmulSpec::Norm{.epsilon = norm.getEpsilon().convertToFloat()};
      LINNET_ASSIGN(spec.norm->type, commonType(norm, ValueRange{norm.getGain(), norm.getBias()}));
      args[0] = at[number(NormSpec::Operand::x)];
      more = {at[number(NormSpec::Operand::gain)], at[number(NormSpec::Operand::bias)]};
    } else if (auto pool = llvm::dyn_cast<PoolOp>(ops[i])) {
      const bool of_residual = matmul.getResidual() == pool.getResult();
      (of_residual ? spec.last_residual : spec.last) = true;
      args[of_residual ? residual : 0] = at[number(PoolSpec::Operand::x)];
      spec.positions = dimOf(pool.getOperand(), 1), length = at[number(PoolSpec::Operand::length)];
    } else {
      return std::vector<Choice>();
    }
  }
  args.insert(args.end(), more.begin(), more.end());
  if (length) args.push_back(*length);
  if (chooses) spec.argmax = true, addArgmax(group, spec, args);
  group.call.in_parts = args[*call.in_parts];
  return packedMatmulChoices(group.call, spec, args, kSelfReadingVariants);
}

/// Adds the operands token, parts and counters. One counter for each row suffices for tiles of rows.
void Lowering::addArgmax(Group &group, const PackedMatmulSpec &spec, std::vector<uint32_t> &args) {
  const uint32_t token = group.places.back()[number(ArgmaxSpec::Operand::out)];
  const auto rows = int64_t(group.call.args[token].ref.size / 4); // the number of rows at the bounds
  args.push_back(token);
  args.push_back(addWorking(group.call, rows * spec.w.count() * PackedMatmulSpec::kMostPartsOfPanel * 2));
  args.push_back(addCounters(group.call, rows));
}

/// Operands: {q, k, v, out, past, new k, new v, k, v}. The caches occur twice, as operands that are read and as
/// operands that are written.
Result<std::vector<Choice>> Lowering::appendAndAttend(Group &group, const std::vector<Operation *> &ops) {
  auto k = llvm::dyn_cast<CacheAppendOp>(ops[0]), v = llvm::dyn_cast<CacheAppendOp>(ops[1]);
  auto op = llvm::cast<AttentionOp>(ops.back());
  if (!k || !v || ops.size() != 3) return std::vector<Choice>();
  Call call{op};
  LINNET_ASSIGN(VulkanAttentionSpec spec, attentionOf(op, call));
  const size_t own = call.args.size();
  for (auto [append, stride] : {std::pair(k, &spec.key_stride), std::pair(v, &spec.value_stride)}) {
    LINNET_ASSIGN(const auto made, specOf(append));
    if (made.spec.type != spec.type) return std::vector<Choice>();
    *stride = made.spec.stride;
  }
  spec.append = true;
  std::vector<uint32_t> args = group.places[2];
  args.resize(own); // without working memory
  for (auto operand : {CacheAppendSpec::Operand::entries, CacheAppendSpec::Operand::cache})
    for (size_t append : {0, 1}) args.push_back(group.places[append][number(operand)]);
  std::vector<Choice> choices = attentionChoices(group.call, spec, args);
  addInParts(group.call, op, spec, args, choices);
  for (Choice &choice : choices) choice.amount = spec.queries, choice.least = choice.most = 1;
  return choices;
}

/// Operands: {ids, out, table, scale?, past?, places, scale of places?}.
Result<std::vector<Choice>> Lowering::embedBoth(Group &group, const std::vector<Operation *> &ops) {
  auto tokens = llvm::dyn_cast<EmbedOp>(ops[0]), places = llvm::dyn_cast<EmbedOp>(ops[2]);
  auto positions = llvm::dyn_cast<PositionsOp>(ops[1]);
  if (!tokens || !positions || !places || ops.size() != 4) return std::vector<Choice>();
  Call of_tokens{tokens}, of_places{places};
  LINNET_ASSIGN(auto token_lookup, embedOf(tokens, of_tokens));
  LINNET_ASSIGN(auto place_lookup, embedOf(places, of_places));
  VulkanEmbedSpec spec = token_lookup.first;
  const EmbedSpec &place = place_lookup.first;
  LINNET_ASSIGN(spec.out, typeOf(ops.back(), ops.back()->getResult(0)));
  auto exact = [](const EmbedSpec &lookup) { return lookup.out == Type::f32 || lookup.out == lookup.table; };
  if (place.panel || spec.out != Type::f32 || !exact(token_lookup.first) || !exact(place))
    return std::vector<Choice>();
  spec.places = VulkanEmbedSpec::Places{place.rows,
                                        place.table,
                                        place.scaled,
                                        place.group,
                                        place.scales,
                                        place.asymmetric,
                                        bool(positions.getPast()),
                                        int64_t(positions.getLimit()),
                                        dimOf(positions.getResult(), 1)};
  std::vector<uint32_t> args = group.places[0];
  args[number(EmbedSpec::Operand::out)] = group.places[3].back(); // out is the sum
  if (positions.getPast()) args.push_back(group.places[1][number(PositionsSpec::Operand::past)]);
  args.insert(args.end(), group.places[2].begin() + number(EmbedSpec::Operand::table), group.places[2].end());
  Call whole = group.call;
  whole.in_parts = args[number(EmbedSpec::Operand::table)];
  std::vector<Choice> choices;
  for (bool alone : {true, false}) {
    spec.where = where(whole, args, alone);
    choices.push_back({.kernel = embedKernel(spec),
                       .groups = {{spec.elements(), kItems}},
                       .parts = {token_lookup.second},
                       .where = spec.where,
                       .args = args});
  }
  return choices;
}

} // namespace linnet::vulkan
