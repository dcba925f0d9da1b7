// The frame of a kernel: interface, types, constants and the finished module.
#include "backends/vulkan/spirv/words.h"

#include <algorithm>
#include <bit>

namespace linnet::spirv {

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

/// Declares the block of push constants. finish() calls this, because their number is known then.
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

} // namespace linnet::spirv
