#include "runtime/cpu/library_use.h"
#include "runtime/expr.h"
#include "runtime/layout.h"

#include <algorithm>
#include <vector>

namespace linnet::cpu {

LibraryUse libraryUse(const fb::PackedMatmul &call, const fb::Program &program) {
  const fb::Weight &weight = *program.weights()->Get(call.w()->index());
  const PanelLayout layout =
      *parsePanelLayout(weight.layout()->string_view()); // checked when the artifact was read
  if (call.scale() || layout.k_block != 16 || layout.n_block != 64) return LibraryUse::Never;
  if (weight.dtype() == fb::DType::f32 && layout.interleave == 1) return LibraryUse::Always;
  // oneDNN's blocks of row pairs end at multiples of 32; with AMX they are faster.
  const bool pairs = call.a_bf16() && layout.interleave == 2 && call.k() % 32 == 0;
  return pairs ? LibraryUse::WithTiles : LibraryUse::Never;
}

bool isWorthwhile(const fb::Gemm &gemm, std::span<const int64_t> symbols) {
  constexpr double kFewestMultiplyAdds = 1 << 18;
  return double(evaluate(gemm.m(), symbols)) * double(evaluate(gemm.k(), symbols)) *
             double(evaluate(gemm.n(), symbols)) >=
         kFewestMultiplyAdds;
}

bool isWorthwhile(const fb::PackedMatmul &call, std::span<const int64_t> symbols) {
  return evaluate(call.m(), symbols) > call.crossover();
}

LibraryUse libraryUse(const fb::Program &program) {
  LibraryUse most = LibraryUse::Never;
  for (const fb::Entry *entry : *program.entries()) {
    const std::vector<int64_t> bounds(entry->bounds()->begin(), entry->bounds()->end());
    for (const fb::Command *command : *entry->commands()) {
      if (const auto *call = command->body_as_KernelCall(); call && call->gemm()) {
        if (isWorthwhile(*call->gemm(), bounds)) most = LibraryUse::Always;
      } else if (const auto *matmul = command->body_as_PackedMatmul()) {
        if (isWorthwhile(*matmul, bounds)) most = std::max(most, libraryUse(*matmul, program));
      }
    }
  }
  return most;
}

} // namespace linnet::cpu
