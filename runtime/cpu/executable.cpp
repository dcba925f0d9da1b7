#include "runtime/cpu/executable.h"
#include "runtime/cpu/features.h"
#include "runtime/expr.h"
#include "runtime/format.h"
#include "runtime/layout.h"
#include "runtime/profiling.h"
#include "runtime/run_check.h"
#include "support/error.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <omp.h>

namespace linnet::cpu {
namespace {

uint64_t aligned(uint64_t bytes) {
  return (bytes + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
}

bool samePlace(const fb::Ref &a, const fb::Ref &b) {
  return a.space() == b.space() && a.index() == b.index() && a.offset() == b.offset();
}

bool lacks(const fb::Code *code, std::string_view feature) {
  for (const auto *f : *code->features())
    if (f->string_view() == feature) return false;
  return true;
}

// A variant that was forced below the processor's best holds for oneDNN, too.
void limitLibraryTo(const fb::Code *code) {
  if (lacks(code, "avx2")) return limitLibraryToSse41();
  if (lacks(code, "avx512f")) limitLibraryToAvx2();
}

} // namespace

Result<std::unique_ptr<Executable>> CpuExecutable::load(const Artifact &artifact, const fb::Program &program,
                                                        const DeviceOptions &options) {
  constexpr int kMostThreads = 4096;
  if (options.threads < 0 || options.threads > kMostThreads)
    return errorf("expected from 1 to {} threads, found {}", kMostThreads, options.threads);
  if (program.shaders() && program.shaders()->size())
    return errorf("{}: its program for the cpu consists of shaders", artifact.path());
  std::unique_ptr<CpuExecutable> made(new CpuExecutable(artifact, program));
  made->threads = options.threads ? options.threads : omp_get_max_threads();
  if (made->threads > kMostThreads)
    return errorf("OMP_NUM_THREADS: expected from 1 to {} threads, found {}", kMostThreads, made->threads);
  made->team = Team(made->threads);
  made->spins = Progress::spinsFor(made->threads, omp_get_num_procs());
  const char *forced = std::getenv(kIsaVariable);
  if (forced && *forced && program.code()->size()) {
    LINNET_ASSIGN(const fb::Code *chosen, chooseCode(program));
    limitLibraryTo(chosen);
  }
  LINNET_ASSIGN(made->code, LoadedCode::load(artifact, program));
  made->library = std::make_unique<MatmulLibrary>(made->threads);
  if (auto allocated = made->allocate(); !allocated)
    return errorf("{}: {}", artifact.path(), allocated.error().message);
  return std::unique_ptr<Executable>(std::move(made));
}

Result<void> CpuExecutable::allocate() {
  uint64_t state_bytes = 0, io_bytes = 0;
  size_t commands = 0;
  for (const fb::State *state : *program.states()) {
    state_offsets.push_back(state_bytes);
    state_bytes += aligned(state->bytes());
  }
  for (const fb::Entry *entry : *program.entries()) {
    io_bytes = std::max(io_bytes, entry->io_bytes());
    commands = std::max<size_t>(commands, entry->commands()->size());
  }
  LINNET_TRY(requireMemory(state_bytes + program.arena_bytes() + io_bytes,
                           fmt::format("states {}, activations {}, inputs and outputs {}", state_bytes,
                                       program.arena_bytes(), io_bytes)));
  // Caches of a language model fill up slowly, if at all; what a training program keeps is used whole.
  const bool caches = !artifact.metadata().kind()->string_view().empty();
  LINNET_ASSIGN(states, Reservation::allocate(state_bytes, "states", caches ? Pages::Small : Pages::Large));
  LINNET_ASSIGN(arena, Reservation::allocate(program.arena_bytes(), "activations"));
  LINNET_ASSIGN(io, Reservation::allocate(io_bytes, "inputs and outputs"));
  tasks.resize(commands);
  progress = std::make_unique<Progress[]>(commands);
  for (size_t i = 0; i < commands; ++i) progress[i].allot(threads);
  symbols.resize(program.symbols()->size());
  entries.resize(program.entries()->size());
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i].entry = program.entries()->Get(static_cast<uint32_t>(i));
    compile(entries[i]);
  }
  return reserveScratch();
}

void *CpuExecutable::address(const fb::Ref *ref) const {
  if (!ref) return nullptr;
  std::byte *base = nullptr;
  uint32_t i = ref->index();
  switch (ref->space()) {
  case fb::Space::weight:
    base = const_cast<std::byte *>(artifact.blob(*program.weights()->Get(i)->blob()).data());
    break;
  case fb::Space::state:
    base = states.data() + state_offsets[i];
    break;
  case fb::Space::input:
  case fb::Space::output:
    base = io.data();
    break;                 // the port's offset is added by the caller
  case fb::Space::counter: // no kernel of the cpu has any
  case fb::Space::arena:
    base = arena.data();
    break;
  }
  return base + ref->offset();
}

// Ports lie at offsets that depend on the entry.
void CpuExecutable::compile(CompiledEntry &compiled) {
  auto place = [&](const fb::Ref *ref) -> void * {
    if (!ref) return nullptr;
    auto *p = static_cast<std::byte *>(address(ref));
    if (ref->space() == fb::Space::input) p += compiled.entry->inputs()->Get(ref->index())->offset();
    if (ref->space() == fb::Space::output) p += compiled.entry->outputs()->Get(ref->index())->offset();
    return p;
  };
  for (const fb::Command *command : *compiled.entry->commands()) {
    if (auto *call = command->body_as_KernelCall()) {
      Step step = compileCall(*call);
      step.only_for = command->only_for();
      for (const fb::Ref *ref : *call->args()) step.args.push_back(place(ref));
      compiled.steps.push_back(std::move(step));
    } else {
      auto *matmul = command->body_as_PackedMatmul();
      Step step = compileMatmul(*matmul);
      step.only_for = command->only_for();
      for (const fb::Ref *ref :
           {matmul->a(), matmul->w(), matmul->bias(), matmul->residual(), matmul->out(), matmul->scale()})
        step.args.push_back(place(ref));
      compiled.steps.push_back(std::move(step));
    }
  }
}

CpuExecutable::Step CpuExecutable::compileCall(const fb::KernelCall &call) const {
  Step step;
  step.kernel = code.kernel(call.kernel());
  step.amount = call.work();
  step.grain = call.grain();
  if (const fb::Gemm *gemm = call.gemm()) {
    step.gemm = gemm;
    step.library = true;
    step.shape.plain = true;
    step.shape.bf16 = gemm->bf16();
    step.shape.transpose_a = gemm->transpose_a(), step.shape.transpose_w = gemm->transpose_w();
    step.shape.activation = gemm->activation();
    step.shape.bias = gemm->bias();
    if (gemm->residual())
      step.shape.residual =
          samePlace(*call.args()->Get(3), *call.args()->Get(4)) ? Residual::InPlace : Residual::Elsewhere;
  }
  return step;
}

CpuExecutable::Step CpuExecutable::compileMatmul(const fb::PackedMatmul &call) const {
  Step step;
  const fb::Weight &weight = *program.weights()->Get(call.w()->index());
  PanelLayout layout =
      *parsePanelLayout(weight.layout()->string_view()); // checked when the artifact was read
  step.matmul = true;
  step.kernel = code.kernel(call.kernel());
  step.amount = call.m();
  step.crossover = call.crossover();
  step.panels = layout.panels(call.n());
  // The library's own blocks of two rows end at 32; it is faster with them where it has AMX.
  const bool floats = weight.dtype() == fb::DType::f32 && layout.interleave == 1,
             pairs =
                 call.a_bf16() && layout.interleave == 2 && call.k() % 32 == 0 && hostHasFeature("amx-bf16");
  step.library = (floats || pairs) && !call.scale() && layout.k_block == 16 && layout.n_block == 64;
  step.shape.bf16 = pairs;
  step.shape.k = call.k();
  step.shape.n = call.n();
  step.shape.a_stride = call.a_stride();
  step.shape.activation = call.activation();
  step.shape.bias = call.bias() != nullptr;
  if (call.residual())
    step.shape.residual = samePlace(*call.residual(), *call.out()) ? Residual::InPlace : Residual::Elsewhere;
  return step;
}

// The library's working memory is taken now, for the most rows that the bounds allow.
Result<void> CpuExecutable::reserveScratch() {
  uint64_t bytes = 0;
  for (CompiledEntry &compiled : entries) {
    std::vector<int64_t> bounds(compiled.entry->bounds()->begin(), compiled.entry->bounds()->end());
    for (Step &step : compiled.steps) {
      if (!step.library) continue;
      const Task most = plan(step, bounds);
      step.library = most.library;
      if (!step.library) continue;
      MatmulShape shape = shapeOf(step, most);
      for (int64_t m : {shape.m, step.gemm ? shape.m : step.crossover + 1}) {
        shape.m = m;
        LINNET_ASSIGN(uint64_t need, library->scratchBytes(shape));
        bytes = std::max(bytes, need);
      }
    }
  }
  if (bytes == 0) return {};
  LINNET_TRY(requireMemory(bytes, "working memory of matmuls"));
  LINNET_ASSIGN(scratch, Reservation::allocate(bytes, "working memory of matmuls"));
  return {};
}

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
    constexpr double kWorthwhile = 1 << 18; // multiply-adds; below, a call costs more than it saves
    task.library = double(task.m) * double(task.k) * double(task.n) >= kWorthwhile &&
                   library->supports(shapeOf(step, task));
    return task;
  }
  task.m = amount;
  task.items = amount ? step.panels : 0;
  task.library = step.library && amount > step.crossover;
  if (task.library) task.library = library->supports(shapeOf(step, task));
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

// Runs of generated kernels share one piece of work for the threads. The library brings OpenMP's, which spin
// for milliseconds behind its calls and would keep others from their processors: where it is called, they do
// all. So they do where OpenMP was told which processors they are bound to.
Result<void> CpuExecutable::execute(int entry, std::span<const int64_t> values,
                                    const std::vector<bool> &wanted) {
  const CompiledEntry &compiled = entries[static_cast<size_t>(entry)];
  size_t count = compiled.steps.size();
  bool openmp = omp_get_proc_bind() != omp_proc_bind_false;
  for (size_t i = 0; i < count; ++i) {
    const Step &step = compiled.steps[i];
    tasks[i] = serves(step.only_for, wanted) ? plan(step, values) : Task(); // no items
    if (step.matmul) tasks[i].dims = &tasks[i].m;
    openmp |= tasks[i].library;
  }
  int64_t start = profiler ? profileNow() : 0;
  if (profiler) stamps.clear();
  for (size_t i = 0; i < count;) {
    if (tasks[i].library) {
      int64_t begin = profiler ? profileNow() : 0;
      LINNET_TRY(runLibrary(compiled.steps[i], tasks[i]));
      if (profiler) stamps.note(0, i, begin, profileNow());
      ++i;
      continue;
    }
    size_t last = i;
    while (last < count && !tasks[last].library) ++last;
    runKernels(compiled, i, last, openmp);
    i = last;
  }
  if (profiler) report(compiled, values, start, profileNow());
  return {};
}

void CpuExecutable::runKernels(const CompiledEntry &entry, size_t first, size_t last, bool openmp) {
  auto share = profiler ? &CpuExecutable::runShare<true> : &CpuExecutable::runShare<false>;
  const int64_t begin = profileNow();
  const int size = team.size(begin);
  for (size_t i = first; i < last; ++i) progress[i].reset(size);
  if (size == 1) return (this->*share)(entry, first, last, 0, 1);
  std::atomic<int64_t> waited{0};
  auto work = [&](int thread) {
    const int64_t before = Team::waited();
    (this->*share)(entry, first, last, thread, size);
    waited.fetch_add(Team::waited() - before, std::memory_order_relaxed);
  };
  if (openmp) {
#pragma omp parallel num_threads(size)
    work(omp_get_thread_num());
  } else {
    pool.run(size, spins, std::ref(work)); // by reference: no memory is taken for what it captures
  }
  team.worked(waited.load(std::memory_order_relaxed), begin, profileNow());
}

// Where piece number `piece` begins, in grains.
static int64_t split(int64_t grains, int64_t pieces, int64_t piece) { return grains * piece / pieces; }

// One thread's part of commands [first, last): of each it claims pieces, contiguous items in multiples of the
// grain, until none is left. A few pieces a thread, so that a slower one takes fewer. Stamped, it notes when
// it began and ended its pieces, and nothing where it found none left.
template <bool kStamped>
void CpuExecutable::runShare(const CompiledEntry &entry, size_t first, size_t last, int thread, int team) {
  constexpr int64_t kPiecesPerThread = 4;
  for (size_t i = first; i < last; ++i) {
    const Step &step = entry.steps[i];
    const Task &task = tasks[i];
    int64_t grains = task.items / task.grain + (task.items % task.grain != 0);
    int64_t pieces = team == 1 ? std::min<int64_t>(grains, 1) : std::min(grains, team * kPiecesPerThread);
    auto count = static_cast<uint32_t>(pieces);
    auto self = static_cast<uint32_t>(thread), all = static_cast<uint32_t>(team);
    int64_t started = kStamped ? profileNow() : 0;
    int64_t ended = 0;
    for (uint32_t piece; (piece = progress[i].claim(self, all, count)) < count;) {
      int64_t begin = split(grains, pieces, piece) * task.grain;
      int64_t end = std::min(split(grains, pieces, piece + 1) * task.grain, task.items);
      step.kernel(task.dims, step.args.data(), begin, end);
      if (kStamped) ended = profileNow(); // before others may go on to the next command
      progress[i].finish(count);
    }
    if (kStamped && ended) stamps.note(static_cast<size_t>(thread), i, started, ended);
    progress[i].wait(count, spins);
  }
}

Result<void> CpuExecutable::runLibrary(const Step &step, const Task &task) {
  MatmulShape shape = shapeOf(step, task);
  LINNET_ASSIGN(uint64_t need, library->scratchBytes(shape));
  if (need > scratch.size()) { // more than for more rows: rare, and paid once
    LINNET_ASSIGN(scratch, Reservation::allocate(need, "working memory of matmuls"));
  }
  return library->run(shape, {step.args[0], step.args[1], step.args[2], step.args[3], step.args[4]},
                      scratch.data());
}

// After a run: what its commands cost, and who did the work.
void CpuExecutable::report(const CompiledEntry &entry, std::span<const int64_t> values, int64_t begin,
                           int64_t end) {
  RunTiming run{entry.entry->name()->string_view(), profileDims(program, values), begin, end, {}};
  std::vector<int64_t> extents = profileExtents(*profiler, run.dims);
  std::vector<CommandTiming> timings(entry.steps.size());
  std::vector<std::string> names(entry.steps.size());
  int64_t last = begin; // where a command without work stands
  for (size_t i = 0; i < timings.size(); ++i) {
    const fb::Command &command = *entry.entry->commands()->Get(static_cast<uint32_t>(i));
    if (tasks[i].library) {
      auto name = library->implementation(shapeOf(entry.steps[i], tasks[i]));
      names[i] = "onednn " + (name ? *name : std::string());
    }
    const auto *call = command.body_as_KernelCall();
    uint32_t kernel = call ? call->kernel() : command.body_as_PackedMatmul()->kernel();
    Stamp stamp = stamps.of(i);
    const bool idle = stamp.end == 0; // nobody wanted it, or it had no work
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
