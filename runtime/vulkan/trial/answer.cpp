#include "runtime/vulkan/trial/answer.h"
#include "support/error.h"
#include "support/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

namespace linnet::vulkan {
namespace {

// The tolerance for f32 sums in different orders.
constexpr double kUsualTolerance = 1e-4;

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
    each(uint16_t(), [](uint16_t x) { return double(fromHalf(x)); });
    break;
  case fb::DType::bf16:
    each(uint16_t(), [](uint16_t x) { return double(fromBfloat(x)); });
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

// The largest difference of two numbers due to rounding to their type.
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

// The index of the word that holds element `i` of numbers().
size_t wordOf(size_t i, fb::DType type, size_t bytes) {
  switch (type) {
  case fb::DType::f16:
  case fb::DType::bf16:
    return i / 2;
  case fb::DType::i8:
    return i / 4;
  case fb::DType::i4:
    return i % bytes / 4;
  default:
    return i;
  }
}

bool counts(Mark mark, Mark only) { return only ? mark == only : mark >= kFirstStep; }

bool isResult(const fb::Dispatch &dispatch, uint32_t arg) {
  return std::ranges::find(*dispatch.results(), arg) != dispatch.results()->end();
}

// Compares tokens. Lower precision may flip near-ties. A token is the index of the best element in a row of a float
// result. The result has as many rows as there are tokens. The token must be as good as the expected one in the row
// that the same device has computed, within the tolerance. The row itself is compared as numbers. Without such a
// result, tokens are not compared.
class Tokens {
public:
  Tokens(const fb::Dispatch &dispatch, double tolerance, const Answer &found)
      : dispatch(dispatch), tolerance(tolerance), found(found) {}

  /// `want` is the expected token of row `row`.
  std::string worse(uint32_t tokens, size_t row, double want, double is) const {
    for (const Output &output : found) {
      const uint64_t bytes = dispatch.args()->Get(output.arg)->size();
      const uint64_t token_bytes = dispatch.args()->Get(tokens)->size();
      if (dispatch.types()->Get(output.arg) != fb::DType::f32 || bytes % token_bytes ||
          !isResult(dispatch, output.arg))
        continue;
      if (std::string why = worse(output, double(bytes / token_bytes), row, want, is); !why.empty())
        return why;
    }
    return "";
  }

private:
  std::string worse(const Output &output, double columns, size_t row, double want, double is) const {
    const std::vector<double> floats = numbers(output.bytes, fb::DType::f32);
    const double first = static_cast<double>(row) * columns;
    if (want < 0 || want >= columns || first + columns > double(floats.size())) return "";
    if (is < 0 || is >= columns) return fmt::format("token {:g} of {:g}", is, columns);
    const auto all = std::span(floats).subspan(static_cast<size_t>(first), static_cast<size_t>(columns));
    double largest = 0;
    for (double x : all) largest = std::isfinite(x) ? std::max(largest, std::fabs(x)) : largest;
    const double less = all[static_cast<size_t>(want)] - all[static_cast<size_t>(is)];
    if (!(less > 2 * tolerance * largest)) return "";
    return fmt::format("token {:g} where {:g} is the best by {:.3g} of the largest number", is, want,
                       less / largest);
  }

  const fb::Dispatch &dispatch;
  const double tolerance;
  const Answer &found;
};

// Compares the numbers of one output that count.
class Comparison {
public:
  Comparison(const Output &expected, const Output &found, fb::DType type, Mark only)
      : expected(expected), type(type), only(only), want(numbers(expected.bytes, type)),
        is(numbers(found.bytes, type)) {}

  std::string floats(double tolerance) {
    if (std::string why = look(); !why.empty()) return why;
    if (apart <= tolerance * largest + roundingOf(type, largest)) return "";
    return fmt::format("off by {:.3g} of the largest number, {:g} allowed", apart / largest, tolerance);
  }
  std::string integers(const Tokens *tokens) {
    if (std::string why = look(); !why.empty()) return why;
    if (!tokens && apart > 0) return fmt::format("an integer is off by {:g}", apart);
    for (size_t i = 0; tokens && i < want.size(); ++i) {
      if (is[i] == want[i] || !isMeant(i)) continue;
      if (std::string why = tokens->worse(expected.arg, i, want[i], is[i]); !why.empty()) return why;
    }
    return "";
  }

private:
  bool fromDevice() const { return expected.marks.empty(); }
  bool isMeant(size_t i) const {
    return fromDevice() || counts(expected.marks[wordOf(i, type, expected.bytes.size())], only);
  }
  std::string look() {
    size_t finite = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      if (!isMeant(i)) continue;
      if (!std::isfinite(want[i])) {
        // Only answers of the same device must agree on which words are finite.
        if (fromDevice() && std::isfinite(is[i])) return "a number where none is finite";
        continue;
      }
      ++finite;
      if (!std::isfinite(is[i])) return "a number that is not finite";
      largest = std::max(largest, std::fabs(want[i]));
      apart = std::max(apart, std::fabs(want[i] - is[i]));
    }
    return fromDevice() && !finite ? "no finite number to compare with" : "";
  }

  const Output &expected;
  const fb::DType type;
  const Mark only;
  const std::vector<double> want, is;
  double largest = 0, apart = 0;
};

} // namespace

Answer resultsOf(const fb::Dispatch &dispatch, Answer answer) {
  std::erase_if(answer, [&](const Output &output) { return !isResult(dispatch, output.arg); });
  return answer;
}

size_t knownResults(const fb::Dispatch &dispatch, const Answer &answer) {
  auto is_known = [&](const Output &output) {
    const fb::DType type = dispatch.types()->Get(output.arg);
    const std::vector<double> values = numbers(output.bytes, type);
    for (size_t i = 0; i < values.size(); ++i)
      if (counts(output.marks[wordOf(i, type, output.bytes.size())], 0) && std::isfinite(values[i]))
        return true;
    return false;
  };
  return static_cast<size_t>(std::ranges::count_if(resultsOf(dispatch, answer), is_known));
}

std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found, Mark only) {
  const Tokens tokens(dispatch, tolerance, found);
  for (size_t r = 0; r < expected.size(); ++r) {
    const fb::DType type = dispatch.types()->Get(expected[r].arg);
    Comparison comparison(expected[r], found[r], type, only);
    const std::string why = type != fb::DType::i32
                                ? comparison.floats(tolerance)
                                : comparison.integers(tolerance > kUsualTolerance ? &tokens : nullptr);
    if (!why.empty()) return why;
  }
  return "";
}

} // namespace linnet::vulkan
