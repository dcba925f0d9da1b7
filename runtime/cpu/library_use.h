// Which matmuls of a program call oneDNN.
#pragma once
#include "linnet/version.h"
#include "runtime/artifact/artifact_generated.h"

#include <cstdint>
#include <span>

namespace linnet::cpu {

enum class LibraryUse : uint8_t {
  Never,
  WithTiles, ///< only on a processor with AMX
  Always,
};

/// Whether a command's form of matmul has an implementation in oneDNN that the runtime uses.
LibraryUse libraryUse(const fb::PackedMatmul &call, const fb::Program &program);

/// Whether a matmul is large enough for oneDNN: a call costs more than it gains for a small one.
bool isWorthwhile(const fb::Gemm &gemm, std::span<const int64_t> symbols);
bool isWorthwhile(const fb::PackedMatmul &call, std::span<const int64_t> symbols);

/// Whether loading the program for the cpu needs the library: whether any command is worthwhile at its entry's
/// bounds.
LINNET_API LibraryUse libraryUse(const fb::Program &program);

} // namespace linnet::cpu
