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

/// A part of a row: tokens after the `past` tokens of that row in the cache.
struct RowChunk {
  std::span<const TokenId> ids;
  int64_t past = 0;
};

/// The ports of a language model's entry, found by name. Indices of inputs and outputs are -1 if absent.
struct LanguageEntry {
  int index = -1;
  int ids = -1, past = -1, length = -1;
  int64_t max_batch = 0, max_seq = 0, context = 0;
  std::vector<int64_t> symbols; // at the bounds; each run sets batch and seq
  int batch_symbol = -1, seq_symbol = -1;
  std::map<std::string, int, std::less<>> outputs;
  std::string last_output; // for entry hidden: the output of the last norm

  int output(std::string_view name) const {
    auto found = outputs.find(name);
    return found == outputs.end() ? -1 : found->second;
  }
};

/// Entry `name` of `program`, or an error that names what is missing.
Result<LanguageEntry> bindLanguageEntry(const Artifact &artifact, const fb::Program &program,
                                        std::string_view name);

class LanguageRunner {
public:
  LanguageRunner(std::unique_ptr<Executable> executable, const Artifact &artifact, const fb::Program &program)
      : executable(std::move(executable)), artifact(artifact), program(program),
        decoder(*this->executable, artifact, program) {}
  /// The entry, which is bound at its first use.
  Result<const LanguageEntry *> entry(std::string_view name);
  /// Runs the entry. Row i of the batch is rows[i]; shorter rows are padded. The outputs `output` and `also`
  /// may be read afterwards (-1: none).
  ///
  /// A call with `prompt` computes as for prompts, one without it as for generated tokens: the arithmetic differs
  /// in the last bits (and in its rounding with narrow weights). Without `prompt` each row must have one token.
  Result<void> run(const LanguageEntry &entry, std::span<const RowChunk> rows, bool prompt, int output,
                   int also = -1);
  /// Allocates the memory of decode() if the device and `entry` can decode many tokens at once.
  Result<void> prepareDecoding(const LanguageEntry &entry) { return decoder.prepare(entry); }
  /// Whether decode() can choose the likeliest tokens. With a profiler, tokens are decoded one at a time.
  bool canDecode() const { return decoder.canTakeLikeliest() && !profiler; }
  /// Whether decode() can sample tokens.
  bool canDraw() const { return decoder.canDraw() && !profiler; }
  int64_t mostAtOnce() const { return decoder.mostSteps(); }
  /// The next `steps` tokens of each row: the likeliest ones, or sampled ones if `draw` is given. Each row
  /// must have one token. The result is [steps, rows]. See Decoder.
  Result<std::span<const int32_t>> decode(const LanguageEntry &entry, std::span<const RowChunk> rows,
                                          int64_t steps, const Draw *draw = nullptr);
  /// Positions of the last run, including padding.
  int64_t sequence(const LanguageEntry &entry) const {
    return symbols[static_cast<size_t>(entry.seq_symbol)];
  }
  /// Output of the last run.
  Result<std::span<const float>> floats(int output);
  /// The first `count` floats: a prompt of one token is padded, so that outputs by position are longer.
  Result<std::span<const float>> floats(int output, size_t count);
  Result<std::span<const int32_t>> ints(int output);
  /// The bit patterns of an f16 state. Errors: no state of that name, or the device cannot read it.
  Result<std::vector<uint16_t>> halvesOfState(std::string_view name);
  void resetStates() { executable->resetStates(); }
  /// See Executable.
  Result<void> selectRows(int64_t first) { return executable->selectRows(first); }
  Result<void> copyRow(int64_t from, int64_t to, int64_t tokens) {
    return executable->copyRow(from, to, tokens);
  }
  Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens) {
    return executable->readRow(row, tokens);
  }
  Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> from) {
    return executable->writeRow(row, tokens, from);
  }
  /// Whether decode() works without a profiler. The host then does not see the logits of every token.
  bool hasLoop() const { return decoder.canTakeLikeliest() || decoder.canDraw(); }
  MemoryUse memory() const { return executable->memory(); }
  void setProfiler(std::shared_ptr<Profiler> p);

private:
  void bindRows(const LanguageEntry &entry, std::span<const RowChunk> rows, size_t least_seq = 1);

  std::unique_ptr<Executable> executable;
  const Artifact &artifact;
  const fb::Program &program;
  Decoder decoder;
  std::shared_ptr<Profiler> profiler;
  std::map<std::string, LanguageEntry, std::less<>> bound;
  // Inputs of a run, kept so that decoding allocates no memory.
  std::vector<int32_t> ids, past, length;
  std::vector<int64_t> symbols;
  std::vector<std::span<const std::byte>> inputs;
  std::vector<bool> wanted;
};

} // namespace linnet
