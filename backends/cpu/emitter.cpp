#include "backends/cpu/emitter.h"

#include <llvm/IR/Intrinsics.h>

namespace linnet::cpu {

Emitter::Emitter(llvm::Function *function, const Isa &isa)
    : isa(isa), function(function), b(llvm::BasicBlock::Create(function->getContext(), "entry", function)),
      dims(function->getArg(0)), args(function->getArg(1)), begin(function->getArg(2)),
      end(function->getArg(3)) {}

// --- constants, parameters, index arithmetic

Value *Emitter::i64(int64_t value) { return b.getInt64(value); }
Value *Emitter::i32(int64_t value) { return b.getInt32(uint32_t(value)); }
Value *Emitter::f32(double value, int lanes) { return llvm::ConstantFP::get(floatType(lanes), float(value)); }
llvm::Type *Emitter::floatType(int lanes) {
  return lanes == 1 ? b.getFloatTy() : (llvm::Type *)llvm::FixedVectorType::get(b.getFloatTy(), lanes);
}
llvm::Type *Emitter::intType(int lanes, int bits) {
  llvm::Type *scalar = b.getIntNTy(bits);
  return lanes == 1 ? scalar : (llvm::Type *)llvm::FixedVectorType::get(scalar, lanes);
}
int Emitter::lanesOf(Value *x) {
  auto *type = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  return type ? int(type->getNumElements()) : 1;
}

Value *Emitter::arg(int index) {
  return b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_64(b.getPtrTy(), args, index));
}

Value *Emitter::extent(const Extent &extent) {
  Value *value = i64(extent.factor);
  for (uint8_t symbol : extent.symbols)
    value =
        b.CreateMul(value, b.CreateLoad(b.getInt64Ty(), b.CreateConstGEP1_64(b.getInt64Ty(), dims, symbol)));
  return value;
}

Value *Emitter::splat(Value *scalar, int lanes) {
  return lanes == 1 ? scalar : b.CreateVectorSplat(lanes, scalar);
}
Value *Emitter::min(Value *x, Value *y) { return b.CreateSelect(b.CreateICmpSLT(x, y), x, y); }
Value *Emitter::max(Value *x, Value *y) { return b.CreateSelect(b.CreateICmpSGT(x, y), x, y); }

// --- control flow

Values Emitter::loop(Value *from, Value *to, int64_t step, Values init,
                     llvm::function_ref<Values(Value *, const Values &)> body) {
  llvm::LLVMContext &context = b.getContext();
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto *head = llvm::BasicBlock::Create(context, "loop", function);
  auto *inside = llvm::BasicBlock::Create(context, "body", function);
  auto *after = llvm::BasicBlock::Create(context, "done", function);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode *index = b.CreatePHI(b.getInt64Ty(), 2);
  index->addIncoming(from, before);
  llvm::SmallVector<llvm::PHINode *, 8> carried;
  for (Value *value : init) {
    carried.push_back(b.CreatePHI(value->getType(), 2));
    carried.back()->addIncoming(value, before);
  }
  b.CreateCondBr(b.CreateICmpSLT(index, to), inside, after);
  b.SetInsertPoint(inside);
  const Values next = body(index, Values(carried.begin(), carried.end()));
  Value *advanced = b.CreateNSWAdd(index, i64(step));
  llvm::BasicBlock *latch = b.GetInsertBlock();
  b.CreateBr(head);
  index->addIncoming(advanced, latch);
  for (size_t i = 0; i < carried.size(); ++i) carried[i]->addIncoming(next[i], latch);
  b.SetInsertPoint(after);
  return Values(carried.begin(), carried.end());
}

void Emitter::loop(Value *from, Value *to, int64_t step, llvm::function_ref<void(Value *)> body) {
  loop(from, to, step, Values(), [&](Value *i, const Values &) {
    body(i);
    return Values();
  });
}

void Emitter::ifElse(Value *condition, llvm::function_ref<void()> then,
                     llvm::function_ref<void()> otherwise) {
  llvm::LLVMContext &context = b.getContext();
  auto *yes = llvm::BasicBlock::Create(context, "then", function);
  auto *no = llvm::BasicBlock::Create(context, "else", function);
  auto *after = llvm::BasicBlock::Create(context, "endif", function);
  b.CreateCondBr(condition, yes, no);
  b.SetInsertPoint(yes);
  then();
  b.CreateBr(after);
  b.SetInsertPoint(no);
  otherwise();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

void Emitter::ifThen(Value *condition, llvm::function_ref<void()> then) {
  ifElse(condition, then, [] {});
}

void Emitter::forVectors(Value *from, Value *to, llvm::function_ref<void(Value *, int)> body) {
  Value *main = b.CreateAdd(from, b.CreateAnd(b.CreateSub(to, from), i64(-int64_t(lanes()))));
  loop(from, main, lanes(), [&](Value *i) { body(i, lanes()); });
  loop(main, to, 1, [&](Value *i) { body(i, 1); });
}

Value *Emitter::fold(Value *from, Value *to, double identity,
                     llvm::function_ref<Value *(Value *, Value *, int)> step,
                     llvm::function_ref<Value *(Value *, Value *)> join) {
  // Four independent accumulators hide the latency of additions.
  const int wide = 4 * lanes();
  Value *length = b.CreateSub(to, from);
  Value *end_wide = b.CreateAdd(from, b.CreateAnd(length, i64(-int64_t(wide))));
  Value *end_vector = b.CreateAdd(from, b.CreateAnd(length, i64(-int64_t(lanes()))));
  Values sums =
      loop(from, end_wide, wide, Values(4, f32(identity, lanes())), [&](Value *i, const Values &acc) {
        Values next;
        for (int u = 0; u < 4; ++u) next.push_back(step(acc[u], b.CreateAdd(i, i64(u * lanes())), lanes()));
        return next;
      });
  Value *sum = join(join(sums[0], sums[1]), join(sums[2], sums[3]));
  sum = loop(end_wide, end_vector, lanes(), {sum},
             [&](Value *i, const Values &acc) { return Values{step(acc[0], i, lanes())}; })[0];
  sum = reduce(sum, join);
  return loop(end_vector, to, 1, {sum},
              [&](Value *i, const Values &acc) { return Values{step(acc[0], i, 1)}; })[0];
}

void Emitter::forRuns(Value *inner, llvm::function_ref<void(Value *, Value *, Value *)> body) {
  Value *safe = max(inner, i64(1));
  Value *first = b.CreateSDiv(begin, safe);
  Value *last = b.CreateSDiv(b.CreateAdd(end, b.CreateSub(safe, i64(1))), safe);
  loop(first, last, 1, [&](Value *row) {
    Value *start = b.CreateMul(row, safe);
    body(row, max(b.CreateSub(begin, start), i64(0)), min(b.CreateSub(end, start), safe));
  });
}

// --- memory

static llvm::Type *storageType(llvm::IRBuilder<> &b, Type type) {
  switch (type) {
  case Type::f32:
    return b.getFloatTy();
  case Type::f16:
  case Type::bf16:
    return b.getInt16Ty();
  case Type::i32:
    return b.getInt32Ty();
  case Type::i8:
    return b.getInt8Ty();
  }
  return nullptr;
}

static llvm::Type *vectorOf(llvm::Type *scalar, int lanes) {
  return lanes == 1 ? scalar : (llvm::Type *)llvm::FixedVectorType::get(scalar, lanes);
}

Value *Emitter::address(Type type, Value *base, Value *index) {
  return b.CreateGEP(storageType(b, type), base, index);
}

Value *Emitter::load(Type type, Value *base, Value *index, int lanes) {
  llvm::Type *stored = vectorOf(storageType(b, type), lanes);
  Value *value = b.CreateAlignedLoad(stored, address(type, base, index), llvm::Align(sizeOf(type)));
  switch (type) {
  case Type::f16:
    return loadHalf(value, lanes);
  case Type::bf16:
    return real(b.CreateShl(b.CreateZExt(value, intType(lanes)), 16));
  case Type::i8:
    return b.CreateSExt(value, intType(lanes));
  default:
    return value;
  }
}

Value *Emitter::signedNibble(Value *byte, int half) {
  const int lanes = lanesOf(byte);
  Value *top = b.CreateShl(byte, llvm::ConstantInt::get(intType(lanes), half ? 24 : 28));
  return b.CreateSIToFP(b.CreateAShr(top, llvm::ConstantInt::get(intType(lanes), 28)), floatType(lanes));
}

Value *Emitter::signedNibble(Value *byte, Value *half) {
  return b.CreateSelect(b.CreateICmpEQ(half, i64(0)), signedNibble(byte, 0), signedNibble(byte, 1));
}

void Emitter::store(Type type, Value *base, Value *index, Value *value) {
  if (type == Type::f16) value = toHalf(value);
  if (type == Type::bf16) value = toBfloat(value);
  if (type == Type::i8) value = b.CreateTrunc(value, intType(lanesOf(value), 8));
  b.CreateAlignedStore(value, address(type, base, index), llvm::Align(sizeOf(type)));
}

Value *Emitter::loadPart(Type type, Value *base, Value *index, int count) {
  if (count == lanes()) return load(type, base, index, lanes());
  Value *whole = f32(0, lanes());
  for (int at = 0, piece = lanes() / 2; piece >= 1; piece /= 2) {
    if (!(count & piece)) continue;
    Value *part = load(type, base, b.CreateAdd(index, i64(at)), piece);
    for (int lane = 0; lane < piece; ++lane) {
      Value *element = piece == 1 ? part : b.CreateExtractElement(part, lane);
      whole = b.CreateInsertElement(whole, element, at + lane);
    }
    at += piece;
  }
  return whole;
}

void Emitter::storePart(Type type, Value *base, Value *index, Value *value, int count) {
  if (count == lanes()) return store(type, base, index, value);
  for (int at = 0, piece = lanes() / 2; piece >= 1; piece /= 2) {
    if (!(count & piece)) continue;
    llvm::SmallVector<int, 16> pick;
    for (int lane = 0; lane < piece; ++lane) pick.push_back(at + lane);
    Value *part = piece == 1 ? b.CreateExtractElement(value, at) : b.CreateShuffleVector(value, pick);
    store(type, base, b.CreateAdd(index, i64(at)), part);
    at += piece;
  }
}

void Emitter::copy(Type type, Value *to, Value *to_index, Value *from, Value *from_index, int lanes) {
  const llvm::Align align(sizeOf(type));
  Value *value =
      b.CreateAlignedLoad(vectorOf(storageType(b, type), lanes), address(type, from, from_index), align);
  b.CreateAlignedStore(value, address(type, to, to_index), align);
}

Value *Emitter::loadIndex(Value *base, Value *index) {
  return b.CreateSExt(load(Type::i32, base, index), b.getInt64Ty());
}

Value *Emitter::scratch(int64_t floats) {
  llvm::IRBuilder<>::InsertPointGuard guard(b);
  llvm::BasicBlock &entry = function->getEntryBlock();
  b.SetInsertPoint(&entry, entry.begin());
  llvm::AllocaInst *memory = b.CreateAlloca(b.getFloatTy(), i64(floats));
  memory->setAlignment(llvm::Align(64));
  return memory;
}

void Emitter::prefetch(Value *address) {
  b.CreateIntrinsic(llvm::Intrinsic::prefetch, {b.getPtrTy()}, {address, i32(0), i32(2), i32(1)});
}

// --- lanes

Value *Emitter::reduce(Value *x, llvm::function_ref<Value *(Value *, Value *)> join) {
  for (int count = lanesOf(x); count > 1; count /= 2) {
    llvm::SmallVector<int, 16> low, high;
    for (int i = 0; i < count / 2; ++i) low.push_back(i), high.push_back(i + count / 2);
    x = join(b.CreateShuffleVector(x, low), b.CreateShuffleVector(x, high));
  }
  return lanesOf(x) == 1 && x->getType()->isVectorTy() ? b.CreateExtractElement(x, uint64_t(0)) : x;
}
Value *Emitter::sumLanes(Value *x) {
  return reduce(x, [&](Value *l, Value *r) { return b.CreateFAdd(l, r); });
}
Value *Emitter::maxLanes(Value *x) {
  return reduce(x, [&](Value *l, Value *r) { return maxOf(l, r); });
}

// For each power of two, swaps the off-diagonal blocks of that size: halves, then quarters, and so on.
Values Emitter::transpose(Values rows) {
  const int n = lanes();
  for (int half = n / 2; half >= 1; half /= 2) {
    llvm::SmallVector<int, 16> upper, lower; // indices into two concatenated rows
    for (int x = 0; x < n; ++x) {
      upper.push_back(x & half ? n + x - half : x);
      lower.push_back(x & half ? n + x : x + half);
    }
    for (int i = 0; i < n; ++i) {
      if (i & half) continue;
      Value *a = rows[size_t(i)], *c = rows[size_t(i + half)];
      rows[size_t(i)] = b.CreateShuffleVector(a, c, upper);
      rows[size_t(i + half)] = b.CreateShuffleVector(a, c, lower);
    }
  }
  return rows;
}

Value *Emitter::laneNumbers(int first, int step) {
  llvm::SmallVector<llvm::Constant *, 16> numbers;
  for (int lane = 0; lane < lanes(); ++lane) numbers.push_back(b.getInt32(uint32_t(first + lane * step)));
  return llvm::ConstantVector::get(numbers);
}

Value *Emitter::indices(Value *first, int lanes) {
  if (lanes == 1) return first;
  llvm::SmallVector<llvm::Constant *, 16> numbers;
  for (int lane = 0; lane < lanes; ++lane) numbers.push_back(b.getInt64(uint64_t(lane)));
  return b.CreateAdd(splat(first, lanes), llvm::ConstantVector::get(numbers));
}

Value *Emitter::transposeSum(llvm::function_ref<Value *(int)> part) { return transposeSum(part, 0, lanes()); }
Value *Emitter::transposeSum(llvm::function_ref<Value *(int)> part, int first, int count) {
  if (count == 1) return part(first);
  Value *left = transposeSum(part, first, count / 2);
  Value *right = transposeSum(part, first + count / 2, count / 2);
  llvm::SmallVector<int, 16> even, odd; // indices into the concatenation of left and right
  for (int i = 0; i < lanes(); ++i) even.push_back(2 * i), odd.push_back(2 * i + 1);
  return b.CreateFAdd(b.CreateShuffleVector(left, right, even), b.CreateShuffleVector(left, right, odd));
}

} // namespace linnet::cpu
