// Keys and values as factors of attention's products: f32, or words of two bf16.
#pragma once
#include "backends/cpu/ops/attention.h"

namespace linnet::cpu {

struct AttentionFactors {
  const AttentionOperands &in;
  Value *group;
  const bool rounds; ///< whether factors are rounded to bf16
  Emitter &e = in.e;
  const AttentionSpec &spec = in.spec;
  const int lanes = e.lanes();
  const int64_t size = spec.head_size;
  const bool pairs = rounds && e.isa.bf16 && size % 2 == 0; ///< words of two factors
  const bool converts = spec.cache != Type::f32 || rounds;  ///< otherwise the cache is read directly
  Value *keys = in.keysAt(group);

  Value *factor(Value *x) {
    if (!rounds) return x;
    return e.isa.bf16 && Emitter::lanesOf(x) == lanes ? e.roundToBfloatFast(x) : e.convert(x, Type::bf16);
  }

  /// Calls body(first, count) for the columns of a head's row, a vector at a time.
  void forPieces(llvm::function_ref<void(Value *, int)> body) {
    const int64_t whole = size / lanes * lanes;
    e.loop(e.i64(0), e.i64(whole), lanes, [&](Value *c) { body(c, lanes); });
    if (whole < size) body(e.i64(whole), int(size - whole));
  }

  /// Rows of k or v as factors. `first` is the index of the first element. Elements are f32, or words of two bf16.
  struct Rows {
    Value *base, *first;
  };
  /// Rows [key0, key0 + count) of k or v, in f32.
  Rows rowsOf(Value *cache, Value *wide, Value *key0, Value *count) {
    Value *first = e.muladd(key0, e.i64(size), keys);
    if (!wide) return {cache, first};
    e.forVectors(e.i64(0), e.b.CreateMul(count, e.i64(size)), [&](Value *i, int n) {
      e.store(Type::f32, wide, i, factor(e.load(spec.cache, cache, e.b.CreateAdd(first, i), n)));
    });
    return {wide, e.i64(0)};
  }
  /// Rows [key0, key0 + count) of k, in words of two columns.
  Rows columnPairsOf(Value *cache, Value *wide, Value *key0, Value *count) {
    Value *first = e.muladd(key0, e.i64(size), keys);
    if (spec.cache == Type::bf16) return {cache, e.b.CreateLShr(first, 1)};
    e.forVectors(e.i64(0), e.b.CreateMul(count, e.i64(size)), [&](Value *i, int n) {
      Value *x = e.load(spec.cache, cache, e.b.CreateAdd(first, i), n);
      if (n == lanes)
        e.b.CreateAlignedStore(e.toBfloatFast(x), e.address(Type::bf16, wide, i), llvm::Align(2));
      else
        e.store(Type::bf16, wide, i, x);
    });
    return {wide, e.i64(0)};
  }
  /// Rows [key0, key0 + n) of v, in words of two keys: word c of a pair of rows holds column c of both. If n is odd,
  /// the last row is paired with zeros.
  Rows keyPairsOf(Value *cache, Value *wide, Value *key0, Value *n) {
    Value *first = e.muladd(key0, e.i64(size), keys);
    auto pair = [&](Value *j, bool alone) {
      Value *row = e.muladd(j, e.i64(size), first), *to = e.b.CreateMul(e.b.CreateLShr(j, 1), e.i64(size));
      forPieces([&](Value *c, int count) {
        Value *x = e.loadPart(spec.cache, cache, e.b.CreateAdd(row, c), count);
        Value *y =
            alone ? e.f32(0, lanes)
                  : e.loadPart(spec.cache, cache, e.b.CreateAdd(row, e.b.CreateAdd(c, e.i64(size))), count);
        e.storePart(Type::i32, wide, e.b.CreateAdd(to, c), e.bfloatPair(x, y), count);
      });
    };
    Value *even = e.b.CreateAnd(n, e.i64(-2));
    e.loop(e.i64(0), even, 2, [&](Value *j) { pair(j, false); });
    e.ifThen(e.b.CreateICmpNE(even, n), [&] { pair(even, true); });
    return {wide, e.i64(0)};
  }
};

} // namespace linnet::cpu
