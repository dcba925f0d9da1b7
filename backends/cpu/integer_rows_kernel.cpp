// Activations as packed matmuls with weights of integers read them: each row once, before any panel.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

/// The largest magnitude of k numbers; NaN where there is one.
Value *largest(Emitter &e, Value *x, int64_t k) {
  auto join = [&](Value *l, Value *r) { return e.maximum(l, r); };
  auto step = [&](Value *acc, Value *i, int lanes) {
    return join(acc, e.b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, e.load(Type::f32, x, i, lanes)));
  };
  return e.fold(e.i64(0), e.i64(k), 0, step, join);
}

/// What brings numbers up to m to integers up to `limit`.
Value *factorFor(Emitter &e, Value *m, Value *limit) {
  return e.b.CreateSelect(e.b.CreateFCmpOEQ(m, e.f32(0)), e.f32(0), e.b.CreateFDiv(limit, m));
}

/// x factor to nearest even, by the addition that leaves no bits for a fraction.
Value *nearest(Emitter &e, Value *x, Value *factor) {
  const double magic = 12582912; // 1.5 2^23
  const int lanes = Emitter::lanesOf(x);
  Value *sum = e.b.CreateFAdd(e.b.CreateFMul(x, e.splat(factor, lanes)), e.f32(magic, lanes));
  return e.b.CreateSub(e.b.CreateBitCast(sum, e.intType(lanes)),
                       e.b.CreateBitCast(e.f32(magic, lanes), e.intType(lanes)));
}

/// One row to integers. They lie in the order in which a matmul meets them: of eight rows of i4 together
/// first the even ones, which are the low halves of the bytes; of four words the first, the third, the second.
struct QuantizedRow {
  Emitter &e;
  const IntegerRows &to;
  int bytes; ///< of a number: 2, or 1
  Value *x, *out;
  Value *factor = nullptr;

  int width() const { return std::max(e.lanes(), 8); }

  /// Whether a number is one of 16 bits, which sums of pairs multiply.
  bool words() const { return to.interleave == 4 && !e.isa.vnni; }
  /// Numbers that lie as they come, and of those that do not how many change places.
  int64_t run() const { return to.interleave == 8 ? 8 : words() ? 4 : 1; }
  /// Which of run() numbers lies at `at`.
  int64_t comesFrom(int64_t at) const { return at % (run() / 2) * 2 + at / (run() / 2); }

  Value *place(Value *i) const {
    if (run() == 1) return i;
    Value *in_run = e.b.CreateAnd(i, run() - 1);
    Value *half = e.b.CreateMul(e.b.CreateAnd(i, 1), e.i64(run() / 2));
    return e.b.CreateAdd(e.b.CreateSub(i, in_run), e.b.CreateAdd(half, e.b.CreateLShr(in_run, 1)));
  }
  Value *reordered(Value *numbers) const {
    if (run() == 1) return numbers;
    llvm::SmallVector<int, 16> order;
    for (int64_t i = 0; i < width(); ++i) order.push_back(int(i / run() * run() + comesFrom(i % run())));
    return e.b.CreateShuffleVector(numbers, order);
  }
  void store(Value *index, Value *number) const {
    if (!words()) return e.store(Type::i8, out, index, number);
    llvm::Type *word = e.b.getInt16Ty();
    Value *narrow = e.b.CreateTrunc(number, e.intType(Emitter::lanesOf(number), 16));
    e.b.CreateAlignedStore(narrow, e.b.CreateGEP(word, out, index), llvm::Align(2));
  }

  /// Stores elements [i, i + lanes) and adds their bytes to the sums of the high and of the low ones.
  Values put(Value *i, int lanes, const Values &sums) const {
    auto number = [&](int64_t value) {
      return llvm::ConstantInt::get(e.intType(lanes), uint64_t(value), true);
    };
    Value *q = nearest(e, e.load(Type::f32, x, i, lanes), factor);
    Value *at = lanes == 1 ? place(i) : i;
    if (words()) {
      store(at, lanes == 1 ? q : reordered(q));
      return sums;
    }
    Values parts = {q};
    if (bytes == 2) {
      Value *high = e.b.CreateAShr(e.b.CreateAdd(q, number(128)), number(8));
      parts = {high, e.b.CreateSub(q, e.b.CreateShl(high, number(8)))};
    } else if (to.unsignedBytes()) {
      parts = {e.b.CreateAdd(q, number(128))};
    }
    Values next;
    for (int h = 0; h < bytes; ++h) {
      Value *to_plane = e.b.CreateAdd(at, e.i64(h * to.padded()));
      store(to_plane, lanes == 1 ? parts[h] : reordered(parts[h]));
      next.push_back(e.b.CreateAdd(sums[h], parts[h]));
    }
    return next;
  }

  /// Elements [from, from + count), which are group `group`; count is known.
  void putGroup(Value *group, Value *from, int64_t count) const {
    const int64_t main = count / width() * width();
    Value *none = llvm::Constant::getNullValue(e.intType(width()));
    Values sums =
        e.loop(e.i64(0), e.i64(main), width(), Values(bytes, none),
               [&](Value *i, const Values &now) { return put(e.b.CreateAdd(from, i), width(), now); });
    auto join = [&](Value *l, Value *r) { return e.b.CreateAdd(l, r); };
    for (Value *&sum : sums) sum = e.reduce(sum, join);
    sums = e.loop(e.i64(main), e.i64(count), 1, sums,
                  [&](Value *i, const Values &now) { return put(e.b.CreateAdd(from, i), 1, now); });
    if (words()) return;
    Value *index = e.muladd(group, e.i64(2), e.i64(to.sumsAt() / 4));
    for (int h = 0; h < bytes; ++h)
      e.store(Type::i32, out, e.b.CreateAdd(index, e.i64(h)), e.b.CreateMul(sums[h], e.i32(to.sumFactor())));
  }

  void write() {
    Value *m = largest(e, x, to.k),
          *limit = e.f32(bytes == 1 ? 127 : 127 * 256); // whose high byte is 127, too
    factor = factorFor(e, m, limit);
    e.store(Type::f32, out, e.i64(to.factorAt() / 4), e.b.CreateFDiv(m, limit));
    e.loop(e.i64(to.k / 8 * 8), e.i64(to.padded()), 1, [&](Value *i) { // zeros first where none will lie
      for (int h = 0; h < (words() ? 1 : bytes); ++h)
        store(e.b.CreateAdd(i, e.i64(h * to.padded())), e.i32(0));
    });
    const int64_t size = to.group ? to.group : to.k, whole = to.k / size;
    e.loop(e.i64(0), e.i64(whole), 1,
           [&](Value *group) { putGroup(group, e.b.CreateMul(group, e.i64(size)), size); });
    if (int64_t rest = to.k % size) putGroup(e.i64(whole), e.i64(whole * size), rest);
  }
};

} // namespace

KernelSource integerRowsKernel(const IntegerRows &to, const Extent &m, int64_t a_stride) {
  std::string name = fmt::format("integer_rows_k{}_by{}", to.k, to.interleave);
  if (a_stride != to.k) name += fmt::format("_lda{}", a_stride);
  if (to.group) name += fmt::format("_group{}", to.group);
  if (to.asymmetric) name += "_asymmetric";
  if (to.int8_rows) name += fmt::format("_bytes_from{}_of{}", to.int8_rows, m.text());
  return {name, [to, m, a_stride](Emitter &e) {
            e.extended |= e.isa.vnni; // how the integers lie depends on it
            auto write = [&](int bytes) {
              e.loop(e.begin, e.end, 1, [&](Value *row) {
                Value *x = e.address(Type::f32, e.arg(0), e.b.CreateMul(row, e.i64(a_stride)));
                Value *out = e.address(Type::i8, e.arg(1), e.b.CreateMul(row, e.i64(to.bytes())));
                QuantizedRow{e, to, bytes, x, out}.write();
              });
            };
            if (to.int8_rows == 0) return write(2);
            if (to.int8_rows == 1) return write(1);
            Value *many = e.b.CreateICmpSGE(e.extent(m), e.i64(to.int8_rows));
            e.ifElse(
                many, [&] { write(1); }, [&] { write(2); });
          }};
}

} // namespace linnet::cpu
