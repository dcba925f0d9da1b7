// Activations as packed matmuls with weights of integers read them: each row once, before any panel.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

constexpr uint32_t kMagnitude = 0x7fffffff; ///< all bits of a float but its sign
constexpr int kFractionBits = 23;
constexpr uint32_t kOne = 127u << kFractionBits; ///< bits of 1
constexpr uint32_t kRounding =
    (kOne + (kFractionBits << kFractionBits)) | 1u << (kFractionBits - 1); ///< of 1.5 2^23
/// Bits of 127 2^-118. For smaller numbers the factor would overflow: it is at most 2^126.
constexpr uint32_t kSmallest = 0x07fe0000;
constexpr int kByte = 256; ///< the unit of the high one of two bytes
static_assert(1 << kMostInt8Exponent <= kByte, "a byte times its power of two must fit 16 bits");
constexpr int kSteps = 127;      ///< of a signed byte
constexpr int kAccumulators = 4; ///< hide the latency of a maximum

/// The bits of the largest magnitude of `count` numbers from `from` on. Those of NaN are the largest of all.
Value *largest(Emitter &e, Value *x, Value *from, int64_t count) {
  auto join = [&](Value *l, Value *r) { return e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, l, r); };
  auto step = [&](Value *acc, Value *i, int lanes) {
    Value *bits = e.load(Type::i32, x, e.b.CreateAdd(from, i), lanes);
    return join(acc, e.b.CreateAnd(bits, e.splat(e.b.getInt32(kMagnitude), lanes)));
  };
  const int64_t lanes = e.lanes(), vectors = count / lanes, wide = std::min<int64_t>(vectors, kAccumulators);
  Values acc(size_t(std::max<int64_t>(wide, 1)), llvm::Constant::getNullValue(e.intType(int(lanes))));
  auto steps = [&](Value *i, const Values &now) {
    Values next = now;
    for (int64_t u = 0; u < wide; ++u)
      next[size_t(u)] = step(now[size_t(u)], e.b.CreateAdd(i, e.i64(u * lanes)), int(lanes));
    return next;
  };
  const int64_t main = wide ? vectors / wide * wide * lanes : 0;
  if (main == wide * lanes && main)
    acc = steps(e.i64(0), acc);
  else if (main)
    acc = e.loop(e.i64(0), e.i64(main), wide * lanes, acc, steps);
  for (int64_t i = main; i < vectors * lanes; i += lanes) acc[0] = step(acc[0], e.i64(i), int(lanes));
  Value *most = acc[0];
  for (size_t u = 1; u < acc.size(); ++u) most = join(most, acc[u]);
  most = e.reduce(most, join);
  return e.loop(e.i64(vectors * lanes), e.i64(count), 1, {most},
                [&](Value *i, const Values &now) { return Values{step(now[0], i, 1)}; })[0];
}

/// x factor to nearest even, by the addition that leaves no bits for a fraction.
Value *nearest(Emitter &e, Value *x, Value *factor) {
  const int lanes = Emitter::lanesOf(x);
  Value *magic = e.splat(e.b.getInt32(kRounding), lanes);
  Value *sum =
      e.b.CreateFAdd(e.b.CreateFMul(x, e.splat(factor, lanes)), e.b.CreateBitCast(magic, x->getType()));
  return e.b.CreateSub(e.b.CreateBitCast(sum, e.intType(lanes)), magic);
}

/// One row to integers. They lie in the order in which a matmul meets them: of eight rows of i4 together
/// first the even ones, which are the low halves of the bytes; of four words the first, the third, the second.
struct QuantizedRow {
  Emitter &e;
  const IntegerRows &to;
  int bytes; ///< of a number: 2, or 1
  Value *x, *out;
  Value *factor = nullptr; ///< integers are numbers times this
  Value *shift = nullptr;  ///< of a section: its integers are multiplied by two to this
  Value *most = nullptr;   ///< bits of the largest magnitude of the row

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
      if (shift) q = e.b.CreateShl(q, e.splat(shift, lanes));
      store(at, lanes == 1 ? q : reordered(q));
      return sums;
    }
    Values parts = {q};
    if (bytes == 2) {
      Value *high = e.b.CreateAShr(e.b.CreateAdd(q, number(128)), number(8));
      parts = {high, e.b.CreateSub(q, e.b.CreateShl(high, number(8)))};
    }
    Values next;
    for (int h = 0; h < bytes; ++h) {
      Value *to_plane = e.b.CreateAdd(at, e.i64(h * to.padded()));
      store(to_plane, lanes == 1 ? parts[h] : reordered(parts[h]));
      next.push_back(e.b.CreateAdd(sums[h], parts[h]));
    }
    return next;
  }

  /// Word number `at` of section `number`.
  Value *wordOf(Value *number, int64_t at) const {
    return e.muladd(number, e.i64(IntegerRows::kSectionWords), e.i64(to.sumsAt() / 4 + at));
  }
  /// Elements [from, from + count), which are a section; count is known. Returns the sums of their bytes.
  Values putNumbers(Value *from, int64_t count) const {
    const int64_t main = count / width() * width();
    Values sums(size_t(bytes), llvm::Constant::getNullValue(e.intType(width())));
    auto step = [&](Value *i, const Values &now) { return put(e.b.CreateAdd(from, i), width(), now); };
    if (main <= kAccumulators * width())
      for (int64_t i = 0; i < main; i += width()) sums = step(e.i64(i), sums);
    else
      sums = e.loop(e.i64(0), e.i64(main), width(), sums, step);
    for (Value *&sum : sums) sum = e.reduce(sum, [&](Value *l, Value *r) { return e.b.CreateAdd(l, r); });
    return e.loop(e.i64(main), e.i64(count), 1, sums,
                  [&](Value *i, const Values &now) { return put(e.b.CreateAdd(from, i), 1, now); });
  }
  void putSection(Value *number, Value *from, int64_t count) const {
    const Values sums = putNumbers(from, count);
    for (int h = 0; !words() && h < bytes; ++h)
      e.store(Type::i32, out, wordOf(number, h), e.b.CreateMul(sums[h], e.i32(to.sumFactor())));
  }
  /// The same with an exponent. Word 0 has the bits of the section's largest magnitude before.
  void putScaledSection(Value *number, Value *from, int64_t count) const {
    Value *ratio =
        e.b.CreateLShr(e.b.CreateSub(most, e.load(Type::i32, out, wordOf(number, 0))), kFractionBits);
    Value *exponent = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, ratio, e.i32(kMostInt8Exponent));
    auto placed = [&](Value *x) { return e.b.CreateShl(x, kFractionBits); };
    Value *power = e.b.CreateBitCast(e.b.CreateAdd(e.i32(kOne), placed(exponent)), e.b.getFloatTy());
    QuantizedRow scaled = *this;
    scaled.factor = e.b.CreateFMul(factor, power);
    scaled.shift = e.b.CreateSub(e.i32(kMostInt8Exponent), exponent);
    const Values sums = scaled.putNumbers(from, count);
    if (words()) return;
    Value *begin = e.i32(0), *first = e.b.CreateShl(e.i32(1 << 16 | 1), scaled.shift);
    Value *sum = e.b.CreateMul(sums[0], e.i32(to.sumFactor()));
    if (e.isa.vnni) first = begin = e.b.CreateAdd(e.i32(kRounding), placed(scaled.shift));
    if (to.asymmetric || !e.isa.vnni) sum = e.b.CreateShl(sum, scaled.shift);
    e.store(Type::i32, out, wordOf(number, 0), first);
    if (to.asymmetric)
      e.store(Type::f32, out, wordOf(number, 1), e.b.CreateSIToFP(sum, e.b.getFloatTy()));
    else
      e.store(Type::i32, out, wordOf(number, 1), e.b.CreateAdd(begin, sum));
  }
  /// body(number, first element, how many) for all sections.
  void forSections(llvm::function_ref<void(Value *, Value *, int64_t)> body) const {
    const int64_t size = to.section(bytes), whole = to.k / size;
    e.loop(e.i64(0), e.i64(whole), 1,
           [&](Value *number) { body(number, e.b.CreateMul(number, e.i64(size)), size); });
    if (int64_t rest = to.k % size) body(e.i64(whole), e.i64(whole * size), rest);
  }

  /// Bits of the largest magnitude, at least kSmallest. Those of sections become their word 0.
  Value *largestOfRow() const {
    Value *all = e.i32(kSmallest);
    auto join = [&](Value *bits) { all = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, all, bits); };
    if (!to.hasExponents(bytes)) {
      join(largest(e, x, e.i64(0), to.k));
      return all;
    }
    const int64_t size = to.section(bytes), whole = to.k / size;
    auto ofSection = [&](Value *number, int64_t count) {
      Value *bits = largest(e, x, e.b.CreateMul(number, e.i64(size)), count);
      e.store(Type::i32, out, wordOf(number, 0), bits);
      join(bits);
    };
    all = e.loop(e.i64(0), e.i64(whole), 1, {all}, [&](Value *number, const Values &now) {
      all = now[0];
      ofSection(number, size);
      return Values{all};
    })[0];
    if (int64_t rest = to.k % size) ofSection(e.i64(whole), rest);
    return all;
  }
  void write() {
    const bool exponents = to.hasExponents(bytes);
    most = largestOfRow();
    Value *limit = e.f32(bytes == 1 ? kSteps : kSteps * kByte); // whose high byte is 127, too
    Value *magnitude = e.b.CreateBitCast(most, e.b.getFloatTy());
    factor = e.b.CreateFDiv(limit, magnitude);
    // Not finite: NaN, so that all numbers of the row are.
    magnitude = e.b.CreateFAdd(magnitude, e.b.CreateFSub(magnitude, magnitude));
    Value *whole = exponents ? e.f32(kSteps * kByte) : limit;
    e.store(Type::f32, out, e.i64(to.factorAt() / 4), e.b.CreateFDiv(magnitude, whole));
    e.loop(e.i64(to.k / 8 * 8), e.i64(to.padded()), 1, [&](Value *i) { // zeros first where none will lie
      for (int h = 0; h < (words() ? 1 : bytes); ++h)
        store(e.b.CreateAdd(i, e.i64(h * to.padded())), e.i32(0));
    });
    forSections([&](Value *number, Value *from, int64_t count) {
      exponents ? putScaledSection(number, from, count) : putSection(number, from, count);
    });
  }
};

} // namespace

KernelSource integerRowsKernel(const IntegerRows &to, const Extent &m, int64_t a_stride) {
  std::string name = fmt::format("integer_rows_k{}_by{}", to.k, to.interleave);
  if (a_stride != to.k) name += fmt::format("_lda{}", a_stride);
  if (to.group) name += fmt::format("_group{}", to.group);
  if (to.asymmetric) name += "_asymmetric";
  if (to.int8_rows) name += fmt::format("_bytes_from{}_of{}", to.int8_rows, m.text());
  if (to.int8_group) name += fmt::format("_by{}_bytes", to.int8_group);
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
