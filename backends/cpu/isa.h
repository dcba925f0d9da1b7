// Instruction sets that kernels are generated for.
#pragma once
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::cpu {

/// One level of an instruction set: what LLVM is told, what a processor must have, and what generators tile
/// for.
struct Isa {
  std::string name;                  ///< "x86-64-v4"; becomes fb::Code.isa
  std::vector<std::string> features; ///< what the runtime must find, by LLVM's names; fb::Code.features
  std::string triple;                ///< of the target
  std::string cpu;                   ///< LLVM's -mcpu: which instructions may be used
  std::string tune;                  ///< LLVM's -mtune; "" = as cpu
  int lanes = 4;                     ///< f32 lanes of a vector register
  int registers = 16;                ///< vector registers
  bool fma = false;                  ///< has a fused multiply-add
  bool f16 = false;                  ///< converts f16 in hardware
  bool bf16 = false;                 ///< multiplies pairs of bf16 and adds them to f32
  bool vnni = false;                 ///< multiplies quadruples of bytes and adds them to i32
  std::string extensions = "";       ///< beyond `cpu`, as LLVM's -mattr: "+avx512vnni"

  /// Is this level `poorer` but for `extensions`? Kernels that use none of them are then the same for both.
  bool onlyExtends(const Isa &poorer) const;
  bool operator==(const Isa &) const = default;
};

/// `spec`: "" = every level for this machine's architecture, best first; "native" = the best level that this
/// machine runs, tuned for it; else names separated by commas, "x86-64-v3,x86-64". The error names the
/// levels.
Result<std::vector<Isa>> selectIsas(std::string_view spec);

/// Does this machine run code of that level?
bool hostRuns(const Isa &isa);

} // namespace linnet::cpu
