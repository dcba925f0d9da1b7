// Compiles and links kernels, loads them into this process and calls them, for tests.
#pragma once
#include "backends/cpu/codegen.h"
#include "backends/cpu/kernels.h"
#include "runtime/cpu/kernel_abi.h"

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace linnet::cpu::testing {

/// A linked image in this process. A kernel missing from it is a failed test.
class Image {
public:
  explicit Image(const std::string &elf);
  ~Image();
  Image(const Image &) = delete;
  Kernel get(const std::string &name) const;

private:
  void *handle = nullptr;
};

/// The instruction-set levels that this machine can run; at least the baseline.
std::vector<Isa> runnableIsas();

/// Builds `kernel` for each runnable level and calls check(isa, kernel).
void onEachIsa(const KernelSource &kernel, const std::function<void(const Isa &, Kernel)> &check);

/// Calls the kernel over [0, work) in uneven pieces and whole, and checks that `out` (which the kernel
/// writes) holds the same bytes.
void callInPieces(Kernel kernel, const std::vector<int64_t> &dims, const std::vector<void *> &args,
                  int64_t work, std::vector<std::byte *> out, std::vector<size_t> out_bytes);

/// The same for one output of floats.
template <class T>
void call(Kernel kernel, const std::vector<int64_t> &dims, std::vector<void *> args, int64_t work,
          std::vector<T> &out) {
  callInPieces(kernel, dims, args, work, {reinterpret_cast<std::byte *>(out.data())},
               {out.size() * sizeof(T)});
}

/// Pseudo-random numbers in [-1, 1).
std::vector<float> numbers(size_t count, unsigned seed = 1);
/// The largest |x - y| divided by the largest |y| (at least 1e-20). If only one side is NaN, it is infinite.
double relativeError(const std::vector<float> &x, const std::vector<double> &y);

} // namespace linnet::cpu::testing
