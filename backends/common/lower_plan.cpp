// Adds to the plan of an entry what only the lowering knows: the working memory of commands, and the numbers of the
// commands that compute each op.
#include "backends/common/lowering.h"
#include "passes/Liveness.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace linnet::backend {
using namespace ir;

void ModuleLowering::findSlots() {
  slots.clear();
  op_positions = positions(entry);
  for (const Lifetime &lifetime : lifetimes(entry)) {
    const Placement place = placementOf(lifetime.base);
    if (place.kind == Placement::slot)
      slots.push_back({lifetime.first, lifetime.last, uint64_t(place.offset), uint64_t(place.size)});
  }
  current.clear();
  position_before = 0;
}

fb::RefT ModuleLowering::workingMemory(uint64_t bytes) {
  // Keeps the operands of the previous command, too: a backend may run both as one command.
  const int first = position_before, last = op_positions.lookup(current.back());
  std::vector<const Slot *> in_use;
  for (const Slot &slot : slots)
    if (slot.first <= last && slot.last >= first) in_use.push_back(&slot);
  llvm::sort(in_use, [](const Slot *a, const Slot *b) { return a->offset < b->offset; });
  fb::RefT ref;
  ref.space = fb::Space::arena, ref.size = bytes;
  for (const Slot *slot : in_use) {
    if (ref.offset + bytes <= slot->offset) break; // fits before this slot
    ref.offset = std::max(ref.offset, llvm::alignTo(slot->offset + slot->size, alignment));
  }
  out->arena_bytes = std::max(out->arena_bytes, ref.offset + bytes);
  program.arena_bytes = std::max(program.arena_bytes, out->arena_bytes);
  SmallVector<Attribute> all;
  if (auto before = current.back()->getAttrOfType<ArrayAttr>(kWorking))
    all.append(before.begin(), before.end());
  const Attribute here = SlotAttr::get(module.getContext(), int64_t(ref.offset), int64_t(bytes));
  if (!llvm::is_contained(all, here)) all.push_back(here);
  current.back()->setAttr(kWorking, ArrayAttr::get(module.getContext(), all));
  return ref;
}

void ModuleLowering::joinCommands(const fb::CommandT &from, const fb::CommandT &into) {
  std::vector<Operation *> ops = std::move(ops_of[&from]);
  ops_of.erase(&from);
  llvm::append_range(ops_of[&into], ops);
}

/// Writes commands and working memory to the module. After this, the plan lists every byte of the arena.
void ModuleLowering::finishPlan() {
  Builder builder(module.getContext());
  llvm::DenseMap<Operation *, std::pair<int64_t, int64_t>> commands;
  for (size_t number = 0; number < out->commands.size(); ++number)
    for (Operation *op : ops_of[out->commands[number].get()]) {
      auto [found, fresh] = commands.try_emplace(op, number, number);
      found->second.second = int64_t(number);
    }
  ops_of.clear();
  for (auto [op, numbers] : commands)
    op->setAttr(kCommands, builder.getDenseI64ArrayAttr({numbers.first, numbers.second}));
  int64_t most_alive = liveBytes(entry);
  for (Operation &op : entry.getBody().front()) {
    auto working = op.getAttrOfType<ArrayAttr>(kWorking);
    if (!working) continue;
    const int at = op_positions.lookup(&op);
    // several values may share a slot; it counts once
    std::set<std::pair<uint64_t, uint64_t>> alive;
    for (const Slot &slot : slots)
      if (slot.first <= at && slot.last >= at) alive.insert({slot.offset, slot.size});
    int64_t bytes = 0, own = 0;
    for (auto [offset, size] : alive) bytes += int64_t(llvm::alignTo(size, alignment));
    for (auto slot : working.getAsRange<SlotAttr>()) own = std::max(own, slot.getSize());
    most_alive = std::max(most_alive, bytes + int64_t(llvm::alignTo(own, alignment)));
  }
  setArena(entry, int64_t(out->arena_bytes), most_alive);
}

} // namespace linnet::backend
