// Readable texts about kernels, which --dump-dir and --emit write.
#pragma once
#include <functional>
#include <string_view>

namespace linnet {

/// One text about generated code.
struct KernelText {
  std::string_view level; ///< the instruction set that the code is for, or "spirv"
  std::string_view name;  ///< the kernel's name; empty if the text is about all kernels of the level
  /// The form of the text, as a file ending: "ll" (LLVM IR after optimization), "s" (assembly), "spvasm" (SPIR-V).
  std::string_view form;
  std::string_view text;
};
/// Receives texts while kernels are generated. Calls come one at a time.
using KernelListener = std::function<void(const KernelText &)>;

} // namespace linnet
