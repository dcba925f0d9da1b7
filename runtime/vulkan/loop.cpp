#include "runtime/vulkan/loop.h"
#include "runtime/run_check.h"
#include "runtime/vulkan/executable.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {

// Enough for what waiting for the host costs to vanish beside them, few enough to be recorded at once.
constexpr uint64_t kMostSteps = 64;

Result<void> checkNumber(const char *what, int number, uint32_t count) {
  if (number >= 0 && static_cast<uint32_t>(number) < count) return {};
  return errorf("a loop's {}: number {} of {}", what, number, count);
}

} // namespace

VulkanLoop::VulkanLoop(VulkanExecutable &executable, const LoopSpec &spec)
    : executable(executable), context(executable.context),
      entry(*executable.program.entries()->Get(static_cast<uint32_t>(spec.entry))), spec(spec),
      buffers(context) {}

VulkanLoop::~VulkanLoop() {
  if (copies.empty()) return;
  context->api.FreeCommandBuffers(context->device, context->commands, static_cast<uint32_t>(copies.size()),
                                  copies.data());
}

Result<std::unique_ptr<VulkanLoop>> VulkanLoop::make(VulkanExecutable &executable, const LoopSpec &spec) {
  LINNET_TRY(checkNumber("entry", spec.entry, executable.program.entries()->size()));
  std::unique_ptr<VulkanLoop> made(new VulkanLoop(executable, spec));
  LINNET_TRY(made->checkSpec());
  LINNET_TRY(made->allocate());
  LINNET_TRY(made->recordCopies());
  return made;
}

Result<void> VulkanLoop::checkSpec() const {
  const uint32_t n_inputs = entry.inputs()->size(), n_outputs = entry.outputs()->size();
  for (const LoopSpec::Carry &carry : spec.carries) {
    LINNET_TRY(checkNumber("output", carry.output, n_outputs));
    LINNET_TRY(checkNumber("input", carry.input, n_inputs));
  }
  for (int input : spec.tables) LINNET_TRY(checkNumber("input", input, n_inputs));
  for (int output : spec.histories) LINNET_TRY(checkNumber("output", output, n_outputs));
  return {};
}

Result<void> VulkanLoop::allocate() {
  auto e = static_cast<size_t>(spec.entry);
  auto add = [](std::vector<Rows> &to, const fb::Port *port, const Range &place) {
    to.push_back({port, {}, place, 0, {}});
    to.back().host.resize(port->bytes() * kMostSteps);
  };
  for (int i : spec.tables)
    add(tables, entry.inputs()->Get(static_cast<uint32_t>(i)), executable.inputs[e][static_cast<size_t>(i)]);
  for (int i : spec.histories)
    add(histories, entry.outputs()->Get(static_cast<uint32_t>(i)),
        executable.outputs[e][static_cast<size_t>(i)]);
  std::vector<uint64_t> sizes;
  for (const auto *list : {&tables, &histories})
    for (const Rows &rows : *list) sizes.push_back(rows.host.size());
  LINNET_ASSIGN(std::vector<Range> ranges, buffers.allocate(sizes, true, "steps of a loop"));
  for (size_t i = 0; i < ranges.size(); ++i)
    (i < tables.size() ? tables[i] : histories[i - tables.size()]).range = ranges[i];
  sequence.reserve(2 * kMostSteps);
  return {};
}

Result<void> VulkanLoop::recordCopies() {
  for (uint64_t step = 0; step < kMostSteps; ++step) {
    LINNET_ASSIGN(VkCommandBuffer commands, context->newCommands());
    copies.push_back(commands);
    LINNET_TRY(record(commands, step));
    ++executable.made.copies;
  }
  return {};
}

// Behind a step: its outputs to where they are kept and to the next one's inputs. Sizes are those at the
// bounds: what a smaller run copies too much nobody reads, and one recording serves every batch.
Result<void> VulkanLoop::record(VkCommandBuffer commands, uint64_t step) const {
  const Api &api = context->api;
  auto e = static_cast<size_t>(spec.entry);
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  LINNET_TRY(check(api.BeginCommandBuffer(commands, &begin), "cannot record"));
  barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
  auto copy = [&](const Buffers &from_list, Range from, const Buffers &to_list, Range to) {
    VkBufferCopy region{from.offset, to.offset, std::min(from.size, to.size)};
    if (region.size)
      api.CmdCopyBuffer(commands, from_list[from.buffer].handle, to_list[to.buffer].handle, 1, &region);
  };
  for (const LoopSpec::Carry &carry : spec.carries)
    copy(executable.buffers, executable.outputs[e][static_cast<size_t>(carry.output)], executable.buffers,
         executable.inputs[e][static_cast<size_t>(carry.input)]);
  for (const Rows &rows : tables) copy(buffers, rows.row(step), executable.buffers, rows.place);
  for (const Rows &rows : histories) copy(executable.buffers, rows.place, buffers, rows.row(step));
  barrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
          VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT);
  return check(api.EndCommandBuffer(commands), "cannot record");
}

void VulkanLoop::barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written,
                         VkPipelineStageFlags to, VkAccessFlags access) const {
  VkMemoryBarrier memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  memory.srcAccessMask = written;
  memory.dstAccessMask = access;
  context->api.CmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

int64_t VulkanLoop::mostSteps() const { return static_cast<int64_t>(kMostSteps); }

Result<void> VulkanLoop::checkSizes(int64_t count, std::span<const int64_t> symbols,
                                    std::span<const std::span<const std::byte>> given) const {
  auto name = entry.name()->string_view();
  if (count < 1 || count > mostSteps())
    return errorf("entry '{}': expected from 1 to {} steps, found {}", name, mostSteps(), count);
  for (const LoopSpec::Carry &carry : spec.carries) {
    const fb::Port &from = *entry.outputs()->Get(static_cast<uint32_t>(carry.output));
    const fb::Port &to = *entry.inputs()->Get(static_cast<uint32_t>(carry.input));
    uint64_t gives = portBytes(from, symbols), needs = portBytes(to, symbols);
    if (gives != needs || from.dtype() != to.dtype())
      return errorf("entry '{}': output '{}' cannot become input '{}': {} bytes of {}, {} of {}", name,
                    from.name()->string_view(), to.name()->string_view(), gives, dtypeName(from.dtype()),
                    needs, dtypeName(to.dtype()));
  }
  if (given.size() != tables.size())
    return errorf("entry '{}': expected {} tables, found {}", name, tables.size(), given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    uint64_t needs = portBytes(*tables[i].port, symbols) * static_cast<uint64_t>(count - 1);
    if (given[i].size() != needs)
      return errorf("entry '{}': input '{}' of the steps behind the first: expected {} bytes, found {}", name,
                    tables[i].port->name()->string_view(), needs, given[i].size());
  }
  return {};
}

Result<void> VulkanLoop::writeTable(Rows &rows, std::span<const std::byte> given, uint64_t row_bytes) {
  const uint64_t stride = rows.port->bytes();
  uint64_t count = row_bytes ? given.size() / row_bytes : 0;
  if (count == 0) return {};
  for (uint64_t i = 0; i < count; ++i)
    std::memcpy(rows.host.data() + i * stride, given.data() + i * row_bytes, row_bytes);
  return buffers.write(rows.range, std::span(rows.host).first(count * stride));
}

Result<void> VulkanLoop::run(int64_t count, std::span<const int64_t> symbols,
                             std::span<const std::span<const std::byte>> inputs,
                             std::span<const std::span<const std::byte>> given) {
  steps = 0;
  LINNET_ASSIGN(Recording * recording, executable.ready(spec.entry, symbols, inputs, {}));
  LINNET_TRY(checkSizes(count, symbols, given));
  for (size_t i = 0; i < given.size(); ++i)
    LINNET_TRY(writeTable(tables[i], given[i], portBytes(*tables[i].port, symbols)));
  sequence.clear();
  for (int64_t i = 0; i < count; ++i) {
    sequence.push_back(recording->handle());
    sequence.push_back(copies[static_cast<size_t>(i)]);
  }
  LINNET_TRY(context->submit(sequence));
  for (Rows &rows : histories) rows.used = portBytes(*rows.port, symbols);
  steps = count;
  executable.last_entry = spec.entry;
  return {};
}

Result<std::span<const std::byte>> VulkanLoop::history(int i) {
  LINNET_TRY(checkNumber("history", i, static_cast<uint32_t>(histories.size())));
  if (steps == 0) return Error{"no history: the loop has not been run"};
  Rows &rows = histories[static_cast<size_t>(i)];
  const uint64_t stride = rows.port->bytes(), count = static_cast<uint64_t>(steps);
  LINNET_TRY(buffers.read(rows.range, std::span(rows.host).first(count * stride)));
  for (uint64_t step = 1; step < count; ++step) // close up
    std::memmove(rows.host.data() + step * rows.used, rows.host.data() + step * stride, rows.used);
  return std::span<const std::byte>(rows.host).first(count * rows.used);
}

} // namespace linnet::vulkan
