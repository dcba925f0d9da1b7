#include "runtime/not_finite.h"
#include "support/error.h"
#include "support/number_text.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace linnet {
namespace {

struct Place {
  std::string part;
  int64_t block = -1; ///< the block whose output the part is
  int64_t position = 0;
  double value = 0;
};

/// Reads hidden states of the runner's model, a chunk of positions at a time.
class Tracer {
public:
  Tracer(LanguageRunner &runner, const LanguageEntry &entry, std::span<const TokenId> ids)
      : runner(runner), entry(entry), ids(ids) {}

  /// The first NaN or infinite hidden state, in the order of the model's parts, of the first chunk that has
  /// one. Nothing if all are finite.
  Result<std::optional<Place>> trace() {
    runner.resetStates(); // the cache must hold only these ids
    for (int64_t first = 0, size = static_cast<int64_t>(ids.size()); first < size; first += entry.max_seq) {
      const int64_t count = std::min(entry.max_seq, size - first);
      const RowChunk chunk{ids.subspan(static_cast<size_t>(first), static_cast<size_t>(count)), first};
      LINNET_ASSIGN(std::optional<Place> last, look(chunk, entry.last_output));
      if (!last) continue; // then the last norm is NaN, too
      for (int64_t layer = 0; entry.output(fmt::format("hidden.{}", layer)) >= 0; ++layer) {
        LINNET_ASSIGN(std::optional<Place> found, look(chunk, fmt::format("hidden.{}", layer)));
        if (!found) continue;
        found->block = layer - 1;
        found->part = layer ? fmt::format("the output of block {}", layer - 1) : "the embeddings";
        return found;
      }
      last->part = "the last norm, " + entry.last_output;
      return last;
    }
    return std::optional<Place>();
  }

private:
  Result<std::optional<Place>> look(const RowChunk &chunk, const std::string &name) {
    const int output = entry.output(name);
    if (output < 0) return errorf("entry 'hidden' has no output '{}'", name);
    LINNET_TRY(runner.run(entry, std::span(&chunk, 1), true, output));
    LINNET_ASSIGN(std::span<const float> values, runner.floats(output));
    const size_t width = values.size() / static_cast<size_t>(runner.sequence(entry));
    values = values.first(width * chunk.ids.size());
    const size_t at = firstNotFinite(values);
    if (at == values.size()) return std::optional<Place>();
    return std::optional(Place{{}, -1, chunk.past + static_cast<int64_t>(at / width), values[at]});
  }

  LanguageRunner &runner;
  const LanguageEntry &entry;
  std::span<const TokenId> ids;
};

/// Whether the block's keys or values are infinite in its f16 cache.
bool overflowsInCache(LanguageRunner &runner, int64_t block) {
  constexpr uint16_t kExponent = 0x7c00; // all ones: infinite or NaN
  for (const char *kind : {"k", "v"}) {
    auto bytes = runner.halvesOfState(fmt::format("{}.{}", kind, block));
    if (!bytes) continue;
    if (std::any_of(bytes->begin(), bytes->end(), [](uint16_t x) { return (x & kExponent) == kExponent; }))
      return true;
  }
  return false;
}

std::string explain(LanguageRunner &runner, std::span<const TokenId> ids, int64_t offset) {
  auto entry = runner.entry("hidden");
  if (!entry) return {};
  auto place = Tracer(runner, **entry, ids).trace();
  if (!place) return {};
  if (!*place) return "; hidden states are finite, so that the first such number is in the model's head";
  std::string text = fmt::format("; the first such number is in {}, at position {} (token {}): {}",
                                 (*place)->part, offset + (*place)->position,
                                 ids[static_cast<size_t>((*place)->position)], numberText((*place)->value));
  if ((*place)->block >= 0 && overflowsInCache(runner, (*place)->block))
    text += fmt::format(
        "; keys or values of block {} are beyond 65504, the largest number of the f16 KV cache: compile "
        "with --kv-cache bf16 or --kv-cache f32",
        (*place)->block);
  return text;
}

} // namespace

size_t firstNotFinite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  constexpr size_t kBlock = 1024; // checked without branches: each token checks a row of logits
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const auto block = values.subspan(begin, std::min(kBlock, values.size() - begin));
    uint32_t bad = 0;
    for (float value : block) bad |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent;
    if (!bad) continue;
    return begin + static_cast<size_t>(std::find_if(block.begin(), block.end(),
                                                    [](float value) { return !std::isfinite(value); }) -
                                       block.begin());
  }
  return values.size();
}

Error notFinite(const std::string &what, double value, LanguageRunner &runner, std::span<const TokenId> ids,
                int64_t offset) {
  return errorf("{} is {}, expected a finite number{}", what, numberText(value),
                explain(runner, ids, offset));
}

} // namespace linnet
