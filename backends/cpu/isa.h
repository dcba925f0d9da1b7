// Instruction sets that kernels are generated for.
#pragma once
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::cpu {

/// One level of an instruction set: options for LLVM, features that a processor must have, and sizes for generators.
struct Isa {
  std::string name; ///< for example "x86-64-v4"; becomes fb::Code.isa
  /// LLVM's names of the features that a processor must have; fb::Code.features
  std::vector<std::string> features;
  std::string triple;          ///< the target triple
  std::string cpu;             ///< LLVM's -mcpu: the instructions that may be used
  std::string tune;            ///< LLVM's -mtune; if empty, the same as cpu
  int lanes = 4;               ///< f32 lanes of a vector register
  int registers = 16;          ///< vector registers
  bool fma = false;            ///< has a fused multiply-add
  bool f16 = false;            ///< converts f16 by an instruction
  bool bf16 = false;           ///< multiplies pairs of bf16 and adds them to f32
  bool vnni = false;           ///< multiplies four pairs of bytes and adds the products to i32
  std::string extensions = ""; ///< features beyond `cpu`, as LLVM's -mattr: "+avx512vnni"

  /// Whether this level is `poorer` plus `extensions`. Kernels that use no extension have the same code for both.
  bool onlyExtends(const Isa &poorer) const;
  bool operator==(const Isa &) const = default;
};

/// Parses `spec`. "" selects every level of this machine's architecture, best first. "native" selects the best level
/// that this machine runs, tuned for it. Otherwise, names separated by commas: "x86-64-v3,x86-64". The error lists the
/// levels.
Result<std::vector<Isa>> selectIsas(std::string_view spec);

/// Whether this machine runs code of that level.
bool hostRuns(const Isa &isa);

} // namespace linnet::cpu
