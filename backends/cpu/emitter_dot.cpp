// Dot products of narrow numbers, by the processors' instructions for them.
#include "backends/cpu/emitter.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/TargetParser/Triple.h>

namespace linnet::cpu {

Value *Emitter::lowBfloat(Value *pair) { return real(b.CreateShl(pair, 16)); }
Value *Emitter::highBfloat(Value *pair) {
  return real(b.CreateAnd(pair, llvm::ConstantInt::get(pair->getType(), 0xffff0000)));
}

Value *Emitter::dotBfloatPairs(Value *acc, Value *x, Value *y) {
  extended = true;
  llvm::Type *pairs = llvm::FixedVectorType::get(b.getBFloatTy(), 2 * lanesOf(acc));
  return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
                           {acc, b.CreateBitCast(x, pairs), b.CreateBitCast(y, pairs)});
}

Value *Emitter::toBfloatFast(Value *x) {
  extended = true;
  return b.CreateBitCast(b.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_512, {}, {x}),
                         intType(lanesOf(x), 16));
}

Value *Emitter::bfloatPair(Value *x, Value *y) {
  llvm::Type *words = intType(lanesOf(x));
  Value *high = b.CreateShl(b.CreateZExt(toBfloatFast(y), words), 16);
  return b.CreateOr(b.CreateZExt(toBfloatFast(x), words), high);
}

Value *Emitter::roundToBfloatFast(Value *x) {
  return real(b.CreateShl(b.CreateZExt(toBfloatFast(x), intType(lanesOf(x))), 16));
}

Value *Emitter::dotBytes(Value *acc, Value *x, Value *y) {
  extended = true;
  return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpdpbusd_512, {}, {acc, x, y});
}

Value *Emitter::dotBytePairs(Value *x, Value *y) {
  const int n = lanesOf(x);
  llvm::Type *words = intType(2 * n, 16);
  if (llvm::Triple(isa.triple).getArch() == llvm::Triple::x86_64 && n >= 8) {
    const bool wide = n == 16;
    const llvm::Intrinsic::ID id =
        wide ? llvm::Intrinsic::x86_avx512_pmaddubs_w_512 : llvm::Intrinsic::x86_avx2_pmadd_ub_sw;
    llvm::Type *bytes = intType(4 * n, 8);
    return b.CreateIntrinsic(id, {}, {b.CreateBitCast(x, bytes), b.CreateBitCast(y, bytes)});
  }
  x = b.CreateBitCast(x, words), y = b.CreateBitCast(y, words);
  Value *even = b.CreateMul(b.CreateAnd(x, 0xff), b.CreateAShr(b.CreateShl(y, 8), 8));
  return b.CreateAdd(even, b.CreateMul(b.CreateLShr(x, 8), b.CreateAShr(y, 8)));
}

Value *Emitter::dotWords(Value *acc, Value *x, Value *y) {
  const int n = lanesOf(acc);
  llvm::Type *words = intType(2 * n, 16);
  x = b.CreateBitCast(x, words), y = b.CreateBitCast(y, words);
  const bool x86 = llvm::Triple(isa.triple).getArch() == llvm::Triple::x86_64;
  llvm::Intrinsic::ID id = n == 16  ? llvm::Intrinsic::x86_avx512_pmaddw_d_512
                           : n == 8 ? llvm::Intrinsic::x86_avx2_pmadd_wd
                                    : llvm::Intrinsic::x86_sse2_pmadd_wd;
  if (x86) return b.CreateAdd(acc, b.CreateIntrinsic(id, {}, {x, y}));
  llvm::Type *wide = intType(2 * n, 32);
  Value *products = b.CreateMul(b.CreateSExt(x, wide), b.CreateSExt(y, wide));
  llvm::SmallVector<int, 16> even, odd;
  for (int i = 0; i < n; ++i) even.push_back(2 * i), odd.push_back(2 * i + 1);
  return b.CreateAdd(
      acc, b.CreateAdd(b.CreateShuffleVector(products, even), b.CreateShuffleVector(products, odd)));
}

} // namespace linnet::cpu
