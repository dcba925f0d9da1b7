// Products of a tile in 16-bit arithmetic: 64 rows of a by 64 columns of w, 16 elements of k at a time. Runs of eight
// products are summed in f16, the rest in f32.
//
// The largest f16 is 65504, and below 2^-14 f16 is coarse. So the 16 elements of a row are multiplied by a power of
// two. Next to integers of at most 128, it brings the largest element to [8, 16). Next to float weights, it brings the
// largest element to [512, 1024). Another power brings four columns of w to [1, 2). No sum of eight products exceeds
// 16384, for any finite elements. Elements that are too small for f16 are below 2^-15 of the largest product of their
// sum. Both powers are divided out in f32.
#pragma once
#include "backends/vulkan/emitter.h"

#include <functional>
#include <span>

namespace linnet::vulkan {

/// Needs 16 x 8 invocations, each of which computes four columns of eight rows. All invocations must call load() and
/// add() together.
class HalfTile {
public:
  static constexpr uint32_t kRows = 64, kDepth = 16, kQuads = 16, kTall = 8, kPer = kRows / kTall, kRun = 8;

  /// `integers`: w has integers of at most 8 bits.
  HalfTile(Emitter &e, bool integers);

  /// Loads the next kDepth elements of k. a(row, k) returns four elements of the tile's row from k on. w(k) returns
  /// four rows of this invocation's columns. Both are f32; k is a multiple of four below kDepth.
  void load(const std::function<Value(Value row, Value k)> &a,
            const std::function<std::array<Value, 4>(Value k)> &w);
  /// sums[r] += the products of row kPer * y + r, multiplied by the columns' `scale` if it is not null.
  void add(std::span<const Variable> sums, Value scale);

private:
  struct Power {
    Value factor, back;
  };
  /// A power of two that brings a number as large as `largest` to [2^exponent, 2^(exponent + 1)), and its inverse.
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
