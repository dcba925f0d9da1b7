// Runs a loaded program. executable_load.cpp loads it.
#include "runtime/cpu/executable.h"
#include "runtime/expr.h"
#include "runtime/profiling.h"
#include "runtime/run_check.h"
#include "support/error.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <omp.h>
#include <utility>

namespace linnet::cpu {
namespace {

constexpr uint64_t kCacheLine = 64;

// Rows or columns of a slice. There are two slices per thread, so that a thread that lost its core leaves one
// to the others. With more slices the library would pack the other operand more often.
int64_t sliceFor(int64_t extent, int threads) {
  constexpr int64_t kBlock = 32; // a multiple of the library's vectors
  const int64_t slices = threads > 1 ? 2 * int64_t(threads) : 1;
  const int64_t size = (extent + slices - 1) / slices;
  return std::max<int64_t>((size + kBlock - 1) / kBlock * kBlock, kBlock);
}

} // namespace

Result<void> CpuExecutable::readState(std::string_view name, std::span<std::byte> to) {
  LINNET_ASSIGN(uint32_t i, findState(program, name, to.size()));
  std::memcpy(to.data(), states.data() + state_offsets[i], to.size());
  return {};
}
Result<void> CpuExecutable::writeState(std::string_view name, std::span<const std::byte> from) {
  LINNET_ASSIGN(uint32_t i, findState(program, name, from.size()));
  std::memcpy(states.data() + state_offsets[i], from.data(), from.size());
  return {};
}

Result<void> CpuExecutable::needRows() {
  if (state_rows.empty()) {
    LINNET_ASSIGN(state_rows, stateRows(artifact, program));
  }
  return {};
}

Result<void> CpuExecutable::selectRows(int64_t first) {
  if (first == first_row) return {};
  LINNET_TRY(checkRow(program, first));
  LINNET_TRY(needRows());
  for (CompiledEntry &compiled : entries)
    for (const StateOperand &operand : compiled.state_operands)
      compiled.steps[operand.step].args[operand.arg] =
          operand.first + static_cast<uint64_t>(first) * state_rows[operand.state].row_bytes;
  first_row = first;
  return {};
}

Result<void> CpuExecutable::copyRow(int64_t from, int64_t to, int64_t tokens) {
  LINNET_TRY(checkCopy(program, from, to, tokens));
  LINNET_TRY(needRows());
  for (size_t i = 0; i < state_rows.size(); ++i) {
    std::byte *state = states.data() + state_offsets[i];
    forEachRun(state_rows[i], from, to, tokens, [&](uint64_t source, uint64_t target, uint64_t bytes) {
      std::memcpy(state + target, state + source, bytes);
    });
  }
  return {};
}

// Only runs of cached tokens are touched: untouched pages use no physical memory.
Result<std::vector<std::byte>> CpuExecutable::readRow(int64_t row, int64_t tokens) {
  LINNET_TRY(checkRead(program, row, tokens));
  LINNET_TRY(needRows());
  LINNET_ASSIGN(std::vector<std::byte> bytes, partBuffer(state_rows, tokens));
  std::byte *to = bytes.data();
  for (size_t i = 0; i < state_rows.size(); ++i)
    forEachRun(state_rows[i], row, row, tokens, [&](uint64_t at, uint64_t, uint64_t count) {
      std::memcpy(to, states.data() + state_offsets[i] + at, count);
      to += count;
    });
  return bytes;
}

Result<void> CpuExecutable::writeRow(int64_t row, int64_t tokens, std::span<const std::byte> bytes) {
  LINNET_TRY(needRows());
  LINNET_TRY(checkWrite(program, row, tokens, partBytes(state_rows, tokens), bytes.size()));
  const std::byte *from = bytes.data();
  for (size_t i = 0; i < state_rows.size(); ++i)
    forEachRun(state_rows[i], row, row, tokens, [&](uint64_t at, uint64_t, uint64_t count) {
      std::memcpy(states.data() + state_offsets[i] + at, from, count);
      from += count;
    });
  return {};
}

MemoryUse CpuExecutable::memory() const {
  MemoryUse use;
  for (const fb::Weight *weight : *program.weights()) use.weights += weight->blob()->size();
  use.states = states.size();
  use.arena = arena.size();
  use.io = io.size();
  use.scratch = scratch.size();
  return use;
}

void CpuExecutable::setProfiler(std::shared_ptr<Profiler> p) {
  profiler = std::move(p);
  if (profiler)
    stamps.reserve(static_cast<size_t>(threads), tasks.size());
  else
    stamps.release();
}

Result<void> CpuExecutable::run(int entry, std::span<const int64_t> values,
                                std::span<const std::span<const std::byte>> inputs,
                                const std::vector<bool> &wanted) {
  last_entry = -1;
  LINNET_TRY(checkRun(artifact, program, entry, values, inputs, wanted));
  if (first_row) LINNET_TRY(checkRows(program, first_row, values));
  const fb::Entry &e = *entries[static_cast<size_t>(entry)].entry;
  for (uint32_t i = 0; i < e.inputs()->size(); ++i)
    if (!inputs[i].empty())
      std::memcpy(io.data() + e.inputs()->Get(i)->offset(), inputs[i].data(), inputs[i].size());
  std::copy(values.begin(), values.end(), symbols.begin());
  LINNET_TRY(execute(entry, symbols, wanted));
  last_entry = entry;
  return {};
}

Result<std::span<const std::byte>> CpuExecutable::output(int i) {
  if (last_entry < 0) return Error{"no output: nothing has been run"};
  const fb::Entry &e = *entries[static_cast<size_t>(last_entry)].entry;
  if (i < 0 || static_cast<uint32_t>(i) >= e.outputs()->size())
    return errorf("entry '{}' has {} outputs, number {} was asked for", e.name()->string_view(),
                  e.outputs()->size(), i);
  const fb::Port &port = *e.outputs()->Get(static_cast<uint32_t>(i));
  return std::span<const std::byte>(io.data() + port.offset(), portBytes(port, symbols));
}

// Whether the library would be faster than the generated kernel. Only for a step that the library may execute.
bool CpuExecutable::isLarge(const Step &step, std::span<const int64_t> values) {
  return step.matmul ? isWorthwhile(*step.packed, values) : isWorthwhile(*step.gemm, values);
}

CpuExecutable::Task CpuExecutable::plan(const Step &step, std::span<const int64_t> values) {
  Task task;
  int64_t amount = evaluate(step.amount, values);
  if (!step.matmul) {
    task.items = amount;
    task.grain = step.grain;
    task.dims = values.data();
    if (!step.library) return task;
    task.m = evaluate(step.gemm->m(), values), task.k = evaluate(step.gemm->k(), values);
    task.n = evaluate(step.gemm->n(), values);
    task.library = isLarge(step, values) && takenByLibrary(step, task);
    return task;
  }
  task.m = amount;
  task.items = amount ? step.panels : 0;
  task.library = step.library && isLarge(step, values) && takenByLibrary(step, task);
  return task;
}

MatmulShape CpuExecutable::shapeOf(const Step &step, const Task &task) {
  MatmulShape shape = step.shape;
  shape.m = task.m;
  if (!step.gemm) return shape;
  shape.k = task.k, shape.n = task.n;
  shape.a_stride = shape.transpose_a ? shape.m : shape.k;
  return shape;
}

// Divides a matmul into slices of rows or columns that threads claim like other work. Returns false if the
// library has no fast implementation for them.
bool CpuExecutable::takenByLibrary(const Step &step, Task &task) {
  const MatmulShape whole = shapeOf(step, task);
  Task sliced = task;
  sliced.along = whole.plain && whole.n > whole.m ? Along::Columns : Along::Rows;
  sliced.items = sliced.along == Along::Rows ? whole.m : whole.n;
  sliced.grain = sliceFor(sliced.items, threads);
  const int64_t rest = sliced.items % sliced.grain;
  for (int64_t size : {std::min(sliced.items, sliced.grain), rest})
    if (size && !libraries[0].supports(slicedShape(whole, sliced.along, size))) return false;
  task = sliced;
  return true;
}

Result<uint64_t> CpuExecutable::libraryScratch(const Step &step, const Task &task) {
  uint64_t bytes = 0;
  for (int64_t size : {std::min(task.items, task.grain), task.items % task.grain}) {
    if (!size) continue;
    LINNET_ASSIGN(uint64_t need,
                  libraries[0].scratchBytes(slicedShape(shapeOf(step, task), task.along, size)));
    bytes = std::max(bytes, need);
  }
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// All commands of an entry are one task for the threads. They are the pool's, or OpenMP's if the user bound
// OpenMP's threads to processors.
Result<void> CpuExecutable::execute(int entry, std::span<const int64_t> values,
                                    const std::vector<bool> &wanted) {
  const CompiledEntry &compiled = entries[static_cast<size_t>(entry)];
  const size_t count = compiled.steps.size();
  uint64_t need = 0;
  for (size_t i = 0; i < count; ++i) {
    const Step &step = compiled.steps[i];
    tasks[i] = serves(step.only_for, wanted) ? plan(step, values) : Task(); // no items
    if (step.matmul) tasks[i].dims = &tasks[i].m;
    if (!tasks[i].library) continue;
    LINNET_ASSIGN(uint64_t bytes, libraryScratch(step, tasks[i]));
    need = std::max(need, bytes);
  }
  if (need > thread_scratch) { // fewer rows need more memory than more rows: rare, and paid once
    LINNET_ASSIGN(scratch,
                  Reservation::allocate(need * static_cast<uint64_t>(threads), "working memory of matmuls"));
    thread_scratch = need;
  }
  const int64_t begin = profileNow();
  if (profiler) stamps.clear();
  const int size = team.size(begin);
  for (size_t i = 0; i < count; ++i) progress[i].reset(size);
  auto share = profiler ? &CpuExecutable::runShare<true> : &CpuExecutable::runShare<false>;
  std::atomic<int64_t> waited{0};
  auto work = [&](int thread) {
    const int64_t before = Team::waited();
    (this->*share)(compiled, thread, size);
    waited.fetch_add(Team::waited() - before, std::memory_order_relaxed);
  };
  if (size == 1) {
    (this->*share)(compiled, 0, 1);
  } else if (omp_get_proc_bind() != omp_proc_bind_false) {
#pragma omp parallel num_threads(size)
    work(omp_get_thread_num());
  } else {
    pool.run(size, spins, std::ref(work)); // by reference, so that its captures need no allocation
  }
  if (size > 1) team.worked(waited.load(std::memory_order_relaxed), begin, profileNow());
  if (failed) {
    Error error = *std::exchange(failed, std::nullopt);
    return error;
  }
  if (profiler) report(compiled, values, begin, profileNow());
  return {};
}

// One thread's part of all commands. It claims pieces of each command, contiguous items in multiples of the
// grain, until none is left. There are a few pieces per thread, so that a slower thread takes fewer. A slice
// of the library is one piece. If kStamped, it records the begin and end of its pieces, or nothing if it got
// none.
template <bool kStamped> void CpuExecutable::runShare(const CompiledEntry &entry, int thread, int team) {
  constexpr int64_t kPiecesPerThread = 4;
  for (size_t i = 0; i < entry.steps.size(); ++i) {
    const Step &step = entry.steps[i];
    const Task &task = tasks[i];
    int64_t grains = task.items / task.grain + (task.items % task.grain != 0);
    int64_t pieces = task.library ? grains
                     : team == 1  ? std::min<int64_t>(grains, 1)
                                  : std::min(grains, team * kPiecesPerThread);
    auto count = static_cast<uint32_t>(pieces);
    auto self = static_cast<uint32_t>(thread), all = static_cast<uint32_t>(team);
    int64_t started = kStamped ? profileNow() : 0;
    int64_t ended = 0;
    for (uint32_t piece; (piece = progress[i].claim(self, all, count)) < count;) {
      int64_t begin = partBegin(grains, pieces, piece) * task.grain;
      int64_t end = std::min(partBegin(grains, pieces, piece + 1) * task.grain, task.items);
      if (task.library)
        runLibrary(step, task, thread, begin, end);
      else
        step.kernel(task.dims, step.args.data(), begin, end);
      if (kStamped) ended = profileNow(); // before other threads can start the next command
      progress[i].finish(count);
    }
    if (kStamped && ended) stamps.note(static_cast<size_t>(thread), i, started, ended);
    progress[i].wait(count, spins);
  }
}

void CpuExecutable::runLibrary(const Step &step, const Task &task, int thread, int64_t begin, int64_t end) {
  const MatmulShape whole = shapeOf(step, task);
  const MatmulOperands operands = {step.args[0], step.args[1], step.args[2], step.args[3], step.args[4]};
  const auto own = static_cast<size_t>(thread);
  auto done = libraries[own].run(slicedShape(whole, task.along, end - begin),
                                 slicedOperands(whole, operands, task.along, begin),
                                 scratch.data() + own * thread_scratch);
  if (done) return;
  const std::lock_guard lock(failing);
  if (!failed) failed = done.error();
}

// Reports the time and the kernel of each command to the profiler after a run.
void CpuExecutable::report(const CompiledEntry &entry, std::span<const int64_t> values, int64_t begin,
                           int64_t end) {
  RunTiming run{entry.entry->name()->string_view(), profileDims(program, values), begin, end, {}};
  std::vector<int64_t> extents = profileExtents(*profiler, run.dims);
  std::vector<CommandTiming> timings(entry.steps.size());
  std::vector<std::string> names(entry.steps.size());
  int64_t last = begin; // the time of a command without work
  for (size_t i = 0; i < timings.size(); ++i) {
    const fb::Command &command = *entry.entry->commands()->Get(static_cast<uint32_t>(i));
    if (tasks[i].library) {
      const Task &task = tasks[i];
      auto name = libraries[0].implementation(
          slicedShape(shapeOf(entry.steps[i], task), task.along, std::min(task.items, task.grain)));
      names[i] = "onednn " + (name ? *name : std::string());
    }
    const auto *call = command.body_as_KernelCall();
    uint32_t kernel = call ? call->kernel() : command.body_as_PackedMatmul()->kernel();
    Stamp stamp = stamps.of(i);
    const bool idle = stamp.end == 0; // it was skipped or had no work
    if (idle) stamp = {last, last};
    last = stamp.end;
    timings[i] = {command.op()->string_view(),
                  command.location()->string_view(),
                  tasks[i].library ? std::string_view(names[i])
                                   : program.kernels()->Get(kernel)->string_view(),
                  stamp.begin,
                  stamp.end,
                  idle ? 0 : evaluate(command.flops(), extents),
                  idle ? 0 : evaluate(command.bytes(), extents)};
  }
  run.commands = timings;
  profiler->add(run);
}

} // namespace linnet::cpu
