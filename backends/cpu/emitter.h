// The interface that kernel generators write machine code with: LLVM's IRBuilder, loops, typed vector memory access,
// reductions and elementary functions. Vectors have the width of one instruction set.
#pragma once
#include "backends/common/specs/spec.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/kernel.h"

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/IRBuilder.h>

namespace linnet::cpu {

using Value = llvm::Value;
using Values = llvm::SmallVector<llvm::Value *, 8>;

/// Emits the body of one kernel. Index values are i64. A vector of one lane is a scalar. Every function gives a lane
/// the same bits for any number of lanes, so a scalar tail can continue a vector loop.
class Emitter {
public:
  Emitter(llvm::Function *function, const Isa &isa);

  const Isa &isa;
  llvm::Function *function;
  llvm::IRBuilder<> b;
  Value *dims, *args, *begin, *end; ///< the kernel's parameters
  bool extended = false;            ///< whether an instruction of isa.extensions has been emitted
  int lanes() const { return isa.lanes; }

  // --- constants, parameters, index arithmetic
  Value *i64(int64_t value);
  Value *i32(int64_t value);
  Value *f32(double value, int lanes = 1);
  /// Address of argument `index` of the kernel.
  Value *arg(int index);
  /// Address of a specification's operand. Null if the call does not have it.
  template <class Spec> Value *arg(const Spec &spec, typename Spec::Operand operand) {
    return backend::hasOperand(spec, operand) ? arg(int(backend::positionOf(spec, operand))) : nullptr;
  }
  /// The value of an extent in this call.
  Value *extent(const Extent &extent);
  Value *splat(Value *scalar, int lanes);
  Value *min(Value *x, Value *y); ///< signed integers
  Value *max(Value *x, Value *y); ///< signed integers
  Value *muladd(Value *x, Value *y, Value *z) { return b.CreateAdd(b.CreateMul(x, y), z); }

  // --- control flow
  void loop(Value *from, Value *to, int64_t step, llvm::function_ref<void(Value *)> body);
  /// A loop with carried values. body(i, current) returns the next values; the loop returns the last ones.
  Values loop(Value *from, Value *to, int64_t step, Values init,
              llvm::function_ref<Values(Value *, const Values &)> body);
  void ifThen(Value *condition, llvm::function_ref<void()> then);
  void ifElse(Value *condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  /// Calls body(i, lanes) over [from, to): whole vectors first, then single elements.
  void forVectors(Value *from, Value *to, llvm::function_ref<void(Value *, int)> body);
  /// acc = step(acc, i, lanes) over [from, to), starting with `identity`. `join` combines lanes; the result is a
  /// scalar. The order of additions depends on the range's length only.
  Value *fold(Value *from, Value *to, double identity,
              llvm::function_ref<Value *(Value *, Value *, int)> step,
              llvm::function_ref<Value *(Value *, Value *)> join);
  /// Calls body(row, i0, i1) for each row of `inner` items: [i0, i1) are the items of the row that are inside [begin,
  /// end).
  void forRuns(Value *inner, llvm::function_ref<void(Value *, Value *, Value *)> body);

  // --- memory; `index` counts elements of `type`
  Value *address(Type type, Value *base, Value *index);
  /// Loads f16 and bf16 as f32, and i8 as i32. Stores convert back.
  Value *load(Type type, Value *base, Value *index, int lanes = 1);
  void store(Type type, Value *base, Value *index, Value *value);
  /// Loads `count` <= lanes() elements and zeros in the other lanes. storePart stores the first `count` lanes.
  Value *loadPart(Type type, Value *base, Value *index, int count);
  void storePart(Type type, Value *base, Value *index, Value *value, int count);
  /// Copies elements without conversion.
  void copy(Type type, Value *to, Value *to_index, Value *from, Value *from_index, int lanes = 1);
  /// Converts half of each byte (an i32 lane holds a byte), 0 for the low one, from a signed number to f32.
  Value *signedNibble(Value *byte, int half);
  Value *signedNibble(Value *byte, Value *half); ///< the same for a half that is known at run time only
  Value *loadIndex(Value *base, Value *index);   ///< loads an i32 as i64
  Value *scratch(int64_t floats);                ///< allocates stack memory, aligned to 64 bytes
  void prefetch(Value *address); ///< prefetches into the second-level cache; invalid addresses are allowed

  // --- arithmetic on f32 vectors
  Value *fma(Value *x, Value *y, Value *z); ///< x y + z, fused if the instruction set has the instruction
  Value *maximum(Value *x, Value *y);       ///< NaN if either operand is NaN
  Value *minimum(Value *x, Value *y);
  Value *maxOf(Value *x, Value *y); ///< one instruction; y if either operand is NaN
  /// Rounds a float or i32 vector to `to`, and returns it as f32 or i32. A float becomes an integer by truncation
  /// towards zero with saturation, NaN becomes 0. An i32 wraps to i8.
  Value *convert(Value *x, Type to);
  Value *sqrt(Value *x);
  Value *exp(Value *x);
  Value *log(Value *x);
  Value *tanh(Value *x);
  Value *erf(Value *x);
  Value *activate(Activation activation, Value *x);
  /// Combines the lanes of a vector in a tree.
  Value *reduce(Value *x, llvm::function_ref<Value *(Value *, Value *)> join);
  Value *sumLanes(Value *x);
  Value *maxLanes(Value *x);
  /// Transposes lanes() rows: lane j of row i becomes lane i of row j.
  Values transpose(Values rows);
  /// The i32 vector first, first + step, ...
  Value *laneNumbers(int first, int step);
  /// The i64 vector first, first + 1, ...
  Value *indices(Value *first, int lanes);
  /// Lane j of the result is the sum of the lanes of part(j), for j < lanes().
  Value *transposeSum(llvm::function_ref<Value *(int)> part);

  // --- dot products of narrow numbers; each lane of an operand is a 32-bit word of several numbers
  Value *lowBfloat(Value *pair);  ///< the low bf16 of each pair, as f32
  Value *highBfloat(Value *pair); ///< the high bf16 of each pair, as f32
  /// toBfloatFast rounds f32 to bf16 (as i16). bfloatPair rounds two and puts x into the low half of a word. Denormals
  /// become zeros. Both need isa.bf16.
  Value *toBfloatFast(Value *x);
  Value *bfloatPair(Value *x, Value *y);
  Value *roundToBfloatFast(Value *x); ///< rounds f32 to bf16 and returns f32; needs isa.bf16
  /// acc + x0 y0 + x1 y1; needs isa.bf16.
  Value *dotBfloatPairs(Value *acc, Value *x, Value *y);
  /// acc + the four products of unsigned bytes of x and signed bytes of y; needs isa.vnni.
  Value *dotBytes(Value *acc, Value *x, Value *y);
  /// x0 y0 + x1 y1 of unsigned bytes of x and signed bytes of y, in 16-bit lanes. The caller ensures that sums fit.
  Value *dotBytePairs(Value *x, Value *y);
  /// acc + the two products of signed 16-bit numbers.
  Value *dotWords(Value *acc, Value *x, Value *y);

  static int lanesOf(Value *x);
  llvm::Type *floatType(int lanes);
  llvm::Type *intType(int lanes, int bits = 32);

private:
  Value *loadHalf(Value *address, int lanes);
  Value *toHalf(Value *x);
  Value *toBfloat(Value *x);
  Value *bits(Value *x); ///< f32 -> i32
  Value *real(Value *x); ///< i32 -> f32
  Value *transposeSum(llvm::function_ref<Value *(int)> part, int first, int count);
};

// Each file of kernels specializes these two for its specifications, and instantiates kernelOf().
template <class Spec> void emit(Emitter &e, const Spec &spec);
template <class Spec> Work workOf(const Spec &spec);

template <class Spec> SizedKernel kernelOf(const Spec &spec) {
  return {{spec.key(backend::Walk::range), [spec](Emitter &e) { emit(e, spec); }}, workOf(spec)};
}

} // namespace linnet::cpu
