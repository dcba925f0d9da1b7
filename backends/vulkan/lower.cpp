#include "backends/vulkan/lower.h"

#include "backends/vulkan/lowering.h"
#include "backends/vulkan/shader.h"

#include "llvm/Support/MathExtras.h"

#include <set>

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
namespace {

/// The number of storage buffers that every device can bind in a compute shader.
constexpr size_t kBindings = 4;
constexpr uint64_t kAlign = 256;

int64_t elementsIn(uint64_t bytes, Type type) {
  return type == Type::i4 ? int64_t(bytes) * 2 : int64_t(bytes) / sizeOf(type);
}

} // namespace

uint8_t texelWords(Type type) { return type == Type::i4 ? 1 : uint8_t(sizeOf(type)); }

Result<void> Lowering::lowerOp(Operation *op) {
  return backend::withOp(op, [this](auto o) { return lowerThis(o); });
}

Result<void> Lowering::lowerThis(ContractOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitPlainMatmul(op, made);
}

//===- operands ----------------------------------------------------------------------------------------===//

Result<void> Lowering::read(Call &call, mlir::Value value) {
  LINNET_ASSIGN(const Type type, typeOf(call.op, value));
  LINNET_ASSIGN(const fb::RefT ref, dense(call.op, value));
  call.args.push_back({ref, type});
  return {};
}

Result<void> Lowering::write(Call &call, mlir::Value value) {
  LINNET_TRY(read(call, value));
  call.args.back().written = true;
  return {};
}

Result<void> Lowering::readPacked(Call &call, mlir::Value value) {
  LINNET_ASSIGN(const Type type, typeOf(call.op, value));
  LINNET_ASSIGN(const fb::RefT ref, packed(call.op, value));
  call.args.push_back({ref, type});
  return {};
}

Result<Extent> Lowering::readRows(Call &call, mlir::Value value, const Extent &row) {
  LINNET_ASSIGN(const Type type, typeOf(call.op, value));
  LINNET_ASSIGN(const Operand operand, rows(call.op, value));
  if (!operand.dense && Extent(operand.row) != row)
    return errorAt(call.op, "rows of {} elements with gaps cannot be rows of {}", operand.row, row.text());
  call.args.push_back({operand.ref, type});
  return operand.dense ? row : Extent(operand.stride);
}

Result<void> Lowering::bind(Call &call, const std::vector<KernelOperand> &operands) {
  for (const KernelOperand &operand : operands) {
    LINNET_ASSIGN(const Type type, typeOf(call.op, operand.value));
    LINNET_ASSIGN(const fb::RefT ref, memoryOf(call.op, operand));
    call.args.push_back({ref, type, operand.access == KernelOperand::write});
  }
  return {};
}

/// Assigns bindings. With few operands each gets its own. Otherwise operands in the same memory share one, activations
/// first, except an operand that may be bound in parts.
Operands Lowering::where(const Call &call, const std::vector<uint32_t> &chosen, bool alone) {
  Operands where;
  std::vector<uint32_t> args = chosen;
  for (uint32_t i = 0; chosen.empty() && i < call.args.size(); ++i) args.push_back(i);
  for (size_t i = 0; i < args.size(); ++i)
    if (call.args[args[i]].ref.offset % kAlign) where.inside |= 1u << i;
  if (args.size() <= kBindings || alone) return where;
  std::set<fb::Space> shared;
  auto assign = [&] {
    std::map<fb::Space, uint32_t> of_space;
    uint32_t next = 0;
    where.bind.clear();
    for (uint32_t i : args) {
      const Arg &arg = call.args[i];
      if (!shared.count(arg.ref.space) || call.in_parts == i) {
        where.bind.push_back(next++);
        continue;
      }
      auto [found, fresh] = of_space.try_emplace(arg.ref.space, next);
      if (fresh) ++next;
      where.bind.push_back(found->second);
    }
    return next;
  };
  for (fb::Space space : {fb::Space::arena, fb::Space::input, fb::Space::output, fb::Space::state,
                          fb::Space::weight, fb::Space::counter}) {
    shared.insert(space);
    if (assign() <= kBindings) break;
  }
  return where;
}

uint32_t Lowering::addWorking(Call &call, int64_t words) {
  call.args.push_back({workingMemory(uint64_t(words) * 4), Type::i32, true, true});
  return uint32_t(call.args.size() - 1);
}

uint32_t Lowering::addCounters(Call &call, int64_t count) {
  fb::RefT ref;
  ref.space = fb::Space::counter, ref.size = uint64_t(count) * 4;
  program.counter_bytes = std::max(program.counter_bytes, llvm::alignTo(ref.size, kAlign));
  call.args.push_back({ref, Type::i32, true, true});
  return uint32_t(call.args.size() - 1);
}

//===- commands ----------------------------------------------------------------------------------------===//

uint32_t Lowering::shader(const Kernel &kernel) {
  auto [found, fresh] = shaders.try_emplace(kernel.name, uint32_t(kernels.size()));
  if (fresh) kernels.push_back(kernel);
  return found->second;
}

fb::StepT Lowering::step(const Call &call, const Operands &where, const Choice &choice) {
  fb::StepT step;
  step.shader = shader(choice.kernel);
  size_t inside = 0;
  std::vector<Extent> push = choice.kernel.push;
  for (uint32_t i = 0; i < choice.kernel.operands; ++i) {
    step.args.push_back(choice.args.empty() ? i : choice.args[i]);
    const Arg &arg = call.args[step.args.back()];
    step.access.push_back(arg.written ? fb::Access::read_write : fb::Access::read);
    if (where.inside >> i & 1) push[inside++] = Extent(elementsIn(arg.ref.offset % kAlign, arg.type));
  }
  for (const Extent &extent : push) step.push.push_back(expression({extent}));
  for (const Axis &axis : choice.groups) {
    auto groups = std::make_unique<fb::GroupsT>();
    groups->amount = expression({axis.amount});
    groups->per = axis.per;
    step.groups.push_back(std::move(groups));
  }
  for (const Parts &parts : choice.parts) {
    auto split = std::make_unique<fb::SplitT>();
    split->units = expression({parts.units});
    // parts begin at whole words; otherwise the operand must fit in one binding
    if (parts.unit_bytes % 4 == 0) {
      split->args = parts.operands;
      split->unit_bytes.assign(parts.operands.size(), parts.unit_bytes);
    }
    split->first = kFirstUnit, split->count = kFirstUnit + 1;
    split->axis = parts.axis;
    step.splits.push_back(std::move(split));
  }
  step.bind = where.bind;
  step.offsets = where.bind.empty() ? 0 : kOffsets;
  return step;
}

/// Removes the choices that VulkanOptions::runs rejects. The last choice always stays.
std::vector<Choice> Lowering::possible(std::vector<Choice> choices) const {
  if (!options.runs) return choices;
  std::vector<Choice> kept;
  bool complete = false;
  for (size_t i = 0; i < choices.size(); ++i) {
    Choice &choice = choices[i];
    bool runs = options.runs(shaderOf(choice.kernel));
    for (const Choice &next : choice.then) runs &= options.runs(shaderOf(next.kernel));
    if (i + 1 < choices.size() && (complete || !runs)) continue;
    complete |= choice.least <= 0 && choice.most >= kAnyAmount;
    kept.push_back(std::move(choice));
  }
  return kept;
}

Result<void> Lowering::emit(const Call &call, std::vector<Choice> choices) {
  if (call.args.size() > kMaxOperands)
    return errorAt(call.op, "target vulkan takes at most {} operands, found {}", kMaxOperands,
                   call.args.size());
  if (gathering) {
    gathering->push_back({call, std::move(choices)});
    return {};
  }
  choices = possible(std::move(choices));
  fb::DispatchT body;
  const Operands where = Lowering::where(call);
  for (uint32_t i = 0; i < call.args.size(); ++i) {
    const Arg &arg = call.args[i];
    auto ref = std::make_unique<fb::RefT>(arg.ref);
    ref->size += ref->offset % kAlign, ref->offset -= ref->offset % kAlign;
    body.args.push_back(std::move(ref));
    body.types.push_back(fb::DType(uint8_t(arg.type)));
    if (arg.written && !arg.working) body.results.push_back(i);
  }
  for (const Choice &choice : choices) {
    auto made = std::make_unique<fb::ChoiceT>();
    made->name = choice.nameOf();
    auto add = [&](const Choice &part) -> Result<void> {
      if (part.kernel.push.size() > kFirstUnit)
        return errorAt(call.op, "target vulkan: {} sizes depend on the call, at most {} can",
                       part.kernel.push.size(), kFirstUnit);
      made->steps.push_back(std::make_unique<fb::StepT>(step(call, part.where.value_or(where), part)));
      return {};
    };
    LINNET_TRY(add(choice));
    for (const Choice &next : choice.then) LINNET_TRY(add(next));
    made->amount = expression({choice.amount});
    made->least = choice.least, made->most = choice.most;
    made->tolerance = choice.tolerance;
    body.choices.push_back(std::move(made));
  }
  auto made = call.group.empty() ? command(call.op) : command(call.group);
  made->body.Set(std::move(body));
  push(std::move(made));
  return {};
}

Result<void> Lowering::emitAloneOrShared(const Call &call, const std::function<Choice(bool alone)> &make) {
  std::vector<Choice> choices;
  if (call.args.size() > kBindings) choices.push_back(make(true));
  choices.push_back(make(false));
  return emit(call, std::move(choices));
}

Result<void> Lowering::addCode(fb::ProgramT &program) {
  if (program.counter_bytes)
    program.arena_bytes = llvm::alignTo(program.arena_bytes, kAlign) + program.counter_bytes;
  for (const Kernel &kernel : kernels) {
    auto shader = std::make_unique<fb::ShaderT>(shaderOf(kernel));
    LINNET_TRY(blobs.begin());
    LINNET_TRY(blobs.append(std::as_bytes(std::span(kernel.words))));
    LINNET_ASSIGN(fb::BlobT blob, blobs.end());
    shader->words = std::make_unique<fb::BlobT>(blob);
    program.shaders.push_back(std::move(shader));
    if (options.dump) options.dump(kernel.name, kernel.words);
  }
  return {};
}

} // namespace linnet::vulkan

namespace linnet {

Result<fb::ProgramT> lowerToVulkan(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                   const VulkanOptions &options) {
  return vulkan::Lowering(planned, weights, blobs, options).run();
}

} // namespace linnet
