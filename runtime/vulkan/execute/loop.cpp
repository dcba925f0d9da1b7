#include "runtime/vulkan/execute/loop.h"
#include "runtime/run_check.h"
#include "runtime/vulkan/execute/abandoned.h"
#include "runtime/vulkan/execute/executable.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {

// Enough steps to make the host's overhead negligible, and few enough to record all copies at once.
constexpr uint64_t kMostSteps = 64;

Result<void> checkNumber(const char *what, int number, size_t count) {
  if (number >= 0 && static_cast<size_t>(number) < count) return {};
  return errorf("a loop's {}: number {} of {}", what, number, count);
}

} // namespace

VulkanLoop::VulkanLoop(VulkanExecutable &executable, const LoopSpec &spec)
    : executable(executable), context(executable.context), touched(std::make_shared<Touched>(context)),
      spec(spec) {}

VulkanLoop::~VulkanLoop() {
  if (!context->ready()) abandon(context, std::move(touched));
}

VulkanLoop::Touched::~Touched() {
  if (commands.empty()) return;
  context->api.FreeCommandBuffers(context->device, context->commands, static_cast<uint32_t>(commands.size()),
                                  commands.data());
}

Result<std::unique_ptr<VulkanLoop>> VulkanLoop::make(VulkanExecutable &executable, const LoopSpec &spec) {
  std::unique_ptr<VulkanLoop> made(new VulkanLoop(executable, spec));
  LINNET_TRY(made->makeStages());
  LINNET_TRY(made->check());
  LINNET_TRY(made->allocate());
  LINNET_TRY(made->recordCopies());
  return made;
}

Result<void> VulkanLoop::makeStages() {
  if (spec.entries.empty()) return Error{"a loop without an entry"};
  for (int entry : spec.entries) {
    LINNET_TRY(checkNumber("entry", entry, executable.program.entries()->size()));
    if (std::count(spec.entries.begin(), spec.entries.end(), entry) > 1)
      return errorf("a loop's entry: number {} twice", entry);
    // The ports of all entries start at the same offset, so those of a loop's later entries are moved.
    if (!stages.empty()) LINNET_TRY(executable.moveApart(entry));
    stages.emplace_back();
    stages.back().entry = entry;
    stages.back().ports = executable.program.entries()->Get(static_cast<uint32_t>(entry));
  }
  return {};
}

Result<void> VulkanLoop::check() const {
  auto checkPort = [&](const char *what, LoopSpec::Port port, auto ports) -> Result<void> {
    LINNET_TRY(checkNumber("stage", port.stage, stages.size()));
    return checkNumber(what, port.number, (stages[static_cast<size_t>(port.stage)].ports->*ports)()->size());
  };
  auto isInput = [&](LoopSpec::Port port) { return checkPort("input", port, &fb::Entry::inputs); };
  auto isOutput = [&](LoopSpec::Port port) { return checkPort("output", port, &fb::Entry::outputs); };
  for (const LoopSpec::Carry &carry : spec.carries) {
    LINNET_TRY(isOutput(carry.output));
    LINNET_TRY(isInput(carry.input));
  }
  for (LoopSpec::Port port : spec.tables) LINNET_TRY(isInput(port));
  for (LoopSpec::Port port : spec.histories) LINNET_TRY(isOutput(port));
  return {};
}

const fb::Port &VulkanLoop::input(LoopSpec::Port port) const {
  return *stages[static_cast<size_t>(port.stage)].ports->inputs()->Get(static_cast<uint32_t>(port.number));
}
const fb::Port &VulkanLoop::output(LoopSpec::Port port) const {
  return *stages[static_cast<size_t>(port.stage)].ports->outputs()->Get(static_cast<uint32_t>(port.number));
}
const Range &VulkanLoop::inputPlace(LoopSpec::Port port) const {
  auto entry = static_cast<size_t>(spec.entries[static_cast<size_t>(port.stage)]);
  return executable.inputs[entry][static_cast<size_t>(port.number)];
}
const Range &VulkanLoop::outputPlace(LoopSpec::Port port) const {
  auto entry = static_cast<size_t>(spec.entries[static_cast<size_t>(port.stage)]);
  return executable.outputs[entry][static_cast<size_t>(port.number)];
}
uint64_t VulkanLoop::bytesOf(const fb::Port &port, int stage) const {
  return portBytes(port, stages[static_cast<size_t>(stage)].symbols);
}

Result<void> VulkanLoop::allocate() {
  for (LoopSpec::Port port : spec.tables) tables.push_back({port, &input(port), {}, inputPlace(port), 0, {}});
  for (LoopSpec::Port port : spec.histories)
    histories.push_back({port, &output(port), {}, outputPlace(port), 0, {}});
  std::vector<uint64_t> sizes;
  for (auto *list : {&tables, &histories})
    for (Rows &rows : *list) {
      rows.host.resize(rows.port->bytes() * kMostSteps);
      sizes.push_back(rows.host.size());
    }
  LINNET_ASSIGN(std::vector<Range> ranges, buffers.allocate(sizes, true, "steps of a loop"));
  for (size_t i = 0; i < ranges.size(); ++i)
    (i < tables.size() ? tables[i] : histories[i - tables.size()]).range = ranges[i];
  for (size_t stage = 0; stage < stages.size(); ++stage)
    for (uint32_t i = 0; i < stages[stage].ports->inputs()->size(); ++i)
      stages[stage].given.push_back(spec.isGiven({static_cast<int>(stage), static_cast<int>(i)}));
  for (size_t stage = 0; stage + 1 < stages.size(); ++stage)
    stages[stage].wanted = wantedOf(static_cast<int>(stage), stages[stage].ports->outputs()->size());
  sequence.reserve((2 * stages.size() + 1) * kMostSteps);
  return {};
}

// The outputs that other entries or the history read. If tokens are sampled, the likeliest token is not one
// of them.
std::vector<bool> VulkanLoop::wantedOf(int stage, size_t outputs) const {
  std::vector<bool> wanted(outputs);
  auto want = [&](LoopSpec::Port port) {
    if (port.stage == stage) wanted[static_cast<size_t>(port.number)] = true;
  };
  for (const LoopSpec::Carry &carry : spec.carries) want(carry.output);
  for (LoopSpec::Port port : spec.histories) want(port);
  return wanted;
}

// Copies have the sizes at the bounds, so one recording serves every batch. The excess of a smaller run is
// not read.
Result<void> VulkanLoop::recordCopies() {
  for (size_t i = 0; i < stages.size(); ++i) {
    auto onward = [&](const LoopSpec::Carry &carry) {
      return carry.output.stage == static_cast<int>(i) && carry.input.stage > carry.output.stage;
    };
    if (std::none_of(spec.carries.begin(), spec.carries.end(), onward)) continue;
    LINNET_TRY(record(stages[i].onward, [&](VkCommandBuffer commands) { copyCarries(commands, onward); }));
  }
  copies.reserve(kMostSteps + stages.size());
  for (uint64_t step = 0; step < kMostSteps; ++step)
    LINNET_TRY(record(copies.emplace_back(), [&](VkCommandBuffer commands) {
      copyCarries(commands,
                  [](const LoopSpec::Carry &carry) { return carry.input.stage <= carry.output.stage; });
      for (const Rows &rows : tables) copy(commands, buffers, rows.row(step), executable.buffers, rows.place);
      for (const Rows &rows : histories)
        copy(commands, executable.buffers, rows.place, buffers, rows.row(step));
    }));
  return {};
}

void VulkanLoop::copyCarries(VkCommandBuffer commands,
                             const std::function<bool(const LoopSpec::Carry &)> &which) const {
  for (const LoopSpec::Carry &carry : spec.carries)
    if (which(carry))
      copy(commands, executable.buffers, outputPlace(carry.output), executable.buffers,
           inputPlace(carry.input));
}

void VulkanLoop::copy(VkCommandBuffer commands, const Buffers &from_list, const Range &from,
                      const Buffers &to_list, const Range &to) const {
  VkBufferCopy region{from.offset, to.offset, std::min(from.size, to.size)};
  if (region.size)
    context->api.CmdCopyBuffer(commands, from_list[from.buffer].handle, to_list[to.buffer].handle, 1,
                               &region);
}

// Records copies with barriers: they run after the previous entry and before the next one or the host.
Result<void> VulkanLoop::record(VkCommandBuffer &commands,
                                const std::function<void(VkCommandBuffer)> &copies) {
  const Api &api = context->api;
  LINNET_ASSIGN(commands, context->newCommands());
  touched->commands.push_back(commands);
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
  LINNET_TRY(vulkan::check(api.BeginCommandBuffer(commands, &begin), "cannot record"));
  auto barrier = [&](VkPipelineStageFlags from, VkAccessFlags written, VkPipelineStageFlags to,
                     VkAccessFlags access) {
    VkMemoryBarrier memory = {};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    memory.srcAccessMask = written;
    memory.dstAccessMask = access;
    api.CmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
  };
  barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
  copies(commands);
  barrier(VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
          VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT);
  LINNET_TRY(vulkan::check(api.EndCommandBuffer(commands), "cannot record"));
  ++executable.made.copies;
  return {};
}

int64_t VulkanLoop::mostSteps() const { return static_cast<int64_t>(kMostSteps); }

Result<void> VulkanLoop::checkSizes(int64_t count, std::span<const std::span<const std::byte>> given) const {
  auto name = stages[0].ports->name()->string_view();
  if (count < 1 || count > mostSteps())
    return errorf("entry '{}': expected from 1 to {} steps, found {}", name, mostSteps(), count);
  for (const LoopSpec::Carry &carry : spec.carries) {
    const fb::Port &from = output(carry.output), &to = input(carry.input);
    uint64_t gives = bytesOf(from, carry.output.stage), needs = bytesOf(to, carry.input.stage);
    if (gives != needs || from.dtype() != to.dtype())
      return errorf("entry '{}': output '{}' cannot become input '{}': {} bytes of {}, {} of {}", name,
                    from.name()->string_view(), to.name()->string_view(), gives, dtypeName(from.dtype()),
                    needs, dtypeName(to.dtype()));
  }
  if (given.size() != tables.size())
    return errorf("entry '{}': expected {} tables, found {}", name, tables.size(), given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    uint64_t needs = bytesOf(*tables[i].port, tables[i].which.stage) * static_cast<uint64_t>(count - 1);
    if (given[i].size() != needs)
      return errorf("entry '{}': input '{}' of the steps after the first: expected {} bytes, found {}", name,
                    tables[i].port->name()->string_view(), needs, given[i].size());
  }
  return {};
}

Result<void> VulkanLoop::writeTable(Rows &rows, std::span<const std::byte> given) {
  const uint64_t stride = rows.port->bytes(), used = bytesOf(*rows.port, rows.which.stage);
  const uint64_t count = used ? given.size() / used : 0;
  if (count == 0) return {};
  for (uint64_t i = 0; i < count; ++i)
    std::memcpy(rows.host.data() + i * stride, given.data() + i * used, used);
  return buffers.write(rows.range, std::span(rows.host).first(count * stride));
}

Result<void> VulkanLoop::run(int64_t count, std::span<const LoopInputs> given,
                             std::span<const std::span<const std::byte>> in_tables) {
  steps = 0;
  if (given.size() != stages.size())
    return errorf("a loop of {} entries: found inputs of {}", stages.size(), given.size());
  for (size_t i = 0; i < stages.size(); ++i) {
    Stage &stage = stages[i];
    stage.symbols = given[i].symbols;
    LINNET_ASSIGN(stage.recording,
                  executable.ready(stage.entry, stage.symbols, given[i].inputs, stage.wanted, stage.given));
  }
  LINNET_TRY(checkSizes(count, in_tables));
  for (size_t i = 0; i < tables.size(); ++i) LINNET_TRY(writeTable(tables[i], in_tables[i]));
  sequence.clear();
  for (int64_t step = 0; step < count; ++step) {
    for (const Stage &stage : stages) {
      sequence.push_back(stage.recording->handle());
      if (stage.onward) sequence.push_back(stage.onward);
    }
    sequence.push_back(copies[static_cast<size_t>(step)]);
  }
  LINNET_TRY(context->submit(sequence));
  for (Rows &rows : histories) rows.used = bytesOf(*rows.port, rows.which.stage);
  steps = count;
  executable.last_entry = stages.back().entry;
  return {};
}

Result<std::span<const std::byte>> VulkanLoop::history(int i) {
  LINNET_TRY(checkNumber("history", i, histories.size()));
  if (steps == 0) return Error{"no history: the loop has not been run"};
  Rows &rows = histories[static_cast<size_t>(i)];
  const uint64_t stride = rows.port->bytes(), count = static_cast<uint64_t>(steps);
  LINNET_TRY(buffers.read(rows.range, std::span(rows.host).first(count * stride)));
  for (uint64_t step = 1; step < count; ++step) // make the rows dense
    std::memmove(rows.host.data() + step * rows.used, rows.host.data() + step * stride, rows.used);
  return std::span<const std::byte>(rows.host).first(count * rows.used);
}

} // namespace linnet::vulkan
