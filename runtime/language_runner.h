// Runs the entries of a language model over rows of tokens: binds inputs and outputs by name, pads on the
// right. One runner is one KV cache.
#pragma once
#include "linnet/model.h"
#include "runtime/decoder.h"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Part of a row: tokens that follow `past` tokens which the cache holds in that row.
struct RowChunk {
  std::span<const TokenId> ids;
  int64_t past = 0;
};

/// What an entry of a language model must look like, found by name. Number of an input or output, -1: there
/// is none.
struct LanguageEntry {
  int index = -1;
  int ids = -1, past = -1, length = -1;
  int64_t max_batch = 0, max_seq = 0, context = 0;
  std::vector<int64_t> symbols; // at the bounds; batch and seq are filled in for each run
  int batch_symbol = -1, seq_symbol = -1;
  std::map<std::string, int, std::less<>> outputs;
  std::string last_output; // of entry hidden: what the last norm gives

  int output(std::string_view name) const {
    auto found = outputs.find(name);
    return found == outputs.end() ? -1 : found->second;
  }
};

/// `name` in `program`, or an error that says what it lacks.
Result<LanguageEntry> bindLanguageEntry(const Artifact &artifact, const fb::Program &program,
                                        std::string_view name);

class LanguageRunner {
public:
  LanguageRunner(std::unique_ptr<Executable> executable, const Artifact &artifact, const fb::Program &program)
      : executable(std::move(executable)), artifact(artifact), program(program),
        decoder(*this->executable, artifact, program) {}
  /// Binds an entry at its first use.
  Result<const LanguageEntry *> entry(std::string_view name);
  /// One run: row i of the batch is rows[i]; shorter rows are padded. `output`: the one that will be read.
  /// Another one may be `also`.
  Result<void> run(const LanguageEntry &entry, std::span<const RowChunk> rows, int output, int also = -1);
  /// Takes what decode() needs, where the device and `entry` can decode many tokens at once.
  Result<void> prepareDecoding(const LanguageEntry &entry) { return decoder.prepare(entry); }
  /// Whether decode() gives the likeliest tokens, and drawn ones. A profiler wants tokens one at a time.
  bool canDecode() const { return decoder.canTakeLikeliest() && !profiler; }
  bool canDraw() const { return decoder.canDraw() && !profiler; }
  int64_t mostAtOnce() const { return decoder.mostSteps(); }
  /// The next `steps` tokens of each row, which have one token each: the likeliest, or as `draw` says. In the
  /// order of steps, one of each row. See Decoder.
  Result<std::span<const int32_t>> decode(const LanguageEntry &entry, std::span<const RowChunk> rows,
                                          int64_t steps, const Draw *draw = nullptr);
  /// Output of the last run.
  Result<std::span<const float>> floats(int output);
  Result<std::span<const int32_t>> ints(int output);
  /// The bit patterns of a state of f16. An error where there is none of that name, or the device cannot.
  Result<std::vector<uint16_t>> halvesOfState(std::string_view name);
  void resetStates() { executable->resetStates(); }
  /// Whether decode() ever works: tokens are then chosen where the host sees no logits.
  bool hasLoop() const { return decoder.canTakeLikeliest() || decoder.canDraw(); }
  MemoryUse memory() const { return executable->memory(); }
  void setProfiler(std::shared_ptr<Profiler> p);

private:
  void bindRows(const LanguageEntry &entry, std::span<const RowChunk> rows);

  std::unique_ptr<Executable> executable;
  const Artifact &artifact;
  const fb::Program &program;
  Decoder decoder;
  std::shared_ptr<Profiler> profiler;
  std::map<std::string, LanguageEntry, std::less<>> bound;
  // Inputs of a run, kept so that decoding takes no memory.
  std::vector<int32_t> ids, past, length;
  std::vector<int64_t> symbols;
  std::vector<std::span<const std::byte>> inputs;
  std::vector<bool> wanted;
};

} // namespace linnet
