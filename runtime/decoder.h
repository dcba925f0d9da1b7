// Many tokens of a language model decoded on the device, without the host in between: the likeliest ones, or
// drawn ones where the program has an entry "sample".
#pragma once
#include "runtime/device.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace linnet {

struct LanguageEntry;

/// How tokens are drawn, as GenerateOptions says. `copies`: of each row.
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
  /// Takes all memory for decoding with `entry`, where the device can.
  Result<void> prepare(const LanguageEntry &entry);
  bool canTakeLikeliest() const { return bool(likeliest); }
  bool canDraw() const { return bool(drawing); }
  int64_t mostSteps() const { return likeliest ? likeliest->mostSteps() : 1; }
  /// `steps` runs of the entry with one token a row, each fed what the one before it chose, in the next place
  /// of the cache (the last place again where a row's cache is full). `first`: of the first run, whose rows
  /// have `past` tokens. Gives the tokens: `steps` times one of each row.
  Result<std::span<const int32_t>> run(const LanguageEntry &entry, const LoopInputs &first,
                                       std::span<const int32_t> past, int64_t steps, const Draw *draw);

private:
  /// Entry "sample": numbers of its inputs and of its output.
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
  std::unique_ptr<Loop> likeliest, drawing; // null: there is none
  SampleEntry sample;
  // Inputs, kept so that decoding takes no memory.
  std::vector<int32_t> later_past, positions, top_k, copies;
  std::vector<float> temperature, top_p;
  int32_t seed[2] = {};
  std::vector<int64_t> symbols; // of entry "sample"
  std::vector<std::span<const std::byte>> inputs;
};

} // namespace linnet
