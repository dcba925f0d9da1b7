// Artifacts for the device "cpu" with the kernels of kernels.cpp.
#pragma once
#include "tests/folders.h"
#include "tests/runtime/fixtures.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace fixtures {

inline void finishCpu(ArtifactWriter &writer, std::unique_ptr<fb::ProgramT> program) {
  program->target = "cpu";
  finish(writer, std::move(program));
}

inline void addCode(ArtifactWriter &writer, fb::ProgramT &program,
                    const std::vector<std::pair<std::string, std::vector<std::string>>> &variants) {
  auto blob = *writer.add(readBytes(linnet::testing::buildFolder() + "/tests/runtime_test_kernels.so"));
  for (auto &[isa, features] : variants) {
    auto code = std::make_unique<fb::CodeT>();
    code->isa = isa;
    code->features = features;
    code->blob = std::make_unique<fb::BlobT>(blob);
    program.code.push_back(std::move(code));
  }
}

inline void addCall(fb::EntryT &entry, const std::string &op, uint32_t kernel,
                    std::vector<std::unique_ptr<fb::RefT>> args, std::unique_ptr<fb::ExprT> work,
                    uint32_t grain) {
  fb::KernelCallT call;
  call.kernel = kernel;
  call.args = std::move(args);
  call.work = std::move(work);
  call.grain = grain;
  auto command = std::make_unique<fb::CommandT>();
  command->op = op;
  command->body.Set(std::move(call));
  entry.commands.push_back(std::move(command));
}

template <class... Refs> std::vector<std::unique_ptr<fb::RefT>> refs(Refs... list) {
  std::vector<std::unique_ptr<fb::RefT>> made;
  (made.push_back(std::move(list)), ...);
  return made;
}

/// y = affine(reverse(affine(x))), x [batch, 8]: each command needs all of the one before.
struct ChainArtifact {
  std::vector<std::pair<std::string, std::vector<std::string>>> variants = {{"any", {}}};
  uint64_t arena_bytes = 2 * 2048;
  bool last_only_for_y = false; ///< the command that writes y is skipped if y is not wanted
};

inline void writeChain(const std::string &path, const ChainArtifact &chain) {
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  addCode(writer, *program, chain.variants);
  program->kernels = {"test_affine", "test_reverse"};
  program->symbols = {"batch"};
  program->arena_bytes = chain.arena_bytes;
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {64};
  entry->arena_bytes = chain.arena_bytes;
  entry->io_bytes = 4096;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(8)), 0, 2048));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(8)), 2048, 2048));
  auto arena = [](uint64_t offset) { return ref(fb::Space::arena, 0, offset, 2048); };
  addCall(*entry, "test.affine", 0, refs(ref(fb::Space::input, 0, 0, 2048), arena(0)), symbol(0, 8), 3);
  addCall(*entry, "test.reverse", 1, refs(arena(0), arena(2048)), symbol(0, 8), 5);
  addCall(*entry, "test.affine", 0, refs(arena(2048), ref(fb::Space::output, 0, 0, 2048)), symbol(0, 8), 1);
  if (chain.last_only_for_y) entry->commands.back()->only_for = {0};
  program->entries.push_back(std::move(entry));
  finishCpu(writer, std::move(program));
}

inline std::vector<float> chainReference(const ChainArtifact &, std::vector<float> x) {
  auto affine = [&] {
    for (size_t i = 0; i < x.size(); ++i) x[i] = 2 * x[i] + static_cast<float>(i);
  };
  affine();
  std::reverse(x.begin(), x.end());
  affine();
  return x;
}

/// y = activation(x w + bias) + residual, x [batch, 40], w 40 x 150 in panels. The residual is in the arena,
/// where a copy of ones times two lies (2 * 0 + i), or is what y's own memory held.
struct MatmulArtifact {
  enum Residual { None, Elsewhere, InPlace };
  int activation = 0;
  Residual residual = None;
  bool bias = false;
};

inline float matmulWeight(int64_t k, int64_t n) { return static_cast<float>((k * 7 + n * 3) % 19 - 9) / 40; }
inline float matmulBias(int64_t n) { return static_cast<float>(n % 5) / 4; }

inline void writeMatmul(const std::string &path, const MatmulArtifact &options) {
  constexpr int64_t kK = 40, kN = 150, kRows = 32;
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  addCode(writer, *program, {{"any", {}}});
  program->kernels = {"test_matmul_0", "test_matmul_1", "test_matmul_2", "test_matmul_3", "test_affine"};
  program->symbols = {"batch"};
  std::vector<float> packed(3 * 3 * 1024), bias(kN);
  for (int64_t n = 0; n < kN; ++n) {
    bias[static_cast<size_t>(n)] = matmulBias(n);
    for (int64_t k = 0; k < kK; ++k)
      packed[static_cast<size_t>((n / 64 * 3 + k / 16) * 1024 + k % 16 * 64 + n % 64)] = matmulWeight(k, n);
  }
  auto addWeight = [&](const std::string &name, std::vector<int64_t> dims, const std::string &layout,
                       const std::vector<float> &values) {
    auto weight = std::make_unique<fb::WeightT>();
    weight->name = name;
    weight->shape = std::move(dims);
    weight->layout = layout;
    weight->blob = std::make_unique<fb::BlobT>(*writer.add(std::as_bytes(std::span(values))));
    program->weights.push_back(std::move(weight));
  };
  addWeight("w", {kK, kN}, "panel<16x64>", packed);
  addWeight("bias", {kN}, "", bias);
  addWeight("zeros", {kRows * kN}, "", std::vector<float>(kRows * kN));
  constexpr uint64_t kOut = kRows * kN * 4;
  program->arena_bytes = kOut;
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {kRows};
  entry->arena_bytes = kOut;
  entry->io_bytes = 5120 + kOut;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(kK)), 0, 5120));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(kN)), 5120, kOut));
  auto out = [&] { return ref(fb::Space::output, 0, 0, kOut); };
  auto arena = [&] { return ref(fb::Space::arena, 0, 0, kOut); };
  bool in_place = options.residual == MatmulArtifact::InPlace;
  if (options.residual != MatmulArtifact::None)
    addCall(*entry, "test.affine", 4, refs(ref(fb::Space::weight, 2, 0, kOut), in_place ? out() : arena()),
            symbol(0, kN), 16);
  fb::PackedMatmulT matmul;
  matmul.a = ref(fb::Space::input, 0, 0, 5120);
  matmul.w = ref(fb::Space::weight, 0, 0, packed.size() * 4);
  if (options.bias) matmul.bias = ref(fb::Space::weight, 1, 0, kN * 4);
  if (options.residual != MatmulArtifact::None) matmul.residual = in_place ? out() : arena();
  matmul.out = out();
  matmul.m = symbol(0);
  matmul.k = matmul.a_stride = kK;
  matmul.n = kN;
  matmul.activation = static_cast<fb::Activation>(options.activation);
  matmul.kernel = static_cast<uint32_t>(options.activation);
  matmul.crossover = 4;
  auto command = std::make_unique<fb::CommandT>();
  command->op = "linnet.matmul";
  command->body.Set(std::move(matmul));
  entry->commands.push_back(std::move(command));
  program->entries.push_back(std::move(entry));
  finishCpu(writer, std::move(program));
}

inline std::vector<float> matmulReference(const MatmulArtifact &options, const std::vector<float> &x) {
  constexpr int64_t kK = 40, kN = 150;
  std::vector<float> y;
  for (int64_t m = 0; m < static_cast<int64_t>(x.size()) / kK; ++m)
    for (int64_t n = 0; n < kN; ++n) {
      double sum = options.bias ? static_cast<double>(matmulBias(n)) : 0;
      for (int64_t k = 0; k < kK; ++k)
        sum +=
            static_cast<double>(x[static_cast<size_t>(m * kK + k)]) * static_cast<double>(matmulWeight(k, n));
      if (options.activation == 1) sum = std::max(sum, 0.0);
      if (options.activation == 2) sum = 0.5 * sum * (1 + std::erf(sum / std::sqrt(2.0)));
      if (options.activation == 3)
        sum = 0.5 * sum * (1 + std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
      float residual = options.residual == MatmulArtifact::None ? 0 : static_cast<float>(m * kN + n);
      y.push_back(static_cast<float>(sum) + residual);
    }
  return y;
}

/// A state that counts the runs.
inline void writeCounter(const std::string &path) {
  auto writer = std::move(*ArtifactWriter::create(path));
  auto program = std::make_unique<fb::ProgramT>();
  addCode(writer, *program, {{"any", {}}});
  program->kernels = {"test_count"};
  addCounter(*program);
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->io_bytes = 64;
  entry->outputs.push_back(port("count", fb::DType::f32, shape(constant(1)), 0, 4));
  addCall(*entry, "test.count", 0, refs(ref(fb::Space::state, 0, 0, 4), ref(fb::Space::output, 0, 0, 4)),
          constant(1), 1);
  program->entries.push_back(std::move(entry));
  finishCpu(writer, std::move(program));
}

} // namespace fixtures
