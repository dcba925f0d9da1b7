// Cooperative matrices (SPV_KHR_cooperative_matrix). Debian 12's SPIR-V headers do not define them yet.
// https://github.khronos.org/SPIRV-Registry/extensions/KHR/SPV_KHR_cooperative_matrix.html
#include "backends/vulkan/spirv/builder.h"

namespace linnet::spirv {
namespace {

constexpr auto kCapability = static_cast<spv::Capability>(6022); // CooperativeMatrixKHR
constexpr auto kTypeMatrix = static_cast<spv::Op>(4456), kLoad = static_cast<spv::Op>(4457),
               kStore = static_cast<spv::Op>(4458), kMultiplyAdd = static_cast<spv::Op>(4459);
constexpr uint32_t kRowMajor = 0;

} // namespace

void Builder::enableMatrices() {
  m.capability(kCapability);
  m.capability(spv::Capability::VulkanMemoryModel);
  m.extension("SPV_KHR_cooperative_matrix");
  m.extension("SPV_KHR_vulkan_memory_model");
  m.setMemoryModel(spv::MemoryModel::Vulkan);
  vulkan_memory = true;
}

Id Builder::matrixType(const MatrixType &type) {
  auto number = [&](uint32_t value) { return constant(value).id; };
  return m.type(kTypeMatrix,
                {typeId({type.kind, 1}), number(static_cast<uint32_t>(spv::Scope::Subgroup)),
                 number(type.rows), number(type.columns), number(static_cast<uint32_t>(type.use))});
}

Matrix Builder::loadMatrix(Shared from, Value index, uint32_t stride, const MatrixType &type) {
  Id pointer = elementPointer(spv::StorageClass::Workgroup, from.id, from.element, index), result = m.newId();
  emit(body, kLoad,
       {matrixType(type), result, pointer, constant(kRowMajor).id, constant(stride).id, kNonPrivate});
  return {result, type};
}

void Builder::storeMatrix(Shared to, Value index, uint32_t stride, const Matrix &matrix) {
  emit(body, kStore,
       {elementPointer(spv::StorageClass::Workgroup, to.id, to.element, index), matrix.id,
        constant(kRowMajor).id, constant(stride).id, kNonPrivate});
}

Matrix Builder::multiplyAdd(const Matrix &a, const Matrix &b, const Matrix &sum) {
  Id result = m.newId();
  emit(body, kMultiplyAdd, {matrixType(sum.type), result, a.id, b.id, sum.id});
  return {result, sum.type};
}

MatrixVariable Builder::zeroMatrix(const MatrixType &type) {
  Id value = matrixType(type), id = m.newId();
  emit(variables, spv::Op::OpVariable,
       {pointerType(spv::StorageClass::Function, value), id,
        static_cast<uint32_t>(spv::StorageClass::Function)});
  Id zero = m.constant(spv::Op::OpConstantComposite, value, {zeroOf(type.kind)});
  emit(body, spv::Op::OpStore, {id, zero});
  return {id, type};
}

Id Builder::zeroOf(Kind kind) { return m.constant(spv::Op::OpConstant, typeId({kind, 1}), {0}); }

Matrix Builder::get(const MatrixVariable &variable) {
  Id result = m.newId();
  emit(body, spv::Op::OpLoad, {matrixType(variable.type), result, variable.id});
  return {result, variable.type};
}
void Builder::set(const MatrixVariable &variable, const Matrix &value) {
  emit(body, spv::Op::OpStore, {variable.id, value.id});
}

} // namespace linnet::spirv
