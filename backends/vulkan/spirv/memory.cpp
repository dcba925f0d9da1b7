// Buffers, shared memory and variables of one invocation.
#include "backends/vulkan/spirv/words.h"

#include <cassert>

namespace linnet::spirv {

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

/// Another variable at the buffer's binding, which views it as an array of other elements.
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

} // namespace linnet::spirv
