#include "backends/vulkan/spirv/builder.h"

#include <spirv/unified1/GLSL.std.450.h>

#include <algorithm>
#include <bit>
#include <cassert>

namespace linnet::spirv {
namespace {

constexpr auto kUniform = spv::StorageClass::StorageBuffer;
uint32_t word(auto value) { return static_cast<uint32_t>(value); }
constexpr uint32_t kBuffersOrdered = static_cast<uint32_t>(spv::MemorySemanticsMask::AcquireRelease) |
                                     static_cast<uint32_t>(spv::MemorySemanticsMask::UniformMemory);
bool isFloat(Type type) { return type.kind == Kind::f32 || type.kind == Kind::f16; }

} // namespace

Builder::Builder(const KernelInfo &kernel) : info(kernel) {
  m.capability(spv::Capability::Shader);
  Id void_type = m.type(spv::Op::OpTypeVoid);
  Id function_type = m.type(spv::Op::OpTypeFunction, {void_type});
  function = m.newId();
  emit(m.functions, spv::Op::OpFunction,
       {void_type, function, word(spv::FunctionControlMask::MaskNone), function_type});
  emit(m.functions, spv::Op::OpLabel, {m.newId()});
  m.name(function, info.name);

  Id u = typeId(u32());
  if (info.n_buffers) {
    Id array = m.uniqueType(spv::Op::OpTypeRuntimeArray, std::array{u});
    m.decorate(array, spv::Decoration::ArrayStride, {4});
    block_type = m.uniqueType(spv::Op::OpTypeStruct, std::array{array});
    m.decorate(block_type, spv::Decoration::Block);
    m.decorateMember(block_type, 0, spv::Decoration::Offset, {0});
  }
  for (uint32_t i = 0; i < info.n_buffers; ++i) {
    const bool texels = i < info.texels.size() && info.texels[i];
    constexpr auto kConstant = spv::StorageClass::UniformConstant;
    Id buffer = texels ? m.variable(pointerType(kConstant, imageType()), kConstant)
                       : m.variable(pointerType(kUniform, block_type), kUniform);
    m.decorate(buffer, spv::Decoration::DescriptorSet, {0});
    m.decorate(buffer, spv::Decoration::Binding, {i});
    buffers.push_back(buffer);
  }
  push_variable = m.newId();
}

Id Builder::imageType() {
  m.capability(spv::Capability::SampledBuffer);
  return m.type(spv::Op::OpTypeImage,
                {typeId(u32()), word(spv::Dim::Buffer), 0, 0, 0, 1, word(spv::ImageFormat::Unknown)});
}

/// The block of push constants, when it is known how many there are.
void Builder::declarePush() {
  if (!info.n_push) return;
  std::vector<Id> members(info.n_push, typeId(u32()));
  Id block = m.uniqueType(spv::Op::OpTypeStruct, members);
  m.decorate(block, spv::Decoration::Block);
  for (uint32_t i = 0; i < info.n_push; ++i) m.decorateMember(block, i, spv::Decoration::Offset, {4 * i});
  m.variable(push_variable, pointerType(spv::StorageClass::PushConstant, block),
             spv::StorageClass::PushConstant);
}

Words Builder::finish() {
  declarePush();
  m.entryPoint(function, "main", interface);
  m.executionMode(function, spv::ExecutionMode::LocalSize,
                  {info.local_size[0], info.local_size[1], info.local_size[2]});
  if (info.local_size_spec) {
    Value x = specConstant(0, info.local_size[0]);
    Id y = constant(info.local_size[1]).id, z = constant(info.local_size[2]).id;
    Id triple = m.constant(spv::Op::OpSpecConstantComposite, typeId(u32(3)), {x.id, y, z});
    m.decorate(triple, spv::Decoration::BuiltIn, {word(spv::BuiltIn::WorkgroupSize)});
  }
  m.functions.insert(m.functions.end(), variables.begin(), variables.end());
  m.functions.insert(m.functions.end(), body.begin(), body.end());
  emit(m.functions, spv::Op::OpReturn, {});
  emit(m.functions, spv::Op::OpFunctionEnd, {});
  return m.finish();
}

Id Builder::typeId(Type type) {
  Id scalar = 0;
  switch (type.kind) {
  case Kind::none:
    return m.type(spv::Op::OpTypeVoid);
  case Kind::boolean:
    scalar = m.type(spv::Op::OpTypeBool);
    break;
  case Kind::u32:
    scalar = m.type(spv::Op::OpTypeInt, {32, 0});
    break;
  case Kind::i32:
    scalar = m.type(spv::Op::OpTypeInt, {32, 1});
    break;
  case Kind::f32:
    scalar = m.type(spv::Op::OpTypeFloat, {32});
    break;
  case Kind::f16:
    m.capability(spv::Capability::Float16);
    scalar = m.type(spv::Op::OpTypeFloat, {16});
    break;
  }
  return type.width == 1 ? scalar : m.type(spv::Op::OpTypeVector, {scalar, type.width});
}

Id Builder::pointerType(spv::StorageClass storage, Id pointee) {
  return m.type(spv::Op::OpTypePointer, {word(storage), pointee});
}

Value Builder::constant(uint32_t value) {
  Id id = m.constant(spv::Op::OpConstant, typeId(u32()), {value});
  known[id] = {Most::By::number, value};
  return {id, u32()};
}
Value Builder::constant(int32_t value) {
  return {m.constant(spv::Op::OpConstant, typeId(i32()), {word(value)}), i32()};
}
Value Builder::constant(float value) {
  return {m.constant(spv::Op::OpConstant, typeId(f32()), {std::bit_cast<uint32_t>(value)}), f32()};
}
Value Builder::constant(bool value) {
  return {m.constant(value ? spv::Op::OpConstantTrue : spv::Op::OpConstantFalse, typeId(boolean())),
          boolean()};
}
Value Builder::specConstant(uint32_t spec_id, uint32_t value) {
  return {m.specConstant(typeId(u32()), spec_id, value), u32()};
}

Value Builder::splat(Value scalar, int width) {
  if (width == 1) return scalar;
  Type type = {scalar.type.kind, static_cast<uint8_t>(width)};
  Words operands = {typeId(type), m.newId()};
  operands.insert(operands.end(), width, scalar.id);
  emit(body, spv::Op::OpCompositeConstruct, operands);
  return {operands[1], type};
}

Value Builder::builtin(spv::BuiltIn which, int dim) {
  Type type = dim < 0 ? u32() : u32(3);
  if (dim < 0) m.capability(spv::Capability::GroupNonUniform);
  Id &variable = builtins[word(which)];
  if (!variable) {
    variable = m.variable(pointerType(spv::StorageClass::Input, typeId(type)), spv::StorageClass::Input);
    m.decorate(variable, spv::Decoration::BuiltIn, {word(which)});
    interface.push_back(variable);
  }
  Value value = op(spv::Op::OpLoad, type, {variable});
  return dim < 0 ? value : extract(value, dim);
}

Value Builder::push(uint32_t index) {
  info.n_push = std::max(info.n_push, index + 1);
  Id type = pointerType(spv::StorageClass::PushConstant, typeId(u32())), pointer = m.newId();
  emit(body, spv::Op::OpAccessChain, {type, pointer, push_variable, constant(index).id});
  Value value = op(spv::Op::OpLoad, u32(), {pointer});
  known[value.id] = {Most::By::push, index};
  return value;
}

Value Builder::op(spv::Op opcode, Type type, std::initializer_list<uint32_t> operands) {
  Words words = {typeId(type), m.newId()};
  words.insert(words.end(), operands);
  emit(body, opcode, words);
  return {words[1], type};
}

Value Builder::extended(uint32_t instruction, Type type, std::initializer_list<uint32_t> operands) {
  Words words = {typeId(type), m.newId(), m.glsl(), instruction};
  words.insert(words.end(), operands);
  emit(body, spv::Op::OpExtInst, words);
  return {words[1], type};
}

Value Builder::arithmetic(Value a, Value b, spv::Op integer, spv::Op real) {
  assert(a.type == b.type);
  return op(isFloat(a.type) ? real : integer, a.type, {a.id, b.id});
}
Value Builder::add(Value a, Value b) { return arithmetic(a, b, spv::Op::OpIAdd, spv::Op::OpFAdd); }
Value Builder::sub(Value a, Value b) { return arithmetic(a, b, spv::Op::OpISub, spv::Op::OpFSub); }
Value Builder::mul(Value a, Value b) { return arithmetic(a, b, spv::Op::OpIMul, spv::Op::OpFMul); }
Value Builder::div(Value a, Value b) {
  return arithmetic(a, b, a.type.kind == Kind::i32 ? spv::Op::OpSDiv : spv::Op::OpUDiv, spv::Op::OpFDiv);
}
Value Builder::mod(Value a, Value b) {
  return arithmetic(a, b, a.type.kind == Kind::i32 ? spv::Op::OpSMod : spv::Op::OpUMod, spv::Op::OpFMod);
}
Value Builder::min(Value a, Value b) {
  auto which = isFloat(a.type) ? GLSLstd450FMin : a.type.kind == Kind::i32 ? GLSLstd450SMin : GLSLstd450UMin;
  return extended(which, a.type, {a.id, b.id});
}
Value Builder::max(Value a, Value b) {
  auto which = isFloat(a.type) ? GLSLstd450FMax : a.type.kind == Kind::i32 ? GLSLstd450SMax : GLSLstd450UMax;
  return extended(which, a.type, {a.id, b.id});
}
Value Builder::neg(Value a) {
  return op(isFloat(a.type) ? spv::Op::OpFNegate : spv::Op::OpSNegate, a.type, {a.id});
}
Value Builder::fma(Value a, Value b, Value c) { return add(mul(a, b), c); }
Value Builder::fmaScaled(Value a, Value b, Value c) {
  return add(op(spv::Op::OpVectorTimesScalar, b.type, {b.id, a.id}), c);
}
Value Builder::exp(Value a) { return extended(GLSLstd450Exp, a.type, {a.id}); }
Value Builder::exp2(Value a) { return extended(GLSLstd450Exp2, a.type, {a.id}); }
Value Builder::floor(Value a) { return extended(GLSLstd450Floor, a.type, {a.id}); }
Value Builder::roundEven(Value a) { return extended(GLSLstd450RoundEven, a.type, {a.id}); }
Value Builder::log(Value a) { return extended(GLSLstd450Log, a.type, {a.id}); }
Value Builder::tanh(Value a) { return extended(GLSLstd450Tanh, a.type, {a.id}); }
Value Builder::sqrt(Value a) { return extended(GLSLstd450Sqrt, a.type, {a.id}); }
Value Builder::inverseSqrt(Value a) { return extended(GLSLstd450InverseSqrt, a.type, {a.id}); }
Value Builder::abs(Value a) {
  return extended(isFloat(a.type) ? GLSLstd450FAbs : GLSLstd450SAbs, a.type, {a.id});
}
Value Builder::dot(Value a, Value b) { return op(spv::Op::OpDot, {a.type.kind, 1}, {a.id, b.id}); }
Value Builder::shiftLeft(Value a, Value bits) {
  return op(spv::Op::OpShiftLeftLogical, a.type, {a.id, bits.id});
}
Value Builder::shiftRight(Value a, Value bits) {
  auto opcode = a.type.kind == Kind::i32 ? spv::Op::OpShiftRightArithmetic : spv::Op::OpShiftRightLogical;
  return op(opcode, a.type, {a.id, bits.id});
}
Value Builder::bitAnd(Value a, Value b) { return op(spv::Op::OpBitwiseAnd, a.type, {a.id, b.id}); }
Value Builder::bitOr(Value a, Value b) { return op(spv::Op::OpBitwiseOr, a.type, {a.id, b.id}); }
Value Builder::bitXor(Value a, Value b) { return op(spv::Op::OpBitwiseXor, a.type, {a.id, b.id}); }
Value Builder::bitNot(Value a) { return op(spv::Op::OpNot, a.type, {a.id}); }
Value Builder::bitExtract(Value a, Value offset, Value count) {
  auto opcode = a.type.kind == Kind::i32 ? spv::Op::OpBitFieldSExtract : spv::Op::OpBitFieldUExtract;
  return op(opcode, a.type, {a.id, offset.id, count.id});
}
Value Builder::unpackHalf2(Value bits) { return extended(GLSLstd450UnpackHalf2x16, f32(2), {bits.id}); }
Value Builder::packHalf2(Value pair) { return extended(GLSLstd450PackHalf2x16, u32(), {pair.id}); }

Value Builder::compare(Value a, Value b, spv::Op u, spv::Op i, spv::Op f) {
  assert(a.type == b.type);
  Type type = {Kind::boolean, a.type.width};
  return op(isFloat(a.type) ? f : a.type.kind == Kind::i32 ? i : u, type, {a.id, b.id});
}
Value Builder::eq(Value a, Value b) {
  return compare(a, b, spv::Op::OpIEqual, spv::Op::OpIEqual, spv::Op::OpFOrdEqual);
}
Value Builder::ne(Value a, Value b) {
  return compare(a, b, spv::Op::OpINotEqual, spv::Op::OpINotEqual, spv::Op::OpFUnordNotEqual);
}
Value Builder::lt(Value a, Value b) {
  return compare(a, b, spv::Op::OpULessThan, spv::Op::OpSLessThan, spv::Op::OpFOrdLessThan);
}
Value Builder::le(Value a, Value b) {
  return compare(a, b, spv::Op::OpULessThanEqual, spv::Op::OpSLessThanEqual, spv::Op::OpFOrdLessThanEqual);
}
Value Builder::logicalAnd(Value a, Value b) { return op(spv::Op::OpLogicalAnd, a.type, {a.id, b.id}); }
Value Builder::logicalOr(Value a, Value b) { return op(spv::Op::OpLogicalOr, a.type, {a.id, b.id}); }
Value Builder::select(Value condition, Value a, Value b) {
  assert(a.type == b.type);
  return op(spv::Op::OpSelect, a.type, {condition.id, a.id, b.id});
}

Value Builder::convert(Value a, Type to) {
  if (a.type == to) return a;
  if (isFloat(a.type) && isFloat(to)) return op(spv::Op::OpFConvert, to, {a.id});
  if (isFloat(a.type))
    return op(to.kind == Kind::i32 ? spv::Op::OpConvertFToS : spv::Op::OpConvertFToU, to, {a.id});
  if (isFloat(to))
    return op(a.type.kind == Kind::i32 ? spv::Op::OpConvertSToF : spv::Op::OpConvertUToF, to, {a.id});
  return bitcast(a, to);
}
Value Builder::bitcast(Value a, Type to) { return a.type == to ? a : op(spv::Op::OpBitcast, to, {a.id}); }

Value Builder::vector(std::span<const Value> scalars) {
  Type type = {scalars[0].type.kind, static_cast<uint8_t>(scalars.size())};
  Words operands = {typeId(type), m.newId()};
  for (Value scalar : scalars) operands.push_back(scalar.id);
  emit(body, spv::Op::OpCompositeConstruct, operands);
  return {operands[1], type};
}
Value Builder::extract(Value a, int index) {
  if (a.type.width == 1) return a;
  return op(spv::Op::OpCompositeExtract, {a.type.kind, 1}, {a.id, word(index)});
}

Value Builder::bufferPointer(uint32_t buffer, Value index) {
  assert(buffer < buffers.size());
  Id type = pointerType(kUniform, typeId(u32())), pointer = m.newId();
  emit(body, spv::Op::OpAccessChain, {type, pointer, buffers[buffer], constant(0u).id, index.id});
  return {pointer, u32()};
}

Value Builder::load(uint32_t buffer, Value index, Type type) {
  if (type.width == 1) return bitcast(op(spv::Op::OpLoad, u32(), {bufferPointer(buffer, index).id}), type);
  Words operands = {typeId(type), m.newId()};
  Type element = {type.kind, 1};
  Words parts;
  for (uint32_t i = 0; i < type.width; ++i)
    parts.push_back(load(buffer, i ? add(index, constant(i)) : index, element).id);
  operands.insert(operands.end(), parts.begin(), parts.end());
  emit(body, spv::Op::OpCompositeConstruct, operands);
  return {operands[1], type};
}

void Builder::store(uint32_t buffer, Value index, Value value) {
  for (uint32_t i = 0; i < value.type.width; ++i) {
    Value bits = bitcast(extract(value, static_cast<int>(i)), u32());
    emit(body, spv::Op::OpStore, {bufferPointer(buffer, i ? add(index, constant(i)) : index).id, bits.id});
  }
}

/// The buffer again, as an array of other elements: another variable at the same binding.
Id Builder::viewOf(uint32_t buffer, uint32_t key, Id element, uint32_t stride) {
  Id &view = vector_views[{buffer, key}];
  if (view) return view;
  Id array = m.uniqueType(spv::Op::OpTypeRuntimeArray, std::array{element});
  m.decorate(array, spv::Decoration::ArrayStride, {stride});
  Id block = m.uniqueType(spv::Op::OpTypeStruct, std::array{array});
  m.decorate(block, spv::Decoration::Block);
  m.decorateMember(block, 0, spv::Decoration::Offset, {0});
  view = m.variable(pointerType(kUniform, block), kUniform);
  m.decorate(view, spv::Decoration::DescriptorSet, {0});
  m.decorate(view, spv::Decoration::Binding, {buffer});
  return view;
}

Value Builder::loadVector(uint32_t buffer, Value index, Type type) {
  Type words = u32(type.width);
  Id pointer_type = pointerType(kUniform, typeId(words)),
     view = viewOf(buffer, type.width, typeId(words), 4u * type.width), pointer = m.newId();
  emit(body, spv::Op::OpAccessChain, {pointer_type, pointer, view, constant(0u).id, index.id});
  return bitcast(op(spv::Op::OpLoad, words, {pointer}), type);
}
Value Builder::load4(uint32_t buffer, Value index, Type type) {
  return loadVector(buffer, index, {type.kind, 4});
}
Value Builder::load2(uint32_t buffer, Value index, Type type) {
  return loadVector(buffer, index, {type.kind, 2});
}

Value Builder::fetch(uint32_t buffer, Value index) {
  Id image = m.newId();
  emit(body, spv::Op::OpLoad, {imageType(), image, buffers[buffer]});
  return op(spv::Op::OpImageFetch, u32(4), {image, index.id});
}

void Builder::setBits(uint32_t buffer, Value index, Value keep, Value bits) {
  Id pointer = bufferPointer(buffer, index).id;
  Id scope = constant(word(spv::Scope::Device)).id;
  Id relaxed = constant(word(spv::MemorySemanticsMask::MaskNone)).id;
  op(spv::Op::OpAtomicAnd, u32(), {pointer, scope, relaxed, keep.id});
  op(spv::Op::OpAtomicOr, u32(), {pointer, scope, relaxed, bits.id});
}

uint32_t Builder::coherent(uint32_t buffer) {
  assert(!vulkan_memory);
  Id again = m.variable(pointerType(kUniform, block_type), kUniform);
  m.decorate(again, spv::Decoration::DescriptorSet, {0});
  m.decorate(again, spv::Decoration::Binding, {buffer});
  m.decorate(again, spv::Decoration::Coherent);
  buffers.push_back(again);
  return word(buffers.size() - 1);
}

Value Builder::atomicAdd(uint32_t buffer, Value index, Value what) {
  Id pointer = bufferPointer(buffer, index).id;
  return op(spv::Op::OpAtomicIAdd, u32(),
            {pointer, constant(word(spv::Scope::Device)).id, constant(kBuffersOrdered).id, what.id});
}

Shared Builder::shared(Type element, uint32_t count, std::string_view name) {
  Id array = m.type(spv::Op::OpTypeArray, {typeId(element), constant(count).id});
  Id id = m.variable(pointerType(spv::StorageClass::Workgroup, array), spv::StorageClass::Workgroup);
  if (!name.empty()) m.name(id, name);
  return {id, element};
}

Id Builder::elementPointer(spv::StorageClass storage, Id array, Type element, Value index) {
  Id type = pointerType(storage, typeId(element)), pointer = m.newId();
  emit(body, spv::Op::OpAccessChain, {type, pointer, array, index.id});
  return pointer;
}

Value Builder::load(Shared array, Value index) {
  Id pointer = elementPointer(spv::StorageClass::Workgroup, array.id, array.element, index);
  if (vulkan_memory) return op(spv::Op::OpLoad, array.element, {pointer, kNonPrivate});
  return op(spv::Op::OpLoad, array.element, {pointer});
}

void Builder::store(Shared array, Value index, Value value) {
  Id pointer = elementPointer(spv::StorageClass::Workgroup, array.id, array.element, index);
  if (vulkan_memory)
    emit(body, spv::Op::OpStore, {pointer, value.id, kNonPrivate});
  else
    emit(body, spv::Op::OpStore, {pointer, value.id});
}

Id Builder::functionVariable(Id of, std::string_view name) {
  Id id = m.newId(), type = pointerType(spv::StorageClass::Function, of);
  emit(variables, spv::Op::OpVariable, {type, id, word(spv::StorageClass::Function)});
  if (!name.empty()) m.name(id, name);
  return id;
}

Private Builder::privateArray(Type element, uint32_t count, std::string_view name) {
  Id array = m.type(spv::Op::OpTypeArray, {typeId(element), constant(count).id});
  return {functionVariable(array, name), element};
}
Value Builder::load(Private array, Value index) {
  return op(spv::Op::OpLoad, array.element,
            {elementPointer(spv::StorageClass::Function, array.id, array.element, index)});
}
void Builder::store(Private array, Value index, Value value) {
  Id pointer = elementPointer(spv::StorageClass::Function, array.id, array.element, index);
  emit(body, spv::Op::OpStore, {pointer, value.id});
}

Variable Builder::variable(Value initial, std::string_view name) {
  Id id = functionVariable(typeId(initial.type), name);
  emit(body, spv::Op::OpStore, {id, initial.id});
  return {id, initial.type};
}
Value Builder::get(Variable variable) { return op(spv::Op::OpLoad, variable.type, {variable.id}); }
void Builder::set(Variable variable, Value value) { emit(body, spv::Op::OpStore, {variable.id, value.id}); }

void Builder::label(Id id) { emit(body, spv::Op::OpLabel, {id}); }
void Builder::branch(Id target) { emit(body, spv::Op::OpBranch, {target}); }

void Builder::ifThen(Value condition, const std::function<void()> &then) {
  Id yes = m.newId(), merge = m.newId();
  emit(body, spv::Op::OpSelectionMerge, {merge, word(spv::SelectionControlMask::MaskNone)});
  emit(body, spv::Op::OpBranchConditional, {condition.id, yes, merge});
  label(yes);
  then();
  branch(merge);
  label(merge);
}

void Builder::ifElse(Value condition, const std::function<void()> &then,
                     const std::function<void()> &otherwise) {
  Id yes = m.newId(), no = m.newId(), merge = m.newId();
  emit(body, spv::Op::OpSelectionMerge, {merge, word(spv::SelectionControlMask::MaskNone)});
  emit(body, spv::Op::OpBranchConditional, {condition.id, yes, no});
  label(yes);
  then();
  branch(merge);
  label(no);
  otherwise();
  branch(merge);
  label(merge);
}

Most Builder::mostOf(Value end) const {
  auto found = known.find(end.id);
  return found == known.end() ? Most() : found->second;
}

size_t Builder::beginLoop(Value end, Value step, const LoopHint &hint) {
  const Most most = hint.most ? *hint.most : mostOf(end), by = mostOf(step);
  const bool shared = most.by != Most::By::number && most.by != Most::By::push; // among workgroups
  const bool constant_step = !shared && by.by == Most::By::number && by.number != Most().number;
  loop_list.push_back({loop, most, constant_step ? by.number : 1});
  loop = int32_t(loop_list.size() - 1);
  return size_t(loop);
}

/// One of constant size without others in it becomes steps of the one that it is in. The step that finds the
/// end counts as well.
void Builder::endLoop(size_t number) {
  const Loop ended = loop_list[number];
  loop = ended.in;
  if (ended.most.by != Most::By::number || loop_list.size() > number + 1) return;
  const uint64_t rounds = (uint64_t(ended.most.number) + ended.step - 1) / ended.step;
  loop_list[size_t(loop)].inner += rounds * (1 + ended.inner) + 1;
  loop_list.pop_back();
}

void Builder::forRange(Value begin, Value end, Value step, const std::function<void(Value)> &loop_body,
                       const LoopHint &hint) {
  const size_t number = beginLoop(end, step, hint);
  Variable counter = variable(begin);
  Id header = m.newId(), test = m.newId(), inside = m.newId(), next = m.newId(), merge = m.newId();
  branch(header);
  label(header);
  auto control = hint.unroll ? spv::LoopControlMask::Unroll : spv::LoopControlMask::MaskNone;
  emit(body, spv::Op::OpLoopMerge, {merge, next, word(control)});
  branch(test);
  label(test);
  Value i = get(counter);
  emit(body, spv::Op::OpBranchConditional, {lt(i, end).id, inside, merge});
  label(inside);
  loop_body(i);
  branch(next);
  label(next);
  set(counter, add(get(counter), step));
  branch(header);
  label(merge);
  endLoop(number);
}

void Builder::memoryBarrier() {
  emit(body, spv::Op::OpMemoryBarrier, {constant(word(spv::Scope::Device)).id, constant(kBuffersOrdered).id});
}

void Builder::barrier() {
  Id workgroup = constant(word(spv::Scope::Workgroup)).id;
  uint32_t semantics =
      word(spv::MemorySemanticsMask::WorkgroupMemory) | word(spv::MemorySemanticsMask::AcquireRelease);
  if (vulkan_memory)
    semantics |= word(spv::MemorySemanticsMask::MakeAvailable) | word(spv::MemorySemanticsMask::MakeVisible);
  emit(body, spv::Op::OpControlBarrier, {workgroup, workgroup, constant(semantics).id});
}

Value Builder::subgroupReduce(SubgroupOp which, Value value) {
  m.capability(spv::Capability::GroupNonUniformArithmetic);
  bool real = isFloat(value.type);
  spv::Op opcode =
      which == SubgroupOp::add   ? (real ? spv::Op::OpGroupNonUniformFAdd : spv::Op::OpGroupNonUniformIAdd)
      : which == SubgroupOp::max ? (real ? spv::Op::OpGroupNonUniformFMax : spv::Op::OpGroupNonUniformUMax)
                                 : (real ? spv::Op::OpGroupNonUniformFMin : spv::Op::OpGroupNonUniformUMin);
  return op(opcode, value.type,
            {constant(word(spv::Scope::Subgroup)).id, word(spv::GroupOperation::Reduce), value.id});
}
Value Builder::subgroupBroadcastFirst(Value value) {
  m.capability(spv::Capability::GroupNonUniformBallot);
  return op(spv::Op::OpGroupNonUniformBroadcastFirst, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id});
}
Value Builder::subgroupBroadcast(Value value, uint32_t lane) {
  m.capability(spv::Capability::GroupNonUniformBallot);
  return op(spv::Op::OpGroupNonUniformBroadcast, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id, constant(lane).id});
}
Value Builder::subgroupShuffleXor(Value value, Value mask) {
  m.capability(spv::Capability::GroupNonUniformShuffle);
  return op(spv::Op::OpGroupNonUniformShuffleXor, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id, mask.id});
}

} // namespace linnet::spirv
