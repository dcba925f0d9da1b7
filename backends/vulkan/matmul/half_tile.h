// Products of a tile in 16-bit arithmetic: 64 rows of a by 64 columns of w, 16 of k at a time, summed in f16
// over runs of eight and in f32 over all.
//
// f16 ends at 65504 and is coarse below 2^-14. So the 16 numbers of a row are multiplied by a power of two
// that brings the largest of them to [8, 16), beside integers of at most 128, or to [512, 1024), beside four
// columns of w in f16 that another power brings to [1, 2): no sum of eight products exceeds 16384, whatever
// finite numbers there are, and what is too small for f16 is below 2^-15 of the largest product of its sum.
// Both powers are taken back in f32.
#pragma once
#include "backends/vulkan/emitter.h"

#include <functional>
#include <span>

namespace linnet::vulkan {

/// By 16 x 8 invocations, each with four columns of eight rows. All of them get to load() and add() together.
class HalfTile {
public:
  static constexpr uint32_t kRows = 64, kDepth = 16, kQuads = 16, kTall = 8, kPer = kRows / kTall, kRun = 8;

  /// `integers`: w holds integers of at most 8 bits.
  HalfTile(Emitter &e, bool integers);

  /// a(row, k): four elements of the tile's row from k on; w(k): four rows of this invocation's columns, both
  /// in f32. k is a multiple of four below kDepth.
  void load(const std::function<Value(Value row, Value k)> &a,
            const std::function<std::array<Value, 4>(Value k)> &w);
  /// sums[r] += the products of row kPer y + r, times `scale` of the columns if there is one.
  void add(std::span<const Variable> sums, Value scale);

private:
  struct Power {
    Value factor, back;
  };
  /// Brings a number as large as `largest` to [2^exponent, 2^(exponent + 1)), and back.
  Power powerFor(Value largest, uint32_t exponent);
  Value largestOf(const std::array<Value, 4> &fours);
  Value half(Value four, Value factor);
  /// products[r] += four elements of row first + r times four rows of w, in f16.
  void multiply(std::span<const Variable> products, Value first, Value four);
  void take(Variable products, Value row, Value scale, Variable sum);

  Emitter &e;
  Builder &b = e.b;
  const bool integers;
  Shared a, w, back_of_a, largest_of_w = {};
  Value x = b.localId(0), y = b.localId(1);
  Value back_of_w = {};
};

} // namespace linnet::vulkan
