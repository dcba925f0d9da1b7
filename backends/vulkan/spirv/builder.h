// What kernel generators write SPIR-V with: typed values, structured control flow, storage buffers of 32-bit
// words.
//
//   Builder b({.name = "scale", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 1});
//   Value i = b.globalId(0);
//   b.ifThen(b.lt(i, b.push(0)), [&] {
//     b.store(1, i, b.fmul(b.load(0, i, b.f32()), b.constant(2.0f)));
//   });
//   Words words = b.finish();
//
// A storage buffer is one array of u32 (set 0, binding n); load and store reinterpret the words, so that no
// 8- or 16-bit storage feature is needed. Subgroup operations declare their capability when they are used.
#pragma once
#include "backends/vulkan/spirv/module.h"

#include <array>
#include <functional>
#include <optional>
#include <span>

namespace linnet::spirv {

enum class Kind : uint8_t { none, boolean, u32, i32, f32, f16 };

/// A scalar or a vector of up to four.
struct Type {
  Kind kind = Kind::none;
  uint8_t width = 1;
  bool operator==(const Type &) const = default;
};

/// An SSA value.
struct Value {
  Id id = 0;
  Type type;
  explicit operator bool() const { return id != 0; }
};

/// A mutable scalar or vector of one invocation.
struct Variable {
  Id id = 0;
  Type type;
};

/// An array shared by the workgroup.
struct Shared {
  Id id = 0;
  Type element;
};

/// An array of one invocation, for indices that are known only when it runs.
struct Private {
  Id id = 0;
  Type element;
};

/// A matrix that the invocations of a subgroup hold together.
enum class MatrixUse : uint8_t { a, b, sum };
struct MatrixType {
  Kind kind = Kind::f32;
  uint32_t rows = 0, columns = 0;
  MatrixUse use = MatrixUse::sum;
};
struct Matrix {
  Id id = 0;
  MatrixType type;
};
struct MatrixVariable {
  Id id = 0;
  MatrixType type;
};

/// How far a loop goes at most.
struct Most {
  /// A number; push constant `number`; or over the units that a workgroup takes along an axis, `number` for
  /// each workgroup that there should be: where a device counts to fewer, some go round again.
  enum class By : uint8_t { number, push, x, y, z };
  By by = By::number;
  uint32_t number = UINT32_MAX; ///< of By::number: unknown
};
/// What is to be known of a loop beside its range.
struct LoopHint {
  bool unroll = false; ///< ask the driver to
  std::optional<Most> most =
      {}; ///< from begin to end; without, the end says it: a constant or a push constant
};

/// A loop of the finished kernel: some drivers end an invocation's loops after so many steps.
struct Loop {
  int32_t in = -1; ///< number of the loop around it; -1: none
  Most most;
  uint32_t step = 1;
  uint64_t inner = 0; ///< steps of loops of constant size in each of its own
};

struct KernelInfo {
  std::string name;
  std::array<uint32_t, 3> local_size = {64, 1, 1};
  uint32_t n_buffers = 0;           ///< storage buffers at set 0, bindings 0..n-1
  std::vector<uint8_t> texels = {}; ///< not 0: the binding is a uniform texel buffer; empty: none
  uint32_t n_push = 0;              ///< 32-bit push constants; push() adds what is beyond
};

enum class SubgroupOp { add, max, min };

class Builder {
public:
  explicit Builder(const KernelInfo &info);
  Words finish();
  Module &module() { return m; }

  static Type boolean() { return {Kind::boolean, 1}; }
  static Type u32(int width = 1) { return {Kind::u32, static_cast<uint8_t>(width)}; }
  static Type i32(int width = 1) { return {Kind::i32, static_cast<uint8_t>(width)}; }
  static Type f32(int width = 1) { return {Kind::f32, static_cast<uint8_t>(width)}; }

  Value constant(uint32_t value);
  Value constant(int32_t value);
  Value constant(float value);
  Value constant(bool value);
  /// The same value in each element.
  Value splat(Value scalar, int width);

  /// gl_GlobalInvocationID, gl_LocalInvocationID, gl_WorkGroupID, gl_NumWorkGroups.
  Value globalId(int dim) { return builtin(spv::BuiltIn::GlobalInvocationId, dim); }
  Value localId(int dim) { return builtin(spv::BuiltIn::LocalInvocationId, dim); }
  Value groupId(int dim) { return builtin(spv::BuiltIn::WorkgroupId, dim); }
  Value groupCount(int dim) { return builtin(spv::BuiltIn::NumWorkgroups, dim); }
  Value subgroupSize() { return builtin(spv::BuiltIn::SubgroupSize, -1); }
  Value subgroupLane() { return builtin(spv::BuiltIn::SubgroupLocalInvocationId, -1); }
  Value subgroupId() { return builtin(spv::BuiltIn::SubgroupId, -1); }
  Value push(uint32_t index);
  uint32_t pushWords() const { return info.n_push; }

  // Arithmetic: integer or float by the operands' type, which must be equal.
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b);
  Value mod(Value a, Value b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value neg(Value a);
  /// a b + c, which a driver may contract: on llvmpipe the explicit instruction is slower.
  Value fma(Value a, Value b, Value c);
  /// The same of a scalar a with vectors b and c.
  Value fmaScaled(Value a, Value b, Value c);
  Value floor(Value a);
  Value roundEven(Value a);
  Value sqrt(Value a);
  Value abs(Value a);
  Value shiftLeft(Value a, Value bits);
  Value shiftRight(Value a, Value bits);
  Value bitAnd(Value a, Value b);
  Value bitOr(Value a, Value b);
  Value bitXor(Value a, Value b);
  Value bitNot(Value a);
  Value bitExtract(Value a, Value offset, Value count); ///< sign-extended for i32
  /// Two f16 in the halves of a u32, low first, as a vector of two f32.
  Value unpackHalf2(Value word);
  Value packHalf2(Value pair);

  Value eq(Value a, Value b);
  Value ne(Value a, Value b);
  Value lt(Value a, Value b);
  Value le(Value a, Value b);
  Value logicalAnd(Value a, Value b);
  Value logicalOr(Value a, Value b);
  Value select(Value condition, Value a, Value b);

  Value convert(Value a, Type to); ///< by value
  Value bitcast(Value a, Type to); ///< by bits
  Value vector(std::span<const Value> scalars);
  Value vector(std::initializer_list<Value> scalars) {
    return vector(std::span(scalars.begin(), scalars.size()));
  }
  Value extract(Value a, int index);

  // Memory. Indices are u32 and count 32-bit words.
  Value load(uint32_t buffer, Value index, Type type);
  void store(uint32_t buffer, Value index, Value value);
  /// Words [4 index, 4 index + 4) in one load. The buffer must not be written by this kernel.
  Value load4(uint32_t buffer, Value index, Type type);
  /// The same of two words.
  Value load2(uint32_t buffer, Value index, Type type);
  /// Texel number `index` of a uniform texel buffer: as many words as it has, the rest is of no use.
  Value fetch(uint32_t buffer, Value index);
  /// word = (word & keep) | bits, safe beside other invocations that set other bits of it.
  void setBits(uint32_t buffer, Value index, Value keep, Value bits);
  /// The buffer again, under a number of its own: what other workgroups write to it while this one runs is
  /// seen through that number, behind memoryBarrier() on both sides. Not in modules with Vulkan's memory
  /// model.
  uint32_t coherent(uint32_t buffer);
  /// What the word was; what this invocation has written is seen by those who find it in the word.
  Value atomicAdd(uint32_t buffer, Value index, Value what);
  Shared shared(Type element, uint32_t count, std::string_view name = "");
  Value load(Shared array, Value index);
  void store(Shared array, Value index, Value value);
  Private privateArray(Type element, uint32_t count, std::string_view name = "");
  Value load(Private array, Value index);
  void store(Private array, Value index, Value value);
  Variable variable(Value initial, std::string_view name = "");
  Value get(Variable variable);
  void set(Variable variable, Value value);

  // Structured control flow.
  void ifThen(Value condition, const std::function<void()> &body);
  void ifElse(Value condition, const std::function<void()> &yes, const std::function<void()> &no);
  /// for (i = begin; i < end; i += step), u32.
  void forRange(Value begin, Value end, Value step, const std::function<void(Value i)> &body,
                const LoopHint &hint = {});
  /// How far a loop goes that begins at 0 and ends there.
  Most mostOf(Value end) const;
  /// All loops, each behind the one that it is in. The first stands for the kernel itself.
  const std::vector<Loop> &loops() const { return loop_list; }

  /// Workgroup execution and memory barrier on shared memory.
  void barrier();
  /// What this invocation has written to buffers before comes before what it does to them behind it, for all
  /// of the device.
  void memoryBarrier();
  Value subgroupReduce(SubgroupOp op, Value value);
  Value subgroupBroadcastFirst(Value value);
  Value subgroupBroadcast(Value value, uint32_t lane);
  Value subgroupShuffleXor(Value value, Value mask);

  // Matrices of a subgroup; row-major in shared memory, `stride` elements a row. Every invocation of the
  // subgroup gets there. enableMatrices comes before any use of shared memory: the module then has Vulkan's
  // memory model.
  void enableMatrices();
  Matrix loadMatrix(Shared from, Value index, uint32_t stride, const MatrixType &type);
  void storeMatrix(Shared to, Value index, uint32_t stride, const Matrix &matrix);
  Matrix multiplyAdd(const Matrix &a, const Matrix &b, const Matrix &sum);
  MatrixVariable zeroMatrix(const MatrixType &type);
  Matrix get(const MatrixVariable &variable);
  void set(const MatrixVariable &variable, const Matrix &value);

private:
  static constexpr uint32_t kNonPrivate = 0x20; ///< a memory operand: other invocations see it
  Id matrixType(const MatrixType &type);
  Id zeroOf(Kind kind);
  Id elementPointer(spv::StorageClass storage, Id array, Type element, Value index);
  Id functionVariable(Id of, std::string_view name);
  void declarePush();
  Id typeId(Type type);
  Id imageType();
  Id pointerType(spv::StorageClass storage, Id pointee);
  Value builtin(spv::BuiltIn which, int dim);
  Value op(spv::Op op, Type type, std::initializer_list<uint32_t> operands);
  Value arithmetic(Value a, Value b, spv::Op integer, spv::Op real);
  Value compare(Value a, Value b, spv::Op u, spv::Op i, spv::Op f);
  Value extended(uint32_t instruction, Type type, std::initializer_list<uint32_t> operands);
  Value bufferPointer(uint32_t buffer, Value index);
  Id viewOf(uint32_t buffer, uint32_t key, Id element, uint32_t stride);
  Value loadVector(uint32_t buffer, Value index, Type type);
  void label(Id id);
  void branch(Id target);
  size_t beginLoop(Value end, Value step, const LoopHint &hint);
  void endLoop(size_t number);

  KernelInfo info;
  Module m;
  Words body;      // the function's instructions behind its variables
  Words variables; // OpVariable must come first in the first block
  bool vulkan_memory = false;
  Id function = 0, block_type = 0, push_variable = 0;
  std::vector<Id> buffers, interface;
  std::map<std::pair<uint32_t, uint32_t>, Id> vector_views; ///< by buffer and width, 0 for 64 bits
  std::map<uint32_t, Id> builtins;
  std::map<Id, Most> known; ///< constants and push constants
  std::vector<Loop> loop_list = {{.most = {Most::By::number, 1}}};
  int32_t loop = 0; ///< the innermost that is open
};

} // namespace linnet::spirv
