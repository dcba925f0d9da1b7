// A program on the CPU. One team of threads executes its commands, whose operands are resolved to addresses.
#pragma once
#include "runtime/cpu/code.h"
#include "runtime/cpu/library_use.h"
#include "runtime/cpu/onednn.h"
#include "runtime/cpu/progress.h"
#include "runtime/cpu/stamps.h"
#include "runtime/cpu/team.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/device.h"
#include "runtime/memory.h"
#include "runtime/state_rows.h"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace linnet::cpu {

/// run() is bit-reproducible for the same artifact, processor, thread count and inputs. Generated kernels
/// give the same results for any number of threads, because their items are independent. oneDNN's slices
/// depend on the number of threads that was requested, not on how many the team uses at the time.
class CpuExecutable : public Executable {
public:
  static Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                                  const DeviceOptions &options);

  Result<void> run(int entry, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   const std::vector<bool> &wanted) override;
  Result<std::span<const std::byte>> output(int i) override;
  void resetStates() override { states.zero(); }
  Result<void> readState(std::string_view name, std::span<std::byte> to) override;
  Result<void> writeState(std::string_view name, std::span<const std::byte> from) override;
  Result<void> selectRows(int64_t first) override;
  Result<void> copyRow(int64_t from, int64_t to, int64_t tokens) override;
  Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens) override;
  Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> from) override;
  MemoryUse memory() const override;
  void setProfiler(std::shared_ptr<Profiler> p) override;

private:
  // One command, operands resolved to addresses. For a matmul args are {a, w, bias, residual, out}.
  struct Step {
    Kernel kernel = nullptr;
    std::vector<void *> args;
    const fb::Expr *amount = nullptr;                        // items of work, or a matmul's m
    const flatbuffers::Vector<uint16_t> *only_for = nullptr; // outputs; null: it always runs
    int64_t grain = 1;
    bool matmul = false, library = false; // library: oneDNN may be used
    int64_t panels = 0;
    const fb::Gemm *gemm = nullptr;           // set for a kernel call that the library may replace
    const fb::PackedMatmul *packed = nullptr; // set for a matmul
    MatmulShape shape;
  };
  // The work of a step in the current run.
  struct Task {
    int64_t items = 0, grain = 1;
    const int64_t *dims = nullptr;
    int64_t m = 0, k = 0, n = 0; // sizes of a matmul
    // oneDNN computes it: items are rows or columns of the result, and grain is a slice
    bool library = false;
    Along along = Along::Rows;
  };
  // An operand that is a state.
  struct StateOperand {
    size_t step, arg;
    uint32_t state;
    std::byte *first; // its address if the run begins at row 0
  };
  struct CompiledEntry {
    const fb::Entry *entry = nullptr;
    std::vector<Step> steps;
    std::vector<StateOperand> state_operands;
  };

  CpuExecutable(const Artifact &artifact, const fb::Program &program)
      : artifact(artifact), program(program) {}
  Result<void> allocate();
  Result<void> needRows();
  Result<void> reserveScratch();
  void *address(const fb::Ref *ref) const;
  void compile(CompiledEntry &compiled);
  Step compileCall(const fb::KernelCall &call) const;
  Step compileMatmul(const fb::PackedMatmul &call) const;
  Result<void> execute(int entry, std::span<const int64_t> symbols, const std::vector<bool> &wanted);
  static bool isLarge(const Step &step, std::span<const int64_t> symbols);
  Task plan(const Step &step, std::span<const int64_t> symbols);
  bool takenByLibrary(const Step &step, Task &task);
  Result<uint64_t> libraryScratch(const Step &step, const Task &task);
  template <bool kStamped> void runShare(const CompiledEntry &entry, int thread, int team);
  static MatmulShape shapeOf(const Step &step, const Task &task);
  void runLibrary(const Step &step, const Task &task, int thread, int64_t begin, int64_t end);
  void report(const CompiledEntry &entry, std::span<const int64_t> symbols, int64_t begin, int64_t end);

  const Artifact &artifact;
  const fb::Program &program;
  int threads = 1, spins = 0; // spins: polls before a thread sleeps
  Team team{1};               // the number of threads that work
  ThreadPool pool;
  LoadedCode code;
  std::vector<MatmulLibrary> libraries; // one per thread
  Reservation states, arena, io, scratch;
  uint64_t thread_scratch = 0; // bytes of scratch for each thread
  std::vector<uint64_t> state_offsets;
  std::vector<StateRows> state_rows; // made by needRows() when rows are selected, copied, read or written
  int64_t first_row = 0;
  std::vector<CompiledEntry> entries;
  std::vector<Task> tasks;      // one for each command of the longest entry
  std::vector<int64_t> symbols; // symbols of the current run
  std::shared_ptr<Profiler> profiler;
  Stamps stamps;                        // time stamps of the current run, if there is a profiler
  std::unique_ptr<Progress[]> progress; // one per command of a run
  std::mutex failing;
  std::optional<Error> failed; // the first error of a run
  int last_entry = -1;
};

} // namespace linnet::cpu
