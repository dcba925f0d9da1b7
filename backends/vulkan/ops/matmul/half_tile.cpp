#include "backends/vulkan/ops/matmul/half_tile.h"

namespace linnet::vulkan {
namespace {

constexpr spirv::Type kHalf4 = {spirv::Kind::f16, 4};
constexpr uint32_t kFours = HalfTile::kDepth / 4; ///< groups of four elements of a row of a, or of w's rows
static_assert(HalfTile::kRows == HalfTile::kQuads * kFours && HalfTile::kTall == 2 * kFours);

} // namespace

HalfTile::HalfTile(Emitter &e, bool integers)
    : e(e), integers(integers), a(b.shared(kHalf4, kRows * kFours, "a")),
      w(b.shared(kHalf4, kDepth * kQuads, "w")), back_of_a(e.shared(Builder::f32(), kRows, "back_of_a")) {
  e.addShared(8 * (kRows * kFours + kDepth * kQuads));
  if (!integers) largest_of_w = e.shared(Builder::f32(), kFours * kQuads, "largest_of_w");
}

HalfTile::Power HalfTile::powerFor(Value largest, uint32_t exponent) {
  Value biased = b.min(b.shiftRight(b.bitcast(largest, Builder::u32()), e.u(23)), e.u(254));
  Value factor = b.min(b.max(b.sub(e.u(exponent + 254), biased), e.u(1)), e.u(253));
  auto power = [&](Value bits) { return b.bitcast(b.shiftLeft(bits, e.u(23)), Builder::f32()); };
  return {power(factor), power(b.sub(e.u(254), factor))};
}

Value HalfTile::largestOf(const std::array<Value, 4> &fours) {
  Value largest = b.abs(fours[0]);
  for (size_t i = 1; i < 4; ++i) largest = b.max(largest, b.abs(fours[i]));
  Value one = b.extract(largest, 0);
  for (int i = 1; i < 4; ++i) one = b.max(one, b.extract(largest, i));
  return one;
}

Value HalfTile::half(Value four, Value factor) {
  return b.convert(factor ? b.mul(four, b.splat(factor, 4)) : four, kHalf4);
}

// Half of the invocations each load four rows of w, for their own columns. The others each load a row of a.
void HalfTile::load(const std::function<Value(Value row, Value k)> &of_a,
                    const std::function<std::array<Value, 4>(Value k)> &of_w) {
  const Value brings_w = b.lt(y, e.u(kFours)), row = b.add(b.mul(b.sub(y, e.u(kFours)), e.u(kQuads)), x);
  std::array<Variable, 4> mine;
  for (Variable &four : mine) four = b.variable(b.splat(e.f(0), 4));
  b.barrier(); // all invocations have finished reading the previous step's a and w
  b.ifElse(
      brings_w,
      [&] {
        const std::array<Value, 4> rows = of_w(b.mul(y, e.u(4)));
        for (size_t i = 0; i < 4; ++i) b.set(mine[i], rows[i]);
      },
      [&] {
        for (uint32_t i = 0; i < 4; ++i) b.set(mine[i], of_a(row, e.u(4 * i)));
      });
  const std::array<Value, 4> fours = {b.get(mine[0]), b.get(mine[1]), b.get(mine[2]), b.get(mine[3])};
  const Value largest = largestOf(fours);
  Value factor_of_w = {};
  if (!integers) {
    b.ifThen(brings_w, [&] { b.store(largest_of_w, b.add(b.mul(y, e.u(kQuads)), x), largest); });
    b.barrier();
    Value of_columns = b.load(largest_of_w, x);
    for (uint32_t i = 1; i < kFours; ++i)
      of_columns = b.max(of_columns, b.load(largest_of_w, b.add(x, e.u(i * kQuads))));
    const Power power = powerFor(of_columns, 0);
    factor_of_w = power.factor, back_of_w = power.back;
  }
  b.ifElse(
      brings_w,
      [&] {
        for (uint32_t i = 0; i < 4; ++i)
          b.store(w, b.add(b.mul(b.add(b.mul(y, e.u(4)), e.u(i)), e.u(kQuads)), x),
                  half(fours[i], factor_of_w));
      },
      [&] {
        const Power power = powerFor(largest, integers ? 3 : 9);
        b.store(back_of_a, row, power.back);
        for (uint32_t i = 0; i < kFours; ++i)
          b.store(a, b.add(b.mul(row, e.u(kFours)), e.u(i)), half(fours[i], power.factor));
      });
  b.barrier();
}

void HalfTile::add(std::span<const Variable> sums, Value scale) {
  Value first = b.mul(y, e.u(kPer)), none = b.convert(b.splat(e.f(0), 4), kHalf4);
  std::vector<Variable> products(sums.size());
  for (Variable &product : products) product = b.variable(none);
  b.forRange(e.u(0), e.u(kDepth / kRun), e.u(1),
             [&](Value run) {
               for (const Variable &product : products) b.set(product, none);
               for (uint32_t i = 0; i < kRun / 4; ++i)
                 multiply(products, first, b.add(b.mul(run, e.u(kRun / 4)), e.u(i)));
               for (uint32_t r = 0; r < sums.size(); ++r)
                 take(products[r], b.add(first, e.u(r)), scale, sums[r]);
             },
             {.unroll = true});
}

void HalfTile::multiply(std::span<const Variable> products, Value first, Value four) {
  std::array<Value, 4> rows;
  Value at = b.add(b.mul(four, e.u(4 * kQuads)), x);
  for (uint32_t i = 0; i < 4; ++i) rows[i] = b.load(w, b.add(at, e.u(i * kQuads)));
  for (uint32_t r = 0; r < products.size(); ++r) {
    Value factors = b.load(a, b.add(b.mul(b.add(first, e.u(r)), e.u(kFours)), four));
    Value sum = b.get(products[r]);
    for (uint32_t i = 0; i < 4; ++i) sum = b.fmaScaled(b.extract(factors, int(i)), rows[i], sum);
    b.set(products[r], sum);
  }
}

// The order matters: a's power may be as large as 2^118, and its factor is at most 2^30.
void HalfTile::take(Variable products, Value row, Value scale, Variable sum) {
  Value product = b.convert(b.get(products), Builder::f32(4));
  if (back_of_w) product = b.mul(product, b.splat(back_of_w, 4));
  if (scale) product = b.mul(product, scale);
  b.set(sum, b.fmaScaled(b.load(back_of_a, row), product, b.get(sum)));
}

} // namespace linnet::vulkan
