// Loads the best variant of the artifact's machine code that the processor can run.
#pragma once
#include "runtime/artifact/artifact.h"
#include "runtime/cpu/kernel_abi.h"

#include <string>
#include <vector>

namespace linnet::cpu {

/// The first variant of `program` that this processor can run (see support/processor.h), or an error that
/// lists the requirements of each.
Result<const fb::Code *> chooseCode(const fb::Program &program);

/// An ELF image mapped by the dynamic linker, and the addresses of Program.kernels in it.
class LoadedCode {
public:
  /// For a program without kernels it returns an empty LoadedCode.
  static Result<LoadedCode> load(const Artifact &artifact, const fb::Program &program);
  LoadedCode() = default;
  LoadedCode(LoadedCode &&other) noexcept;
  LoadedCode &operator=(LoadedCode &&other) noexcept;
  ~LoadedCode();
  Kernel kernel(uint32_t index) const { return kernels[index]; }
  const std::string &isa() const { return variant; }

private:
  void *handle = nullptr;
  std::string variant;
  std::vector<Kernel> kernels;
};

} // namespace linnet::cpu
