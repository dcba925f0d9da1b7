// Loads a program: resolves the addresses of its commands and allocates all memory of its runs.
#include "runtime/artifact/format.h"
#include "runtime/cpu/executable.h"
#include "runtime/layout.h"
#include "runtime/run_check.h"
#include "support/error.h"
#include "support/processor.h"

#include <algorithm>
#include <omp.h>

namespace linnet::cpu {
namespace {

uint64_t aligned(uint64_t bytes) {
  return (bytes + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
}

bool samePlace(const fb::Ref &a, const fb::Ref &b) {
  return a.space() == b.space() && a.index() == b.index() && a.offset() == b.offset();
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
  LINNET_ASSIGN(made->code, LoadedCode::load(artifact, program));
  made->libraries = std::vector<MatmulLibrary>(static_cast<size_t>(made->threads));
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
  // Caches of a language model fill slowly, but states of a training program are used fully.
  const bool caches = artifact.metadata().kind()->string_view() != format::kGraph;
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
  case fb::Space::counter: // cpu kernels have no counters
  case fb::Space::arena:
    base = arena.data();
    break;
  }
  return base + ref->offset();
}

// Resolves the addresses of an entry. The offsets of ports depend on the entry.
void CpuExecutable::compile(CompiledEntry &compiled) {
  auto place = [&](const fb::Ref *ref) -> void * {
    if (!ref) return nullptr;
    auto *p = static_cast<std::byte *>(address(ref));
    if (ref->space() == fb::Space::input) p += compiled.entry->inputs()->Get(ref->index())->offset();
    if (ref->space() == fb::Space::output) p += compiled.entry->outputs()->Get(ref->index())->offset();
    return p;
  };
  auto add = [&](Step &step, const fb::Ref *ref) {
    if (ref && ref->space() == fb::Space::state)
      compiled.state_operands.push_back(
          {compiled.steps.size(), step.args.size(), ref->index(), static_cast<std::byte *>(place(ref))});
    step.args.push_back(place(ref));
  };
  for (const fb::Command *command : *compiled.entry->commands()) {
    if (auto *call = command->body_as_KernelCall()) {
      Step step = compileCall(*call);
      step.only_for = command->only_for();
      for (const fb::Ref *ref : *call->args()) add(step, ref);
      compiled.steps.push_back(std::move(step));
    } else {
      auto *matmul = command->body_as_PackedMatmul();
      Step step = compileMatmul(*matmul);
      step.only_for = command->only_for();
      for (const fb::Ref *ref :
           {matmul->a(), matmul->w(), matmul->bias(), matmul->residual(), matmul->out(), matmul->scale()})
        add(step, ref);
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
  step.packed = &call;
  step.panels = layout.panels(call.n());
  const LibraryUse use = libraryUse(call, program);
  step.library = use == LibraryUse::Always || (use == LibraryUse::WithTiles && hostHasFeature("amx-bf16"));
  step.shape.bf16 = use == LibraryUse::WithTiles;
  step.shape.k = call.k();
  step.shape.n = call.n();
  step.shape.a_stride = call.a_stride();
  step.shape.activation = call.activation();
  step.shape.bias = call.bias() != nullptr;
  if (call.residual())
    step.shape.residual = samePlace(*call.residual(), *call.out()) ? Residual::InPlace : Residual::Elsewhere;
  return step;
}

// Loads the library if a command may call it, and allocates its working memory for the most rows at the bounds.
Result<void> CpuExecutable::reserveScratch() {
  uint64_t bytes = 0;
  for (CompiledEntry &compiled : entries) {
    std::vector<int64_t> bounds(compiled.entry->bounds()->begin(), compiled.entry->bounds()->end());
    for (Step &step : compiled.steps) {
      step.library = step.library && isLarge(step, bounds);
      if (!step.library) continue;
      LINNET_TRY(MatmulLibrary::load());
      const Task most = plan(step, bounds);
      step.library = most.library;
      if (!step.library) continue;
      Task fewest = most; // for a packed matmul, fewer rows may use another implementation
      if (step.matmul) fewest.m = std::min(most.m, int64_t(step.packed->crossover()) + 1);
      for (Task task : {most, fewest}) {
        if (!takenByLibrary(step, task)) continue;
        LINNET_ASSIGN(uint64_t need, libraryScratch(step, task));
        bytes = std::max(bytes, need);
      }
    }
  }
  if (bytes == 0) return {};
  thread_scratch = bytes;
  bytes *= static_cast<uint64_t>(threads);
  LINNET_TRY(requireMemory(bytes, "working memory of matmuls"));
  LINNET_ASSIGN(scratch, Reservation::allocate(bytes, "working memory of matmuls"));
  return {};
}

} // namespace linnet::cpu
