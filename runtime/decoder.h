// Decodes many tokens of a language model on the device, without the host between them: the likeliest ones,
// or sampled ones if the program has an entry "sample".
#pragma once
#include "runtime/device.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace linnet {

struct LanguageEntry;

/// Sampling settings, see GenerateOptions. `copies` has the copy number of each row.
struct Draw {
  float temperature = 1, top_p = 1;
  int64_t top_k = 0;
  uint64_t seed = 0;
  std::span<const uint32_t> copies;
};

class Decoder {
public:
  Decoder(Executable &executable, const Artifact &artifact, const fb::Program &program)
      : executable(executable), artifact(artifact), program(program) {}
  /// Allocates all memory for decoding with `entry`, if the device has loops.
  Result<void> prepare(const LanguageEntry &entry);
  bool canTakeLikeliest() const { return bool(likeliest); }
  bool canDraw() const { return bool(drawing); }
  int64_t mostSteps() const { return likeliest ? likeliest->mostSteps() : 1; }
  /// Runs the entry `steps` times with one token per row. Each run reads the tokens of the previous run and writes the
  /// next cache entry, or the last one again if a row's cache is full. `first` has the inputs of the first run; its
  /// rows have `past` tokens. Returns the tokens as [steps, rows].
  Result<std::span<const int32_t>> run(const LanguageEntry &entry, const LoopInputs &first,
                                       std::span<const int32_t> past, int64_t steps, const Draw *draw);

private:
  /// Entry "sample": indices of its inputs and of its output.
  struct SampleEntry {
    int index = -1, logits = -1, temperature = -1, top_k = -1, top_p = -1, seed = -1, position = -1,
        copy = -1;
    int token = -1;
  };
  Result<std::optional<SampleEntry>> bindSample(const LanguageEntry &entry) const;
  void bindDraw(const LanguageEntry &entry, const Draw &draw, std::span<const int32_t> past, int64_t steps);

  Executable &executable;
  const Artifact &artifact;
  const fb::Program &program;
  std::unique_ptr<Loop> likeliest, drawing; // null if not available
  SampleEntry sample;
  // Inputs, kept so that decoding allocates no memory.
  std::vector<int32_t> later_past, positions, top_k, copies;
  std::vector<float> temperature, top_p;
  int32_t seed[2] = {};
  std::vector<int64_t> symbols; // of entry "sample"
  std::vector<std::span<const std::byte>> inputs;
};

} // namespace linnet
