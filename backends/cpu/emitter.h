// What kernel generators write machine code with: LLVM's IRBuilder, plus loops, typed vector memory access,
// reductions and elementary functions at the vector width of one instruction set.
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

/// Emits the body of one kernel. Index values are i64. A "vector of `lanes`" with lanes == 1 is a plain
/// scalar. Every function gives the same bits for a lane whatever `lanes` is: a scalar tail continues a
/// vector loop.
class Emitter {
public:
  Emitter(llvm::Function *function, const Isa &isa);

  const Isa &isa;
  llvm::Function *function;
  llvm::IRBuilder<> b;
  Value *dims, *args, *begin, *end; ///< the kernel's parameters
  bool extended = false;            ///< an instruction of isa.extensions has been written
  int lanes() const { return isa.lanes; }

  // --- constants, parameters, index arithmetic
  Value *i64(int64_t value);
  Value *i32(int64_t value);
  Value *f32(double value, int lanes = 1);
  /// Address of argument `index` of the kernel.
  Value *arg(int index);
  /// Address of a specification's operand; null: the call has none.
  template <class Spec> Value *arg(const Spec &spec, typename Spec::Operand operand) {
    return backend::hasOperand(spec, operand) ? arg(int(backend::positionOf(spec, operand))) : nullptr;
  }
  /// Value of an extent in this call.
  Value *extent(const Extent &extent);
  Value *splat(Value *scalar, int lanes);
  Value *min(Value *x, Value *y); ///< signed integers
  Value *max(Value *x, Value *y); ///< signed integers
  Value *muladd(Value *x, Value *y, Value *z) { return b.CreateAdd(b.CreateMul(x, y), z); }

  // --- control flow
  void loop(Value *from, Value *to, int64_t step, llvm::function_ref<void(Value *)> body);
  /// Loop with carried values: body(i, current) gives the next ones; the last are returned.
  Values loop(Value *from, Value *to, int64_t step, Values init,
              llvm::function_ref<Values(Value *, const Values &)> body);
  void ifThen(Value *condition, llvm::function_ref<void()> then);
  void ifElse(Value *condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  /// body(i, lanes) over [from, to): full vectors, then single elements.
  void forVectors(Value *from, Value *to, llvm::function_ref<void(Value *, int)> body);
  /// acc = step(acc, i, lanes) over [from, to) from `identity`, lanes joined by `join`; a scalar is returned.
  /// The order depends on the range's length only.
  Value *fold(Value *from, Value *to, double identity,
              llvm::function_ref<Value *(Value *, Value *, int)> step,
              llvm::function_ref<Value *(Value *, Value *)> join);
  /// For each maximal run [i0, i1) of a row of `inner` items inside [begin, end): body(row, i0, i1).
  void forRuns(Value *inner, llvm::function_ref<void(Value *, Value *, Value *)> body);

  // --- memory. `index` counts elements of `type`
  Value *address(Type type, Value *base, Value *index);
  /// f16 and bf16 come as f32, i8 as i32.
  Value *load(Type type, Value *base, Value *index, int lanes = 1);
  void store(Type type, Value *base, Value *index, Value *value);
  /// `count` <= lanes() elements, zeros behind; stores the first `count` ones.
  Value *loadPart(Type type, Value *base, Value *index, int count);
  void storePart(Type type, Value *base, Value *index, Value *value, int count);
  /// Moves elements as they are.
  void copy(Type type, Value *to, Value *to_index, Value *from, Value *from_index, int lanes = 1);
  /// A half of each byte (given as i32), 0: the low one, as a signed number in f32.
  Value *signedNibble(Value *byte, int half);
  Value *signedNibble(Value *byte, Value *half); ///< the same for one byte, the half known only here
  Value *loadIndex(Value *base, Value *index);   ///< an i32 as i64
  Value *scratch(int64_t floats);                ///< on the stack, aligned to 64 bytes
  void prefetch(Value *address);                 ///< to the second level of caches; any address is allowed

  // --- arithmetic on f32 vectors
  Value *fma(Value *x, Value *y, Value *z); ///< x y + z; fused where the instruction set has it
  Value *maximum(Value *x, Value *y);       ///< a NaN operand gives NaN
  Value *minimum(Value *x, Value *y);
  Value *maxOf(Value *x, Value *y); ///< one instruction; y where they do not compare
  /// A float or i32 vector as `to` holds it: rounded for f16 and bf16 (and f32 again), an integer towards
  /// zero with saturation, NaN as 0; i8 wraps from an integer.
  Value *convert(Value *x, Type to);
  Value *sqrt(Value *x);
  Value *exp(Value *x);
  Value *log(Value *x);
  Value *tanh(Value *x);
  Value *erf(Value *x);
  Value *activate(Activation activation, Value *x);
  /// Lanes of a vector joined in a tree.
  Value *reduce(Value *x, llvm::function_ref<Value *(Value *, Value *)> join);
  Value *sumLanes(Value *x);
  Value *maxLanes(Value *x);
  /// Row i, lane j from row j, lane i; as many rows as lanes().
  Values transpose(Values rows);
  /// first, first + step, ... as i32, one a lane.
  Value *laneNumbers(int first, int step);
  /// first, first + 1, ..., one a lane, as i64.
  Value *indices(Value *first, int lanes);
  /// Lane j of the result is the sum of the lanes of part(j), j < lanes().
  Value *transposeSum(llvm::function_ref<Value *(int)> part);

  // --- sums of products of narrow numbers, a 32-bit word of each operand to a lane
  Value *lowBfloat(Value *pair);  ///< the first of each pair of bf16, as f32
  Value *highBfloat(Value *pair); ///< the second
  /// f32 as bf16 in i16, and two of them in a word, x first; denormals become zeros. isa.bf16.
  Value *toBfloatFast(Value *x);
  Value *bfloatPair(Value *x, Value *y);
  Value *roundToBfloatFast(Value *x); ///< f32
  /// acc + x0 y0 + x1 y1; isa.bf16.
  Value *dotBfloatPairs(Value *acc, Value *x, Value *y);
  /// acc + four products of unsigned bytes of x and signed ones of y; isa.vnni.
  Value *dotBytes(Value *acc, Value *x, Value *y);
  /// Two products of unsigned bytes of x and signed ones of y a lane of 16 bits; a sum must fit it.
  Value *dotBytePairs(Value *x, Value *y);
  /// acc + two products of signed 16-bit numbers.
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

} // namespace linnet::cpu
