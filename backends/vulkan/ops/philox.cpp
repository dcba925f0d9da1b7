#include "backends/vulkan/ops/philox.h"
#include "runtime/philox.h"

namespace linnet::vulkan {

// Multiplies 16-bit halves.
Value highProduct(Emitter &e, Value x, Value y) {
  Builder &b = e.b;
  Value mask = e.u(0xffff), half = e.u(16);
  Value x_low = b.bitAnd(x, mask), x_high = b.shiftRight(x, half);
  Value y_low = b.bitAnd(y, mask), y_high = b.shiftRight(y, half);
  Value cross = b.mul(x_low, y_high), other = b.mul(x_high, y_low);
  Value middle =
      b.add(b.shiftRight(b.mul(x_low, y_low), half), b.add(b.bitAnd(cross, mask), b.bitAnd(other, mask)));
  return b.add(b.add(b.mul(x_high, y_high), b.shiftRight(middle, half)),
               b.add(b.shiftRight(cross, half), b.shiftRight(other, half)));
}

Value philox(Emitter &e, std::array<Value, 4> c, std::array<Value, 2> key) {
  Builder &b = e.b;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Value factors[] = {e.u(kPhiloxFactors[0]), e.u(kPhiloxFactors[1])};
    Value high0 = highProduct(e, c[0], factors[0]), low0 = b.mul(c[0], factors[0]);
    Value high1 = highProduct(e, c[2], factors[1]), low1 = b.mul(c[2], factors[1]);
    c[0] = b.bitXor(b.bitXor(high1, c[1]), key[0]);
    c[2] = b.bitXor(b.bitXor(high0, c[3]), key[1]);
    c[1] = low1, c[3] = low0;
    key[0] = b.add(key[0], e.u(kPhiloxSteps[0]));
    key[1] = b.add(key[1], e.u(kPhiloxSteps[1]));
  }
  return c[0];
}

} // namespace linnet::vulkan
