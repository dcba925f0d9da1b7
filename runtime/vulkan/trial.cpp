#include "runtime/vulkan/trial.h"
#include "runtime/expr.h"
#include "support/error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace linnet::vulkan {
namespace {

// What is filled and compared of an operand at most, and at least.
constexpr uint64_t kMaxBytes = uint64_t(4) << 20, kMinBytes = uint64_t(256) << 10;
// Behind that a small problem writes no more than this.
constexpr uint64_t kMaxCleared = uint64_t(64) << 20;

// Of sums in f32 that differ in their order.
constexpr double kUsualTolerance = 1e-4;

uint32_t next(uint32_t &state) { // xorshift32
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return state;
}

// A float of the given layout: either sign, in magnitude between 2^-7 and 1, as activations are.
uint32_t smallFloat(uint32_t random, int bits, int exponent_bits) {
  const int mantissa_bits = bits - 1 - exponent_bits;
  const uint32_t bias = (1u << (exponent_bits - 1)) - 1;
  const uint32_t exponent = bias - 1 - (random >> 25) % 7, mantissa = random & ((1u << mantissa_bits) - 1);
  return (random >> 24 & 1) << (bits - 1) | exponent << mantissa_bits | mantissa;
}

// Token ids, lengths and positions: small, positive and below what they index, or kernels clamp them.
constexpr uint32_t kLargestInteger = 97;

template <class T, class Make> void fillWith(std::span<std::byte> bytes, uint32_t seed, const Make &make) {
  // One run repeated, as long as a prime: random numbers for all would take longer than the kernels.
  constexpr size_t kRun = 65521;
  std::vector<T> run(std::min(kRun, bytes.size() / sizeof(T) + 1));
  for (T &value : run) value = static_cast<T>(make(next(seed)));
  for (size_t at = 0; at < bytes.size(); at += run.size() * sizeof(T))
    std::memcpy(bytes.data() + at, run.data(), std::min(run.size() * sizeof(T), bytes.size() - at));
}

void fill(std::span<std::byte> bytes, fb::DType type, uint32_t seed) {
  switch (type) {
  case fb::DType::f32:
    return fillWith<uint32_t>(bytes, seed, [](uint32_t r) { return smallFloat(r, 32, 8); });
  case fb::DType::f16:
    return fillWith<uint16_t>(bytes, seed, [](uint32_t r) { return smallFloat(r, 16, 5); });
  case fb::DType::bf16:
    return fillWith<uint16_t>(bytes, seed, [](uint32_t r) { return smallFloat(r, 16, 8); });
  case fb::DType::i32:
    return fillWith<uint32_t>(bytes, seed, [](uint32_t r) { return 1 + r % kLargestInteger; });
  case fb::DType::i8:
  case fb::DType::i4:
    return fillWith<uint8_t>(bytes, seed, [](uint32_t r) { return r >> 8; });
  }
}

// The part of an operand that is filled and compared: about twice what a problem of this size touches, if the
// operand grows with every symbol. An operand's shape is not known here; the rest of it is the same before
// each run, so a guess that is too small makes a weaker test and no wrong one.
uint64_t extentOf(const Workbench &bench, const Trial &trial, const fb::Ref &ref) {
  const uint64_t most = std::min(ref.size(), kMaxBytes);
  if (ref.space() == fb::Space::state) return most;
  const auto &bounds = *bench.program.entries()->Get(static_cast<uint32_t>(trial.entry))->bounds();
  double bytes = 2 * static_cast<double>(ref.size());
  for (uint32_t i = 0; i < bounds.size(); ++i)
    bytes *= static_cast<double>(trial.plan.symbols[i]) / static_cast<double>(bounds.Get(i));
  return std::min(most, std::max(kMinBytes, static_cast<uint64_t>(bytes)));
}

// All operands that are no weights; counters are zero. Of one that is filled in part, what else the run
// before may have written is made the same again: it may be read.
Result<void> fillOperands(Workbench &bench, const Trial &trial) {
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  std::vector<std::byte> bytes;
  for (uint32_t i = 0; i < dispatch.args()->size(); ++i) {
    const fb::Ref &ref = *dispatch.args()->Get(i);
    if (ref.space() == fb::Space::weight) continue;
    Range range = bench.place(trial.entry, ref);
    if (ref.space() == fb::Space::counter) {
      LINNET_TRY(bench.buffers.zero(std::span(&range, 1)));
      continue;
    }
    bytes.resize(extentOf(bench, trial, ref));
    fill(bytes, dispatch.types()->Get(i), 0x9e3779b9 + i * 0x85ebca6b);
    LINNET_TRY(bench.buffers.write(range, bytes));
    if (bytes.size() < kMaxBytes || range.size <= kMaxBytes) continue;
    range.offset += kMaxBytes;
    range.size = std::min(range.size - kMaxBytes, kMaxCleared);
    LINNET_TRY(bench.buffers.zero(std::span(&range, 1)));
  }
  return {};
}

double halfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return mantissa ? std::nan("") : sign * HUGE_VAL;
  return sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24));
}

std::vector<double> numbers(std::span<const std::byte> bytes, fb::DType type) {
  std::vector<double> values;
  auto each = [&](auto word, const auto &value) {
    for (size_t at = 0; at + sizeof word <= bytes.size(); at += sizeof word) {
      std::memcpy(&word, bytes.data() + at, sizeof word);
      values.push_back(value(word));
    }
  };
  switch (type) {
  case fb::DType::f32:
    each(float(), [](float x) { return double(x); });
    break;
  case fb::DType::f16:
    each(uint16_t(), halfValue);
    break;
  case fb::DType::bf16:
    each(uint16_t(), [](uint16_t x) { return double(std::bit_cast<float>(uint32_t(x) << 16)); });
    break;
  case fb::DType::i32:
    each(int32_t(), [](int32_t x) { return double(x); });
    break;
  case fb::DType::i8:
    each(int8_t(), [](int8_t x) { return double(x); });
    break;
  case fb::DType::i4:
    each(uint8_t(), [](uint8_t x) { return double(x & 15); });
    each(uint8_t(), [](uint8_t x) { return double(x >> 4); });
    break;
  }
  return values;
}

// How far apart two numbers may be because each was rounded to its type.
double roundingOf(fb::DType type, double largest) {
  switch (type) {
  case fb::DType::f16:
    return std::ldexp(largest, -10);
  case fb::DType::bf16:
    return std::ldexp(largest, -7);
  case fb::DType::i8:
  case fb::DType::i4:
    return 1;
  default:
    return 0;
  }
}

// What rounds more than usual may choose another one of nearly equal numbers. Such tokens are the best of
// each row of a result of floats, as many columns as it has more elements: what was chosen is as good as the
// best but for the tolerance, which both numbers have. Without such a result nothing is known.
std::string worseToken(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       std::span<const double> want, std::span<const double> is, uint64_t token_bytes) {
  for (uint32_t r = 0; r < expected.size(); ++r) {
    const uint32_t arg = dispatch.results()->Get(r);
    const uint64_t bytes = dispatch.args()->Get(arg)->size();
    if (dispatch.types()->Get(arg) != fb::DType::f32 || bytes % token_bytes) continue;
    const auto columns = static_cast<double>(bytes / token_bytes);
    const std::vector<double> floats = numbers(expected[r], fb::DType::f32);
    for (size_t row = 0; row < want.size(); ++row) {
      const double first = static_cast<double>(row) * columns;
      if (is[row] == want[row] || want[row] < 0 || want[row] >= columns ||
          first + columns > double(floats.size()))
        continue;
      if (is[row] < 0 || is[row] >= columns) return fmt::format("token {:g} of {:g}", is[row], columns);
      const std::span<const double> all =
          std::span(floats).subspan(static_cast<size_t>(first), static_cast<size_t>(columns));
      double largest = 0;
      for (double x : all) largest = std::isfinite(x) ? std::max(largest, std::fabs(x)) : largest;
      const double less = all[static_cast<size_t>(want[row])] - all[static_cast<size_t>(is[row])];
      if (less > 2 * tolerance * largest)
        return fmt::format("token {:g} where {:g} is the best by {:.3g} of the largest number", is[row],
                           want[row], less / largest);
    }
  }
  return "";
}

} // namespace

Result<Answer> runTrial(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                        uint32_t patience) {
  bench.context->outcome = VK_SUCCESS;
  LINNET_TRY(fillOperands(bench, trial));
  RecordingCounts counts;
  bench.running = std::make_unique<Recording>(bench.context);
  LINNET_TRY(bench.running->record(std::span(&planned, 1), bench.pipelines, bench.program, bench.buffers,
                                   false, counts));
  const uint32_t usual = std::exchange(bench.context->patience, patience);
  auto ran = bench.running->run();
  bench.context->patience = usual;
  if (!ran) return ran.error();
  bench.running.reset();
  const fb::Dispatch &dispatch = *trial.command->body_as_Dispatch();
  Answer answer;
  for (uint32_t result : *dispatch.results()) {
    const fb::Ref &ref = *dispatch.args()->Get(result);
    answer.emplace_back(extentOf(bench, trial, ref));
    LINNET_TRY(bench.buffers.read(bench.place(trial.entry, ref), answer.back()));
  }
  return answer;
}

std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found) {
  for (uint32_t r = 0; r < expected.size(); ++r) {
    if (expected[r] == found[r]) continue;
    const fb::DType type = dispatch.types()->Get(dispatch.results()->Get(r));
    const std::vector<double> want = numbers(expected[r], type), is = numbers(found[r], type);
    double largest = 0, apart = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      if (!std::isfinite(want[i])) continue;
      largest = std::max(largest, std::fabs(want[i]));
      apart = std::isfinite(is[i]) ? std::max(apart, std::fabs(want[i] - is[i])) : HUGE_VAL;
      if (!std::isfinite(apart)) return "a number that is not finite";
    }
    if (type == fb::DType::i32) {
      if (tolerance <= kUsualTolerance) return fmt::format("an integer is off by {:g}", apart);
      const uint64_t bytes = dispatch.args()->Get(dispatch.results()->Get(r))->size();
      if (auto why = worseToken(dispatch, tolerance, expected, want, is, bytes); !why.empty()) return why;
      continue;
    }
    if (apart > tolerance * largest + roundingOf(type, largest))
      return fmt::format("off by {:.3g} of the largest number, {:g} allowed", apart / largest, tolerance);
  }
  return "";
}

} // namespace linnet::vulkan
