// Every kernel generator: valid for Vulkan 1.1, and within what each device must offer.
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/ops/training.h"
#include "bench/limits/vulkan_kernels.h"
#include "tests/catch.h"

#include <spirv-tools/libspirv.h>

#include <algorithm>
#include <functional>
#include <string>

using namespace linnet::vulkan;
namespace spirv = linnet::spirv;
using linnet::spirv::Words;

namespace {

std::string validate(const Words &words) {
  spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_1);
  spv_const_binary_t binary{words.data(), words.size()};
  spv_diagnostic diagnostic = nullptr;
  const spv_result_t result = spvValidate(context, &binary, &diagnostic);
  std::string message = result == SPV_SUCCESS ? "" : diagnostic ? diagnostic->error : "invalid";
  spvDiagnosticDestroy(diagnostic);
  spvContextDestroy(context);
  return message;
}

/// Valid, no capability but Shader unless features are named, at most 128 invocations, 16 KiB shared, 32 push
/// constants.
void check(const Kernel &kernel) {
  INFO(kernel.name);
  CHECK(validate(kernel.words) == "");
  int capabilities = 0;
  for (size_t i = 5; i < kernel.words.size(); i += kernel.words[i] >> 16)
    capabilities += (kernel.words[i] & 0xffff) == uint32_t(spv::Op::OpCapability);
  if (kernel.features.empty()) CHECK(capabilities == 1);
  CHECK(kernel.local_size[0] * kernel.local_size[1] * kernel.local_size[2] <= 128);
  CHECK(kernel.shared_bytes <= 16384);
  CHECK(kernel.push_words <= 32);
  CHECK(kernel.push.size() <= kFirstUnit);
  // How far each loop goes is known: see spirv::Builder::loops().
  for (const auto &loop : kernel.loops) {
    CHECK((loop.most.by != spirv::Most::By::number || loop.most.number < UINT32_MAX));
    CHECK(loop.inner < 65534);
  }
}

void checkOnCpu(VulkanMatmulSpec spec) {
  spec.where = cpuMatmulOperands(spec, {});
  check(cpuMatmulKernel(spec));
}

const Extent kBatch = Extent::symbol(0), kSeq = Extent::symbol(1);
/// Operands where each has a binding, and where they share one and begin inside of it.
const Operands kPlaces[] = {{}, {{0, 0, 0, 0, 0, 0}, 0x3f}};

} // namespace

TEST_CASE("kernels that move elements are valid", "[vulkan]") {
  const Type type = GENERATE(Type::f32, Type::f16, Type::bf16, Type::i32, Type::i8);
  for (Operands where : kPlaces) {
    if (!where.bind.empty()) where.bind.resize(2), where.inside = 3;
    check(kernelOf(CopySpec{kBatch, kSeq * Extent(7), kSeq * Extent(9), kSeq * Extent(7), 5, 0, type}, where)
              .kernel);
    check(kernelOf(TransposeSpec{{7, kBatch, 5}, {2, 0, 1}, type}, where).kernel);
  }
  if (type == Type::i32 || type == Type::i8) return;
  for (bool past : {false, true})
    for (bool length : {false, true})
      check(kernelOf(MaskSpec{kBatch, kSeq, 3, 40, type, past, past, length}).kernel);
  check(kernelOf(CacheAppendSpec{kBatch, kSeq, 3, 40, 5, 45, type, type}).kernel);
  check(embedKernel({{kBatch * kSeq, 37, 101, {}, type, Type::f32}}));
  for (bool past : {false, true}) check(kernelOf(PositionsSpec{kBatch, kSeq, 40, past}).kernel);
}

TEST_CASE("kernels of rows and reductions are valid", "[vulkan]") {
  const Type type = GENERATE(Type::f32, Type::f16, Type::bf16);
  const RowSpec rows{kBatch * kSeq, 37, type};
  check(kernelOf(NormSpec{rows, type, 1e-5f}).kernel);
  check(kernelOf(SoftmaxSpec{rows}).kernel);
  check(kernelOf(ArgmaxSpec{rows}).kernel);
  for (Operands where : {Operands(), Operands{{0, 0, 0, 0, 0, 0, 0, 1}, 0x7f}})
    check(sampleKernel({kBatch, 50257, type, where}));
  for (Reduction kind : {Reduction::sum, Reduction::mean, Reduction::max})
    check(kernelOf(ReduceSpec{kind, kBatch, 37, kSeq, type}).kernel);
  for (Pooling mode : {Pooling::last, Pooling::first, Pooling::mean})
    check(kernelOf(PoolSpec{mode, kBatch, kSeq, 37, type}).kernel);
}

TEST_CASE("attention is valid for heads of any size", "[vulkan]") {
  const int64_t head = GENERATE(1, 5, 64, 128, 131);
  for (Operands where : kPlaces)
    for (bool causal : {false, true})
      check(attentionKernel(
          {{kBatch, kSeq, 3, 40, head, Extent(3 * head), Type::f32, Type::f16, 0.3f, causal, true, true},
           where}));
}

TEST_CASE("products of matrices ask for what they need and fit the baseline's shared memory", "[vulkan]") {
  // The validator of Debian 12 does not know the extension; tests/vulkan/runners.cpp runs these kernels where
  // a device has it.
  const auto [m, n, k, subgroup] = GENERATE(table<uint32_t, uint32_t, uint32_t, uint32_t>(
      {{16, 16, 16, 32}, {16, 16, 16, 64}, {8, 8, 8, 8}, {8, 16, 16, 16}}));
  for (const Type type : {Type::f16, Type::bf16, Type::i8, Type::i4}) {
    PackedMatmulSpec spec;
    spec.w = {100, 70, 16, 64, type};
    spec.m = kBatch * kSeq, spec.a_stride = 100, spec.bias = spec.residual = true;
    spec.scaled = type == Type::i8 || type == Type::i4, spec.group = type == Type::i4 ? 32 : 0;
    const Kernel kernel =
        packedMatmulKernel(spec, {.kind = MatmulVariant::matrix, .rows = 64, .shape = {m, n, k, subgroup}});
    INFO(kernel.name);
    CHECK(std::ranges::count(kernel.features, "cooperative_matrix/" + std::to_string(m) + "x" +
                                                  std::to_string(n) + "x" + std::to_string(k) + "/f16/f32") ==
          1);
    CHECK(std::ranges::count(kernel.features, "vulkan_memory_model") == 1);
    CHECK(kernel.local_size[0] == 4 * subgroup);
    CHECK(kernel.subgroups == SubgroupSizes{subgroup, subgroup});
    CHECK(kernel.shared_bytes <= 16384);
  }
}

TEST_CASE("products in 16-bit arithmetic are valid and ask for it", "[vulkan]") {
  for (const Type type : {Type::f16, Type::i8, Type::i4})
    for (const int64_t stride : {100, 103}) {
      PackedMatmulSpec spec;
      spec.w = {100, 70, 16, 64, type};
      spec.m = kBatch * kSeq, spec.a_stride = stride, spec.bias = spec.residual = true;
      spec.scaled = type != Type::f16, spec.group = type == Type::i4 ? 32 : 0;
      spec.activation = Activation::gelu_tanh;
      const Kernel kernel = packedMatmulKernel(spec, {.kind = MatmulVariant::half, .rows = 64});
      check(kernel);
      CHECK(kernel.features == std::vector<std::string>{"gpu", "shader_float16"});
      spec.asymmetric = type == Type::i4;
      check(packedMatmulKernel(spec, {.kind = MatmulVariant::half, .rows = 64}));
    }
}

TEST_CASE("kernels that measure a device's limits are valid", "[vulkan]") {
  check(bench::fillKernel());
  for (bool on_cpu : {false, true}) check(bench::readKernel(on_cpu));
  check(bench::floatPeak().kernel);
  check(bench::halfPeak().kernel);
  // Not validated: see above. Of what one multiplies, 2 m n k, it does eight in each of 1,024 steps, in four
  // subgroups.
  for (const uint32_t subgroup : {32, 64}) {
    const bench::PeakKernel peak = bench::matrixPeak({16, 16, 16, subgroup});
    CHECK(std::ranges::count(peak.kernel.features, "cooperative_matrix/16x16x16/f16/f32") == 1);
    CHECK(peak.kernel.subgroups == SubgroupSizes{subgroup, subgroup});
    CHECK(peak.kernel.local_size[0] == 4 * subgroup);
    CHECK(peak.kernel.shared_bytes <= 16384);
    CHECK(peak.operations == 4.0 * 8 * 1024 * 2 * 16 * 16 * 16);
    CHECK(peak.result == 8 * 1024 * 16 / 65536.0f);
  }
}

TEST_CASE("attention of many queries is valid", "[vulkan]") {
  const int64_t head = GENERATE(4, 28, 64);
  const Type cache = GENERATE(Type::f32, Type::f16, Type::bf16);
  for (bool causal : {false, true})
    check(tiledAttentionKernel(
        {{kBatch, kSeq, 3, 40, head, Extent(3 * head), Type::f32, cache, 0.3f, causal, true, true}}));
}

TEST_CASE("attention of a few queries whose keys workgroups share is valid", "[vulkan]") {
  for (const bool length : {false, true})
    for (Operands where : kPlaces) {
      if (!where.bind.empty()) where.bind = {0, 1, 1, 0, 2, 2, 0, 3}, where.inside = 1;
      VulkanAttentionSpec spec{
          {kBatch, kSeq, 3, 40, 64, Extent(192), Type::f32, Type::f16, 0.3f, true, true, length}, where};
      spec.parts = 5;
      const Kernel kernel = attentionKernel(spec);
      check(kernel);
      CHECK(kernel.features == std::vector<std::string>{"gpu"});
      CHECK(kernel.operands == 7u + length);
    }
}

TEST_CASE("attention that appends to the caches is valid", "[vulkan]") {
  const int64_t head = GENERATE(1, 20, 64, 131);
  const Type cache = GENERATE(Type::f32, Type::f16, Type::bf16);
  for (Operands where : kPlaces) {
    if (!where.bind.empty()) where.bind = {0, 1, 1, 0, 2, 0, 0, 1, 1}, where.inside = 0x61;
    VulkanAttentionSpec spec{
        {kBatch, kSeq, 3, 40, head, Extent(3 * head), Type::f32, cache, 0.3f, true, true, false}, where};
    spec.append = true, spec.key_stride = spec.value_stride = spec.q_stride;
    check(attentionKernel(spec));
    VulkanAttentionSpec split = spec;
    split.parts = 11;
    if (!where.bind.empty()) split.where.bind.insert(split.where.bind.end(), {0, 2});
    const Kernel kernel = attentionKernel(split);
    check(kernel);
    CHECK(kernel.features == std::vector<std::string>{"gpu"});
    if (head % 4 || head > 128 || !where.bind.empty()) continue;
    const uint8_t words = cache == Type::f32 ? 4 : 2;
    spec.where.texels = {4, words, words, 0, 0, 4, 4};
    check(subgroupAttentionKernel(spec));
  }
}

TEST_CASE("attention of heads that share keys, with a window and a cap, is valid", "[vulkan]") {
  const Type cache = GENERATE(Type::f32, Type::bf16);
  const uint8_t words = cache == Type::f32 ? 4 : 2;
  VulkanAttentionSpec spec{
      {kBatch, kSeq, 6, 40, 40, Extent(240), Type::f32, cache, 0.3f, true, true, true, 0, 3, 7, 1.5f}};
  check(attentionKernel(spec));
  check(tiledAttentionKernel(spec));
  VulkanAttentionSpec split = spec;
  split.parts = 5;
  check(attentionKernel(split));
  spec.where.texels = {4, words, words};
  check(subgroupAttentionKernel(spec));
  spec.length = false, spec.append = true, spec.key_stride = 80, spec.value_stride = 400;
  spec.where.texels = {4, words, words, 0, 0, 4, 4};
  check(subgroupAttentionKernel(spec));
  spec.where.texels = {};
  const Kernel kernel = attentionKernel(spec);
  check(kernel);
  CHECK(kernel.name.find("_append_ldk80_ldv400") != std::string::npos);
}

TEST_CASE("the embedding of tokens and places is valid", "[vulkan]") {
  const Type type = GENERATE(Type::f32, Type::f16, Type::i8, Type::i4);
  const bool scaled = !isFloat(type);
  for (bool past : {false, true})
    for (bool panels : {false, true}) {
      VulkanEmbedSpec spec{{kBatch * kSeq, 48, 101, {}, type, Type::f32, scaled}};
      if (panels) spec.panel = {.transposed = true};
      for (bool asymmetric : {false, type == Type::i4}) {
        spec.places = VulkanEmbedSpec::Places{17,   type, scaled, type == Type::i4 ? 32 : 0, 4, asymmetric,
                                              past, 17,   kSeq};
        check(embedKernel(spec));
      }
    }
}

TEST_CASE("attention by a subgroup is valid", "[vulkan]") {
  const int64_t head = GENERATE(4, 28, 64, 128);
  const Type cache = GENERATE(Type::f32, Type::f16, Type::bf16);
  Operands where;
  where.texels = {4, uint8_t(cache == Type::f32 ? 4 : 2), uint8_t(cache == Type::f32 ? 4 : 2)};
  for (bool causal : {false, true})
    check(subgroupAttentionKernel(
        {{kBatch, kSeq, 3, 40, head, Extent(3 * head), Type::f32, cache, 0.3f, causal, true, true}, where}));
}

TEST_CASE("matmul is valid in each variant and weight type", "[vulkan]") {
  const Type type = GENERATE(Type::f32, Type::f16, Type::bf16, Type::i8, Type::i4);
  const int64_t k = GENERATE(64, 37);
  const MatmulVariant variants[] = {{.rows = 1, .subgroup = 8},
                                    {.rows = 8, .subgroup = 8},
                                    {.rows = 1, .split = 8},
                                    {.rows = 4, .split = 8},
                                    {.kind = MatmulVariant::direct, .rows = 1, .split = 32, .slices = 4},
                                    {.kind = MatmulVariant::direct, .rows = 4, .split = 32, .slices = 4},
                                    {.kind = MatmulVariant::lanes, .rows = 1, .slices = 4},
                                    {.kind = MatmulVariant::lanes, .rows = 4, .slices = 4},
                                    {.kind = MatmulVariant::lanes, .rows = 4, .slices = 4, .pieces = 3},
                                    {.kind = MatmulVariant::tiled, .rows = 64}};
  for (const MatmulVariant &variant : variants) {
    PackedMatmulSpec spec;
    spec.w = {k, 70, 16, 64, type};
    spec.m = kBatch * kSeq, spec.a_stride = k;
    check(packedMatmulKernel(spec, variant));
    spec.scaled = type == Type::i8 || type == Type::i4, spec.group = type == Type::i4 ? 32 : 0;
    spec.bias = spec.residual = true;
    spec.activation = variant.rows == 1 ? Activation::silu : Activation::gelu_tanh;
    spec.where = {{0, 1, 2, 3, 0, 1}, 1};
    if (variant.pieces > 1) spec.where.bind.insert(spec.where.bind.end(), {0, 3});
    check(packedMatmulKernel(spec, variant));
    const linnet::PackedLayout layout{.transposed = true};
    check(embedKernel({{kBatch, k, 70, layout, type, Type::f32, spec.scaled, spec.group, 2}}));
    if (type != Type::i4) continue;
    spec.asymmetric = true;
    check(packedMatmulKernel(spec, variant));
    check(embedKernel({{kBatch, k, 70, layout, type, Type::f32, true, spec.group, 4, true}}));
  }
  for (const MatmulVariant &variant : variants) {
    if (variant.kind == MatmulVariant::tiled || variant.rows > 4) continue;
    for (Operands where : kPlaces) {
      if (!where.bind.empty()) where.bind.resize(variant.pieces > 1 ? 11 : 9, 0), where.inside = 2;
      PackedMatmulSpec spec;
      spec.w = {k, 70, 16, 64, type};
      spec.m = kBatch, spec.a_stride = k, spec.bias = spec.residual = true;
      spec.scaled = type == Type::i8 || type == Type::i4, spec.group = type == Type::i4 ? 32 : 0;
      spec.norm = PackedMatmulSpec::Norm{isFloat(type) ? type : Type::f32, 1e-5f};
      spec.positions = kSeq, spec.where = where;
      for (bool last : {false, true}) {
        spec.last = last;
        check(packedMatmulKernel(spec, variant));
      }
      spec.argmax = variant.pieces == 1;
      if (!where.bind.empty()) spec.where.bind.resize(12, 1);
      check(packedMatmulKernel(spec, variant));
      spec.argmax = false;
      spec.norm.reset(), spec.last_residual = true;
      check(packedMatmulKernel(spec, variant));
    }
  }
  VulkanMatmulSpec plain{
      {kBatch, kSeq, k, 9, true, true, false, true, true, Type::f32, Type::f32, type, Activation::gelu_erf}};
  check(matmulKernel(plain));
  if (!isFloat(type)) return;
  for (bool transposed : {false, true})
    for (const Extent &m : {kBatch * kSeq, Extent(68)}) {
      plain.m = m, plain.transpose_a = plain.transpose_w = transposed;
      plain.a = type, plain.n = transposed ? 9 : 8;
      checkOnCpu(plain);
      check(tiledMatmulKernel(plain));
    }
  plain = {{.groups = 1, .m = kBatch * kSeq, .k = k, .n = 9, .a = type, .w = type}};
  plain.depth_all = 301;
  for (auto cut : {VulkanMatmulSpec::columns, VulkanMatmulSpec::rows, VulkanMatmulSpec::depth}) {
    plain.cut = cut;
    plain.transpose_w = cut == VulkanMatmulSpec::columns;
    plain.transpose_a = plain.residual = cut == VulkanMatmulSpec::rows;
    checkOnCpu(plain);
    check(tiledMatmulKernel(plain));
  }
}

TEST_CASE("what comes behind a packed matmul's sums stands in its kernel once, with tiles four times") {
  // Activations are the longest part: some 480 words.
  auto wordsOf = [](const MatmulVariant &variant, Activation activation) {
    PackedMatmulSpec spec{.w = {64, 70, 16, 64, Type::f32}, .m = kBatch, .a_stride = 64};
    spec.activation = activation;
    return packedMatmulKernel(spec, variant).words.size();
  };
  const std::pair<MatmulVariant, size_t> variants[] = {
      {{.rows = 1, .subgroup = 8}, 1},
      {{.rows = 16, .subgroup = 8}, 1},
      {{.rows = 4, .split = 8}, 1},
      {{.kind = MatmulVariant::lanes, .rows = 4, .slices = 4}, 1},
      {{.kind = MatmulVariant::tiled, .rows = 64}, 4}};
  for (const auto &[variant, times] : variants)
    for (Activation activation : {Activation::gelu_tanh, Activation::gelu_quick, Activation::silu})
      CHECK(wordsOf(variant, activation) - wordsOf(variant, Activation::none) < 600 * times);
}

TEST_CASE("products by the lanes of a subgroup are for GPUs that shuffle, of 16 to 64 lanes") {
  PackedMatmulSpec spec{.w = {64, 70, 16, 64, Type::f32}, .m = kBatch, .a_stride = 64};
  const MatmulVariant variant{.kind = MatmulVariant::lanes, .rows = 4, .slices = 4};
  const std::vector<std::string> shuffles = {"gpu", "subgroup_basic", "subgroup_shuffle"};
  Kernel kernel = packedMatmulKernel(spec, variant);
  CHECK(kernel.features == shuffles);
  CHECK(kernel.subgroups == SubgroupSizes{16, 64});
  CHECK(kernel.local_size[0] % kernel.subgroups.most == 0);
  CHECK(kernel.shared_bytes == 128 / 16 * 4 * 16 * 4); // of 8 subgroups, four rows of 16 columns
  spec.norm = PackedMatmulSpec::Norm{};
  CHECK(std::ranges::count(packedMatmulKernel(spec, variant).features, "subgroup_arithmetic") == 1);
}

TEST_CASE("packed matmuls of whatever rows a call decides are one kernel") {
  auto packedOf = [](const Extent &m) {
    return packedMatmulKernel({.w = {64, 70, 16, 64, Type::f32}, .m = m, .a_stride = 64}, {.rows = 4});
  };
  const Kernel some = packedOf(kBatch), more = packedOf(kBatch * kSeq), fixed = packedOf(68);
  CHECK(some.name == more.name);
  CHECK(some.words == more.words);
  CHECK(some.push != more.push);
  CHECK(fixed.name != some.name);
}

TEST_CASE("kernels of training are valid, operands alone, shared, in parts", "[vulkan]") {
  const bool in_parts = GENERATE(false, true);
  const Extent columns = GENERATE(Extent(37), Extent::symbol(2));
  for (Operands where : kPlaces) {
    if (in_parts && !where.bind.empty()) continue;
    auto of = [&](size_t operands) {
      Operands cut = where;
      if (!cut.bind.empty()) cut.bind.resize(operands, 0), cut.inside &= (1u << operands) - 1;
      return cut;
    };
    const RowSpec rows{kBatch * kSeq, columns};
    check(crossEntropyKernel({rows}, of(3), in_parts));
    check(crossEntropyGradKernel({rows}, of(4), in_parts));
    check(kernelOf(LayerNormGradSpec{rows, 1e-5f}, of(4)).kernel);
    check(dropoutKernel({0.1f, 3000000000u}, of(3), in_parts));
    check(kernelOf(SumRowsSpec{kBatch * kSeq, columns}, of(3)).kernel);
    check(scatterAddKernel({101, kBatch * kSeq, columns}, of(3), in_parts));
    for (Pooling mode : {Pooling::last, Pooling::first, Pooling::mean})
      check(kernelOf(PoolGradSpec{{mode, kBatch, kSeq, columns}}, of(3)).kernel);
    for (float pull : {0.f, 0.25f})
      for (bool in_place : {false, true}) {
        const size_t operands = 8 + (pull != 0) + (in_place ? 0 : 4);
        check(adamwKernel({0.9f, 0.99f, 1e-8f, 0.1f, 1, pull}, of(operands), in_parts, in_place));
      }
  }
}

TEST_CASE("gradients of attention are valid for heads of any size", "[vulkan]") {
  const int64_t head = GENERATE(1, 5, 64, 131, 1024);
  for (Operands where : kPlaces)
    for (bool causal : {false, true})
      for (bool length : {false, true}) {
        if (!where.bind.empty()) where.bind.resize(6u + length, 0), where.inside = 0x1f;
        const AttentionGradSpec spec{kBatch, kSeq, 3, kSeq, head, 0.3f, causal, length};
        check(attentionQueryGradKernel(spec, where));
        if (!where.bind.empty()) where.bind.push_back(1);
        check(attentionKeyGradKernel(spec, where));
        if (head % 4 || !where.bind.empty()) continue;
        const Operands texels{.texels = {4, 4, 4, 4}};
        check(attentionQueryGradKernel(spec, texels));
        check(attentionKeyGradKernel(spec, texels));
      }
}
