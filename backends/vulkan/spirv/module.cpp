#include "backends/vulkan/spirv/module.h"

#include <algorithm>
#include <cstring>

namespace linnet::spirv {

void emit(Words &section, spv::Op op, std::span<const uint32_t> operands) {
  section.push_back(static_cast<uint32_t>(operands.size() + 1) << 16 | static_cast<uint32_t>(op));
  section.insert(section.end(), operands.begin(), operands.end());
}

Words literal(std::string_view text) {
  Words words(text.size() / 4 + 1, 0);
  std::memcpy(words.data(), text.data(), text.size());
  return words;
}

namespace {
Words join(std::initializer_list<uint32_t> head, std::span<const uint32_t> tail) {
  Words words(head);
  words.insert(words.end(), tail.begin(), tail.end());
  return words;
}
} // namespace

void Module::capability(spv::Capability capability) {
  auto word = static_cast<uint32_t>(capability);
  if (std::find(declared.begin(), declared.end(), word) != declared.end()) return;
  declared.push_back(word);
  emit(capabilities, spv::Op::OpCapability, {word});
}

void Module::extension(std::string_view name) {
  if (std::find(declared_extensions.begin(), declared_extensions.end(), name) != declared_extensions.end())
    return;
  declared_extensions.emplace_back(name);
  emit(extensions, spv::Op::OpExtension, literal(name));
}

Id Module::glsl() {
  if (!glsl_id) {
    glsl_id = newId();
    emit(imports, spv::Op::OpExtInstImport, join({glsl_id}, literal("GLSL.std.450")));
  }
  return glsl_id;
}

void Module::name(Id id, std::string_view text) { emit(names, spv::Op::OpName, join({id}, literal(text))); }

void Module::decorate(Id id, spv::Decoration decoration, std::initializer_list<uint32_t> operands) {
  emit(decorations, spv::Op::OpDecorate,
       join({id, static_cast<uint32_t>(decoration)}, std::span(operands.begin(), operands.size())));
}

void Module::decorateMember(Id type, uint32_t member, spv::Decoration decoration,
                            std::initializer_list<uint32_t> operands) {
  emit(decorations, spv::Op::OpMemberDecorate,
       join({type, member, static_cast<uint32_t>(decoration)}, std::span(operands.begin(), operands.size())));
}

void Module::entryPoint(Id function, std::string_view name, std::span<const Id> interface) {
  Words words = join({static_cast<uint32_t>(spv::ExecutionModel::GLCompute), function}, literal(name));
  words.insert(words.end(), interface.begin(), interface.end());
  emit(entry_points, spv::Op::OpEntryPoint, words);
}

void Module::executionMode(Id function, spv::ExecutionMode mode, std::initializer_list<uint32_t> operands) {
  emit(execution_modes, spv::Op::OpExecutionMode,
       join({function, static_cast<uint32_t>(mode)}, std::span(operands.begin(), operands.size())));
}

Id Module::type(spv::Op op, std::initializer_list<uint32_t> operands) {
  Words key = join({static_cast<uint32_t>(op)}, std::span(operands.begin(), operands.size()));
  auto [entry, fresh] = shared.try_emplace(key, 0);
  if (fresh) entry->second = uniqueType(op, std::span(operands.begin(), operands.size()));
  return entry->second;
}

Id Module::uniqueType(spv::Op op, std::span<const uint32_t> operands) {
  Id id = newId();
  emit(globals, op, join({id}, operands));
  return id;
}

Id Module::constant(spv::Op op, Id type, std::initializer_list<uint32_t> operands) {
  Words key = join({static_cast<uint32_t>(op), type}, std::span(operands.begin(), operands.size()));
  auto [entry, fresh] = shared.try_emplace(key, 0);
  if (fresh) {
    entry->second = newId();
    emit(globals, op, join({type, entry->second}, std::span(operands.begin(), operands.size())));
  }
  return entry->second;
}

Id Module::variable(Id pointer_type, spv::StorageClass storage) {
  Id id = newId();
  variable(id, pointer_type, storage);
  return id;
}

void Module::variable(Id id, Id pointer_type, spv::StorageClass storage) {
  emit(globals, spv::Op::OpVariable, {pointer_type, id, static_cast<uint32_t>(storage)});
}

Words Module::finish(uint32_t version) const {
  Words words = {spv::MagicNumber, version, 0, next_id, 0};
  Words memory_model;
  emit(memory_model, spv::Op::OpMemoryModel,
       {static_cast<uint32_t>(spv::AddressingModel::Logical), static_cast<uint32_t>(memory)});
  const Words *sections[] = {&capabilities,    &extensions, &imports,     &memory_model, &entry_points,
                             &execution_modes, &names,      &decorations, &globals,      &functions};
  for (const Words *section : sections) words.insert(words.end(), section->begin(), section->end());
  return words;
}

} // namespace linnet::spirv
