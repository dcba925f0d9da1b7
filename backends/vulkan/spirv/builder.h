// The interface that kernel generators write SPIR-V with: typed values, structured control flow, storage buffers of
// 32-bit words.
//
//   Builder b({.name = "scale", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 1});
//   Value i = b.globalId(0);
//   b.ifThen(b.lt(i, b.push(0)), [&] {
//     b.store(1, i, b.mul(b.load(0, i, b.f32()), b.constant(2.0f)));
//   });
//   Words words = b.finish();
//
// A storage buffer is one array of u32 (set 0, binding n). load and store reinterpret the words, so that no 8- or
// 16-bit storage feature is needed. Functions for subgroups declare the capability that they need.
#pragma once
#include "backends/vulkan/spirv/module.h"

#include <array>
#include <functional>
#include <optional>
#include <span>

namespace linnet::spirv {

enum class Kind : uint8_t { none, boolean, u32, i32, f32, f16 };

/// A scalar, or a vector of up to four scalars.
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

/// A mutable scalar or vector that belongs to one invocation.
struct Variable {
  Id id = 0;
  Type type;
};

/// An array in shared memory.
struct Shared {
  Id id = 0;
  Type element;
};

/// An array that belongs to one invocation, with indices that are known at run time.
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

/// An upper bound of a loop's end.
struct Most {
  /// The kind of bound. It is the number `number`, or the push constant `number`, or a count of units that workgroups
  /// share along an axis. In the last case, `number` units belong to each requested workgroup. On a device that allows
  /// fewer workgroups, some handle more units.
  enum class By : uint8_t { number, push, x, y, z };
  By by = By::number;
  uint32_t number = UINT32_MAX; ///< with By::number, UINT32_MAX means that the bound is unknown
};
/// Facts about a loop that its range does not show.
struct LoopHint {
  bool unroll = false; ///< asks the driver to unroll the loop
  /// the bound of end - begin; if not set, it follows from `end` if that is a constant or a push constant
  std::optional<Most> most = {};
};

/// A loop of the finished kernel. Some drivers end an invocation's loops after a number of steps.
struct Loop {
  int32_t in = -1; ///< index of the enclosing loop; -1 for none
  Most most;
  uint32_t step = 1;
  uint64_t inner = 0; ///< steps of nested loops of constant size, in each step of this loop
};

struct KernelInfo {
  std::string name;
  std::array<uint32_t, 3> local_size = {64, 1, 1};
  uint32_t n_buffers = 0;           ///< storage buffers in set 0, at bindings 0 .. n - 1
  std::vector<uint8_t> texels = {}; ///< not 0 if the binding is a uniform texel buffer; empty means none is
  uint32_t n_push = 0;              ///< number of 32-bit push constants; push() increases it
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
  /// A vector with the scalar in each element.
  Value splat(Value scalar, int width);

  /// The builtins gl_GlobalInvocationID, gl_LocalInvocationID, gl_WorkGroupID, gl_NumWorkGroups.
  Value globalId(int dim) { return builtin(spv::BuiltIn::GlobalInvocationId, dim); }
  Value localId(int dim) { return builtin(spv::BuiltIn::LocalInvocationId, dim); }
  Value groupId(int dim) { return builtin(spv::BuiltIn::WorkgroupId, dim); }
  Value groupCount(int dim) { return builtin(spv::BuiltIn::NumWorkgroups, dim); }
  Value subgroupSize() { return builtin(spv::BuiltIn::SubgroupSize, -1); }
  Value subgroupLane() { return builtin(spv::BuiltIn::SubgroupLocalInvocationId, -1); }
  Value subgroupId() { return builtin(spv::BuiltIn::SubgroupId, -1); }
  Value push(uint32_t index);
  uint32_t pushWords() const { return info.n_push; }

  // Arithmetic. Instructions are for integers or floats, by the operands' type, which must be the same.
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b);
  Value mod(Value a, Value b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value neg(Value a);
  /// a b + c. A driver may contract it; on llvmpipe the explicit instruction is slower.
  Value fma(Value a, Value b, Value c);
  /// fma of a scalar a with vectors b and c.
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
  Value bitExtract(Value a, Value offset, Value count); ///< sign-extends i32
  /// Two f16 in the halves of a u32, the low half first, as a vector of two f32.
  Value unpackHalf2(Value word);
  Value packHalf2(Value pair);

  Value eq(Value a, Value b);
  Value ne(Value a, Value b);
  Value lt(Value a, Value b);
  Value le(Value a, Value b);
  Value logicalAnd(Value a, Value b);
  Value logicalOr(Value a, Value b);
  Value select(Value condition, Value a, Value b);

  Value convert(Value a, Type to); ///< converts the value
  Value bitcast(Value a, Type to); ///< reinterprets the bits
  Value vector(std::span<const Value> scalars);
  Value vector(std::initializer_list<Value> scalars) {
    return vector(std::span(scalars.begin(), scalars.size()));
  }
  Value extract(Value a, int index);

  // Memory. Indices are u32 and count 32-bit words.
  Value load(uint32_t buffer, Value index, Type type);
  void store(uint32_t buffer, Value index, Value value);
  /// Loads words [4 index, 4 index + 4) at once. The kernel must not write the buffer.
  Value load4(uint32_t buffer, Value index, Type type);
  /// Loads words [2 index, 2 index + 2) at once. The kernel must not write the buffer.
  Value load2(uint32_t buffer, Value index, Type type);
  /// Loads texel `index` of a uniform texel buffer, as a vector of four. Elements beyond the texel's words are
  /// undefined.
  Value fetch(uint32_t buffer, Value index);
  /// word = (word & keep) | bits. Other invocations may set other bits of the word at the same time.
  void setBits(uint32_t buffer, Value index, Value keep, Value bits);
  /// Adds another variable for the buffer and returns its number. Through this number, a kernel sees writes of other
  /// workgroups that run at the same time. Both sides need memoryBarrier(). Modules with Vulkan's memory model do not
  /// support this.
  uint32_t coherent(uint32_t buffer);
  /// Adds to a word and returns its previous value. Earlier writes of this invocation become visible to invocations
  /// that read the new value.
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
  /// for (i = begin; i < end; i += step), with u32.
  void forRange(Value begin, Value end, Value step, const std::function<void(Value i)> &body,
                const LoopHint &hint = {});
  /// The bound of a loop from 0 to `end`.
  Most mostOf(Value end) const;
  /// All loops; an enclosing loop comes before its nested loops. The first entry is the kernel itself.
  const std::vector<Loop> &loops() const { return loop_list; }

  /// A barrier for execution in the workgroup and for shared memory.
  void barrier();
  /// Orders this invocation's earlier accesses to buffers before its later ones, for the whole device.
  void memoryBarrier();
  Value subgroupReduce(SubgroupOp op, Value value);
  Value subgroupBroadcastFirst(Value value);
  Value subgroupBroadcast(Value value, uint32_t lane);
  Value subgroupShuffleXor(Value value, Value mask);

  // Matrices of a subgroup. They are row-major in shared memory, with `stride` elements from row to row. Every
  // invocation of the subgroup must call these together. Call enableMatrices before any use of shared memory: it
  // selects Vulkan's memory model.
  void enableMatrices();
  Matrix loadMatrix(Shared from, Value index, uint32_t stride, const MatrixType &type);
  void storeMatrix(Shared to, Value index, uint32_t stride, const Matrix &matrix);
  Matrix multiplyAdd(const Matrix &a, const Matrix &b, const Matrix &sum);
  MatrixVariable zeroMatrix(const MatrixType &type);
  Matrix get(const MatrixVariable &variable);
  void set(const MatrixVariable &variable, const Matrix &value);

private:
  static constexpr uint32_t kNonPrivate = 0x20; ///< a memory operand: other invocations see the access
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
  Words body;      // instructions of the function, after its variables
  Words variables; // OpVariable must come first in the first block
  bool vulkan_memory = false;
  Id function = 0, block_type = 0, push_variable = 0;
  std::vector<Id> buffers, interface;
  std::map<std::pair<uint32_t, uint32_t>, Id> vector_views; ///< keys are buffer and vector width
  std::map<uint32_t, Id> builtins;
  std::map<Id, Most> known; ///< bounds for values that are constants or push constants
  std::vector<Loop> loop_list = {{.most = {Most::By::number, 1}}};
  int32_t loop = 0; ///< index of the innermost open loop
};

} // namespace linnet::spirv
