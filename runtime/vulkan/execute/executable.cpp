#include "runtime/vulkan/execute/executable.h"
#include "runtime/artifact/dispatch_check.h"
#include "runtime/artifact/format.h"
#include "runtime/expr.h"
#include "runtime/profiling.h"
#include "runtime/run_check.h"
#include "runtime/vulkan/execute/abandoned.h"
#include "runtime/vulkan/execute/loop.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace linnet::vulkan {
namespace {

// Number of kept recordings. Each prompt length is a separate shape; the least recently used one is dropped.
constexpr size_t kKeptRecordings = 16;

uint64_t aligned(uint64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

} // namespace

VulkanExecutable::~VulkanExecutable() {
  if (!context->ready()) abandon(context, std::move(touched));
}

Result<std::unique_ptr<VulkanExecutable>> VulkanExecutable::load(std::shared_ptr<Context> context,
                                                                 const Artifact &artifact,
                                                                 const fb::Program &program) {
  std::unique_ptr<VulkanExecutable> made(new VulkanExecutable(std::move(context), artifact, program));
  auto ready = made->allocate();
  if (ready) ready = made->upload();
  if (!ready) return errorf("{}: {}", artifact.path(), ready.error().message);
  return made;
}

// The ports of all entries start at the same offset of one area, because entries do not run at the same time.
Result<void> VulkanExecutable::allocate() {
  std::vector<uint64_t> weight_bytes, state_bytes;
  for (const fb::Weight *weight : *program.weights()) weight_bytes.push_back(weight->blob()->size());
  for (const fb::State *state : *program.states()) state_bytes.push_back(state->bytes());
  for (uint64_t bytes : weight_bytes) use.weights += bytes;
  for (uint64_t bytes : state_bytes) use.states += aligned(bytes);
  use.arena = program.arena_bytes();
  inputs.resize(program.entries()->size()), outputs.resize(inputs.size());
  for (int entry = 0; entry < static_cast<int>(inputs.size()); ++entry)
    use.io = std::max(use.io, layPorts(entry));
  if (!shareWeights()) {
    LINNET_ASSIGN(weights, buffers.allocate(weight_bytes, false, "weights"));
  }
  LINNET_ASSIGN(states, buffers.allocate(state_bytes, false, "states"));
  LINNET_ASSIGN(std::vector<Range> areas, buffers.allocate({use.arena}, false, "activations"));
  arena = areas[0];
  LINNET_ASSIGN(areas, buffers.allocate({use.io}, true, "inputs and outputs"));
  io = areas[0];
  for (auto *list : {&inputs, &outputs})
    for (auto &ranges : *list)
      for (Range &range : ranges) range.buffer = io.buffer;
  symbols.resize(program.symbols()->size());
  return {};
}

/// Lays the entry's ports out consecutively from offset 0. Returns the end.
uint64_t VulkanExecutable::layPorts(int entry) {
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(entry));
  uint64_t end = 0;
  auto lay = [&](auto &ports, std::vector<Range> &to) {
    to.clear();
    for (const fb::Port *port : ports) {
      to.push_back({0, end, port->bytes()});
      end += std::max(aligned(port->bytes()), kBufferAlignment);
    }
  };
  lay(*e.inputs(), inputs[static_cast<size_t>(entry)]);
  lay(*e.outputs(), outputs[static_cast<size_t>(entry)]);
  return end;
}

Result<void> VulkanExecutable::moveApart(int entry) {
  if (apart.count(entry)) return {};
  uint64_t bytes = 0;
  for (const auto *list : {&inputs, &outputs})
    for (const Range &range : (*list)[static_cast<size_t>(entry)])
      bytes += std::max(aligned(range.size), kBufferAlignment);
  LINNET_ASSIGN(std::vector<Range> areas, buffers.allocate({bytes}, false, "inputs and outputs of a loop"));
  use.scratch += bytes;
  apart.insert(entry);
  layPorts(entry);
  for (auto *list : {&inputs, &outputs})
    for (Range &range : (*list)[static_cast<size_t>(entry)])
      range.buffer = areas[0].buffer, range.offset += areas[0].offset;
  recordings.remove_if([&](const Kept &kept) { return kept.entry == entry; });
  return buffers.zero(areas);
}

// Lets the device read weights from the mapped artifact, if it can bind its pages, so they are not copied.
// This needs a mapping that can be kept alive: a hanging driver may read it after the artifact was closed.
bool VulkanExecutable::shareWeights() {
  const Limits &limits = context->inventory.limits;
  const uint64_t page = limits.host_pointer;
  if (!page || page > static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) ||
      limits.storage_alignment > format::kAlignment || limits.texel_alignment > format::kAlignment ||
      program.weights()->size() == 0 || artifact.mapped().bytes().empty())
    return false;
  uintptr_t begin = UINTPTR_MAX, end = 0;
  std::vector<uintptr_t> places;
  for (const fb::Weight *weight : *program.weights()) {
    std::span<const std::byte> blob = artifact.blob(*weight->blob());
    places.push_back(reinterpret_cast<uintptr_t>(blob.data()));
    begin = std::min(begin, places.back());
    end = std::max(end, places.back() + blob.size());
  }
  begin = begin / page * page, end = (end + page - 1) / page * page;
  auto buffer = buffers.share(artifact.mapped(), {reinterpret_cast<const std::byte *>(begin), end - begin});
  if (!buffer) return false;
  for (uint32_t i = 0; i < places.size(); ++i)
    weights.push_back({*buffer, places[i] - begin, program.weights()->Get(i)->blob()->size()});
  shared = true;
  return true;
}

Result<void> VulkanExecutable::upload() {
  for (uint32_t i = 0; i < weights.size() && !shared; ++i)
    LINNET_TRY(buffers.write(weights[i], artifact.blob(*program.weights()->Get(i)->blob())));
  return clear();
}

Result<void> VulkanExecutable::clear() {
  LINNET_TRY(buffers.zero(std::span(&arena, 1)));
  return buffers.zero(states);
}

Workbench VulkanExecutable::workbench() {
  return {context,
          program,
          buffers,
          pipelines,
          [this](int entry, const fb::Ref &ref) { return place(entry, ref); },
          touched->trial};
}

Result<void> VulkanExecutable::endTrials(PutAside not_used, uint32_t trials) {
  aside = std::move(not_used);
  tried = trials;
  return tried ? clear() : Result<void>();
}

Range VulkanExecutable::place(int entry, const fb::Ref &ref) const {
  auto at = [&](const Range &area) { return Range{area.buffer, area.offset + ref.offset(), ref.size()}; };
  auto e = static_cast<size_t>(entry);
  switch (ref.space()) {
  case fb::Space::weight:
    return at(weights[ref.index()]);
  case fb::Space::state: {
    Range area = at(states[ref.index()]);
    if (first_row == 0) return area;
    const uint64_t skipped = static_cast<uint64_t>(first_row) * state_rows[ref.index()].row_bytes;
    return {area.buffer, area.offset + skipped, area.size - std::min(area.size, skipped)};
  }
  case fb::Space::input:
    return at(inputs[e][ref.index()]);
  case fb::Space::output:
    return at(outputs[e][ref.index()]);
  case fb::Space::counter: {
    const uint64_t begin = arena.size - program.counter_bytes();
    return at({arena.buffer, arena.offset + begin, program.counter_bytes()});
  }
  case fb::Space::arena:
    break;
  }
  return at(arena);
}

Result<Recording *> VulkanExecutable::recordingOf(int entry, std::span<const int64_t> values,
                                                  const std::vector<bool> &wanted) {
  bool timed = profiler && context->inventory.timestamp_ns > 0;
  for (auto kept = recordings.begin(); kept != recordings.end(); ++kept) {
    if (kept->entry != entry || kept->first_row != first_row || kept->timed != timed ||
        !std::ranges::equal(kept->symbols, values) || kept->wanted != wanted)
      continue;
    recordings.splice(recordings.begin(), recordings, kept);
    return recordings.front().recording.get();
  }
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(entry));
  std::vector<PlannedDispatch> planned;
  std::vector<uint32_t> shaders;
  const PlanContext plan_context = {context->inventory, program,
                                    [&](const fb::Ref &ref) { return place(entry, ref); }, aside};
  for (uint32_t i = 0; i < e.commands()->size(); ++i) {
    const fb::Command &command = *e.commands()->Get(i);
    if (!serves(command.only_for(), wanted)) {
      planned.emplace_back();
      continue;
    }
    auto plan = planDispatch(plan_context, *command.body_as_Dispatch(), values);
    if (!plan)
      return errorf("{}: entry '{}': command {} ({}): {}", artifact.path(), e.name()->string_view(), i,
                    command.op()->string_view(), plan.error().message);
    for (const PlannedStep &step : plan->steps) shaders.push_back(step.step->shader());
    planned.push_back(std::move(*plan));
  }
  LINNET_TRY(pipelines.make(shaders));
  Kept fresh{
      entry, first_row, timed, wanted, {values.begin(), values.end()}, std::make_unique<Recording>(context)};
  LINNET_TRY(fresh.recording->record(planned, pipelines, program, buffers, timed, made));
  // Texts that join and leave give shapes for each row.
  if (recordings.size() >= kKeptRecordings + 2 * static_cast<size_t>(mostRows(program)))
    recordings.pop_back();
  recordings.push_front(std::move(fresh));
  return recordings.front().recording.get();
}

Result<Recording *> VulkanExecutable::ready(int entry, std::span<const int64_t> values,
                                            std::span<const std::span<const std::byte>> given,
                                            const std::vector<bool> &wanted,
                                            const std::vector<bool> &filled) {
  last_entry = -1;
  LINNET_TRY(checkRun(artifact, program, entry, values, given, wanted, filled));
  if (first_row) LINNET_TRY(checkRows(program, first_row, values));
  if (!failure.empty()) return Error{failure};
  for (size_t i = 0; i < given.size(); ++i)
    if (!given[i].empty()) LINNET_TRY(buffers.write(inputs[static_cast<size_t>(entry)][i], given[i]));
  std::copy(values.begin(), values.end(), symbols.begin());
  return recordingOf(entry, symbols, wanted);
}

Result<void> VulkanExecutable::run(int entry, std::span<const int64_t> values,
                                   std::span<const std::span<const std::byte>> given,
                                   const std::vector<bool> &wanted) {
  LINNET_ASSIGN(Recording * recording, ready(entry, values, given, wanted));
  int64_t begin = profiler ? profileNow() : 0;
  LINNET_TRY(recording->run());
  last_entry = entry;
  return profiler ? report(entry, *recording, begin, profileNow()) : Result<void>();
}

Result<std::span<const std::byte>> VulkanExecutable::output(int i) {
  if (last_entry < 0) return Error{"no output: nothing has been run"};
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(last_entry));
  if (i < 0 || static_cast<uint32_t>(i) >= e.outputs()->size())
    return errorf("entry '{}' has {} outputs, number {} was asked for", e.name()->string_view(),
                  e.outputs()->size(), i);
  const Range &range = outputs[static_cast<size_t>(last_entry)][static_cast<size_t>(i)];
  uint64_t bytes = portBytes(*e.outputs()->Get(static_cast<uint32_t>(i)), symbols);
  if (const std::byte *mapped = buffers[range.buffer].mapped) return std::span(mapped + range.offset, bytes);
  copy.resize(bytes);
  LINNET_TRY(buffers.read(range, copy));
  return std::span<const std::byte>(copy);
}

void VulkanExecutable::resetStates() {
  if (auto done = buffers.zero(states); !done) failure = done.error().message;
}

Result<void> VulkanExecutable::readState(std::string_view name, std::span<std::byte> to) {
  LINNET_ASSIGN(uint32_t i, findState(program, name, to.size()));
  return buffers.read(states[i], to);
}
Result<void> VulkanExecutable::writeState(std::string_view name, std::span<const std::byte> from) {
  LINNET_ASSIGN(uint32_t i, findState(program, name, from.size()));
  return buffers.write(states[i], from);
}

Result<void> VulkanExecutable::needRows() {
  if (state_rows.empty()) {
    LINNET_ASSIGN(state_rows, stateRows(artifact, program));
  }
  return {};
}

Result<void> VulkanExecutable::selectRows(int64_t first) {
  if (first == first_row) return {};
  LINNET_TRY(checkRow(program, first));
  LINNET_TRY(needRows());
  const Limits &limits = context->inventory.limits;
  const uint64_t unit = std::max<uint64_t>({limits.storage_alignment, limits.texel_alignment, 4});
  for (const StateRows &rows : state_rows)
    if (rows.row_bytes % unit)
      return errorf(
          "{} binds memory at multiples of {} bytes, a sequence's keys have {}: compile with another "
          "--max-context, or serve one sequence at a time",
          context->inventory.name, unit, rows.row_bytes);
  first_row = first;
  return {};
}

Result<void> VulkanExecutable::copyRow(int64_t from, int64_t to, int64_t tokens) {
  LINNET_TRY(checkCopy(program, from, to, tokens));
  if (!failure.empty()) return Error{failure};
  LINNET_TRY(needRows());
  std::vector<std::pair<Range, Range>> copies;
  for (size_t i = 0; i < state_rows.size(); ++i)
    forEachRun(state_rows[i], from, to, tokens, [&](uint64_t source, uint64_t target, uint64_t bytes) {
      const Range &state = states[i];
      copies.push_back(
          {{state.buffer, state.offset + source, bytes}, {state.buffer, state.offset + target, bytes}});
    });
  return buffers.copy(copies);
}

Range VulkanExecutable::rowPart(size_t state, int64_t row, int64_t tokens) const {
  const StateRows &rows = state_rows[state];
  const uint64_t used =
      (rows.pieces - 1) * rows.piece_bytes + rows.token_bytes * static_cast<uint64_t>(tokens);
  return {states[state].buffer, states[state].offset + static_cast<uint64_t>(row) * rows.row_bytes, used};
}

// Each executable has its own VkDevice, so that rows move through the host. A state is one transfer: a submission for
// each key head would take longer than the bytes between their tokens.
Result<std::vector<std::byte>> VulkanExecutable::readRow(int64_t row, int64_t tokens) {
  LINNET_TRY(checkRead(program, row, tokens));
  if (!failure.empty()) return Error{failure};
  LINNET_TRY(needRows());
  LINNET_ASSIGN(std::vector<std::byte> bytes, partBuffer(state_rows, tokens));
  std::vector<std::byte> part;
  std::byte *to = bytes.data();
  for (size_t i = 0; i < state_rows.size() && tokens > 0; ++i) {
    const Range range = rowPart(i, row, tokens);
    part.resize(range.size);
    LINNET_TRY(buffers.read(range, part));
    forEachRun(state_rows[i], 0, 0, tokens, [&](uint64_t at, uint64_t, uint64_t count) {
      std::memcpy(to, part.data() + at, count);
      to += count;
    });
  }
  return bytes;
}

Result<void> VulkanExecutable::writeRow(int64_t row, int64_t tokens, std::span<const std::byte> bytes) {
  LINNET_TRY(needRows());
  LINNET_TRY(checkWrite(program, row, tokens, partBytes(state_rows, tokens), bytes.size()));
  if (!failure.empty()) return Error{failure};
  std::vector<std::byte> part;
  const std::byte *from = bytes.data();
  for (size_t i = 0; i < state_rows.size() && tokens > 0; ++i) {
    const Range range = rowPart(i, row, tokens);
    part.assign(range.size, std::byte(0));
    forEachRun(state_rows[i], 0, 0, tokens, [&](uint64_t at, uint64_t, uint64_t count) {
      std::memcpy(part.data() + at, from, count);
      from += count;
    });
    LINNET_TRY(buffers.write(range, part));
  }
  return {};
}

Result<std::unique_ptr<Loop>> VulkanExecutable::makeLoop(const LoopSpec &spec) {
  auto loop = VulkanLoop::make(*this, spec);
  if (!loop) return errorf("{}: {}", artifact.path(), loop.error().message);
  use.scratch += (*loop)->bytes();
  return std::unique_ptr<Loop>(std::move(*loop));
}

MemoryUse VulkanExecutable::memory() const { return use; }

// The device's clock is aligned with the host's at the begin of the run; only differences of its ticks are
// used.
Result<void> VulkanExecutable::report(int entry, const Recording &recording, int64_t begin, int64_t end) {
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(entry));
  LINNET_ASSIGN(std::vector<uint64_t> ticks, recording.stamps());
  RunTiming run{e.name()->string_view(), profileDims(program, symbols), begin, end, {}, recording.dispatches,
                recording.barriers};
  std::vector<int64_t> extents = profileExtents(*profiler, run.dims);
  std::vector<CommandTiming> timings;
  auto at = [&](size_t i) {
    if (ticks.empty()) return begin;
    const Inventory &device = context->inventory;
    double ns = static_cast<double>((ticks[i] - ticks[0]) & device.timestamp_mask) * device.timestamp_ns;
    return std::min(begin + static_cast<int64_t>(ns), end);
  };
  for (uint32_t i = 0; i < e.commands()->size(); ++i) {
    const fb::Command &command = *e.commands()->Get(i);
    const fb::Choice &choice = *command.body_as_Dispatch()->choices()->Get(recording.choices[i]);
    timings.push_back({command.op()->string_view(), command.location()->string_view(),
                       choice.name()->string_view(), at(2 * i), at(2 * i + 1),
                       recording.skipped[i] ? 0 : evaluate(command.flops(), extents),
                       recording.skipped[i] ? 0 : evaluate(command.bytes(), extents)});
  }
  run.commands = timings;
  profiler->add(run);
  return {};
}

} // namespace linnet::vulkan
