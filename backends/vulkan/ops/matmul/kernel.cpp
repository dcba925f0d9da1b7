// The kernels of the packed matmul: their names, required features and variants.
#include "backends/vulkan/ops/matmul/packed.h"

#include <fmt/format.h>

#include <bit>

namespace linnet::vulkan {
namespace {

using backend::nameOf;

/// The part of a name for a size. A dynamic size is a push constant, so the name does not contain it.
std::string sizeText(const char *what, const Extent &size) {
  return size.isStatic() ? what + size.text() : "";
}

std::string nameOf(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  static const char *const kKinds[] = {"direct", "lanes", "tiled", "half", "matrix"};
  std::string name = fmt::format("matmul_{}{}_{}{}", kKinds[int(variant.kind)], variant.rows, spec.w.text(),
                                 sizeText("_m", spec.m));
  if (variant.subgroup) name += fmt::format("_subgroup{}", variant.subgroup);
  if (variant.split > 1) name += fmt::format("_split{}", variant.split);
  if (variant.slices > 1) name += fmt::format("_slices{}", variant.slices);
  if (variant.pieces > 1) name += fmt::format("_pieces{}", variant.pieces);
  if (variant.kind == MatmulVariant::lanes)
    name += fmt::format("_subgroup{}to{}", variant.subgroups.least, variant.subgroups.most);
  if (spec.a_stride != spec.w.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.scaled) name += fmt::format("_scaled{}{}", spec.group, spec.asymmetric ? "_asymmetric" : "");
  if (spec.bias) name += fmt::format("_bias_{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  if (spec.residual) name += "_residual";
  if (spec.argmax) name += "_argmax";
  if (spec.norm)
    name +=
        fmt::format("_norm_{}_{:x}", nameOf(spec.norm->type), std::bit_cast<uint32_t>(spec.norm->epsilon));
  if (spec.selects())
    name += fmt::format("{}{}{}{}", spec.last ? "_last" : "", spec.last_residual ? "_last_residual" : "",
                        sizeText("_t", spec.positions), spec.positions == spec.m ? "_mt" : "");
  const MatrixShape &shape = variant.shape;
  if (variant.kind == MatmulVariant::matrix)
    name += fmt::format("_{}x{}x{}_subgroup{}", shape.m, shape.n, shape.k, shape.subgroup);
  return name;
}

std::array<uint32_t, 2> localSizeOf(const MatmulVariant &variant) {
  switch (variant.kind) {
  case MatmulVariant::direct:
    return {PackedMatmul::quadsOf(variant), variant.split};
  case MatmulVariant::lanes:
    return {kLanesInvocations, 1};
  case MatmulVariant::matrix:
    return {kMatrixSubgroups * variant.shape.subgroup, 1};
  default:
    return {PackedMatmul::quadsOf(variant), kMatmulTileY};
  }
}

/// Adds the features that a device must have.
void require(Emitter &e, const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  const MatrixShape &shape = variant.shape;
  if (variant.kind == MatmulVariant::lanes) {
    for (const char *feature : {"gpu", "subgroup_basic", "subgroup_shuffle"}) e.require(feature);
    if (spec.norm) e.require("subgroup_arithmetic");
    e.requireSubgroup(variant.subgroups);
  }
  if (variant.kind == MatmulVariant::half)
    for (const char *feature : {"gpu", "shader_float16"}) e.require(feature);
  if (variant.kind == MatmulVariant::matrix) {
    for (const char *feature : {"vulkan_memory_model", "shader_float16", "subgroup_basic"})
      e.require(feature);
    e.require(fmt::format("cooperative_matrix/{}x{}x{}/f16/f32", shape.m, shape.n, shape.k));
    e.requireSubgroup(shape.subgroup);
  }
  if (variant.subgroup) {
    e.require("cpu");
    e.requireSubgroup(variant.subgroup);
    if (spec.argmax) e.require("subgroup_basic");
    if (spec.norm || spec.argmax) e.require("subgroup_arithmetic");
  }
}

} // namespace

// With argmax, a workgroup computes several panels one after another. On a CPU, combining the results of workgroups is
// not small next to the work for one panel. The panels also share the moments of rows, which each subgroup would
// otherwise compute for every panel.
uint32_t panelsOfGroup(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  if (!spec.argmax) return 1;
  return variant.subgroup ? 8 : variant.kind == MatmulVariant::lanes ? 4 : 1;
}

Kernel packedMatmulKernel(const PackedMatmulSpec &spec, const MatmulVariant &variant) {
  const auto [local_x, local_y] = localSizeOf(variant);
  Emitter e(nameOf(spec, variant), PackedMatmul::operands(spec, variant), local_x, spec.where, local_y);
  require(e, spec, variant);
  PackedMatmul matmul{e, spec, variant};
  static void (*const kEmit[])(PackedMatmul &) = {directMatmul, lanesMatmul, tiledMatmul, halfMatmul,
                                                  matrixMatmul};
  kEmit[int(variant.kind)](matmul);
  return e.finish();
}

} // namespace linnet::vulkan
