#include "tests/cpu/image.h"

#include "tests/catch.h"

#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <sys/mman.h>
#include <unistd.h>

namespace linnet::cpu::testing {

Image::Image(const std::string &elf) {
  const int file = memfd_create("kernels", MFD_CLOEXEC);
  REQUIRE(file >= 0);
  REQUIRE(write(file, elf.data(), elf.size()) == ssize_t(elf.size()));
  handle = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  const char *why = handle ? "" : dlerror();
  close(file);
  INFO(why);
  REQUIRE(handle != nullptr);
}

Image::~Image() {
  if (handle) dlclose(handle);
}

Kernel Image::get(const std::string &name) const {
  void *symbol = dlsym(handle, name.c_str());
  INFO(name);
  REQUIRE(symbol != nullptr);
  return reinterpret_cast<Kernel>(symbol);
}

std::vector<Isa> runnableIsas() {
  auto levels = selectIsas("");
  REQUIRE(levels.ok());
  std::vector<Isa> runnable;
  for (const Isa &isa : *levels)
    if (hostRuns(isa)) runnable.push_back(isa);
  REQUIRE(!runnable.empty());
  return runnable;
}

void onEachIsa(const KernelSource &kernel, const std::function<void(const Isa &, Kernel)> &check) {
  for (const Isa &isa : runnableIsas()) {
    auto images = buildImages({&kernel, 1}, {&isa, 1});
    INFO(isa.name << " " << kernel.name << " " << (images ? "" : images.error().message));
    REQUIRE(images.ok());
    const Image image(images->front());
    check(isa, image.get(kernel.name));
  }
}

void callInPieces(Kernel kernel, const std::vector<int64_t> &dims, const std::vector<void *> &args,
                  int64_t work, std::vector<std::byte *> out, std::vector<size_t> out_bytes) {
  std::vector<std::vector<std::byte>> before, pieces;
  for (size_t i = 0; i < out.size(); ++i) before.emplace_back(out[i], out[i] + out_bytes[i]);
  int64_t step = 1;
  for (int64_t begin = 0; begin < work; step = step % 7 + 2) {
    const int64_t end = std::min(work, begin + step);
    kernel(dims.data(), args.data(), begin, end);
    begin = end;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    pieces.emplace_back(out[i], out[i] + out_bytes[i]);
    std::memcpy(out[i], before[i].data(), out_bytes[i]);
  }
  kernel(dims.data(), args.data(), 0, work);
  for (size_t i = 0; i < out.size(); ++i) CHECK(std::memcmp(out[i], pieces[i].data(), out_bytes[i]) == 0);
}

std::vector<float> numbers(size_t count, unsigned seed) {
  std::minstd_rand random(seed * 7919 + 17);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float &value : values) value = uniform(random);
  return values;
}

double relativeError(const std::vector<float> &x, const std::vector<double> &y) {
  REQUIRE(x.size() == y.size());
  double scale = 1e-20, worst = 0;
  for (double value : y)
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (double(x[i]) == y[i]) continue;
    const double error = std::abs(x[i] - y[i]);
    worst = std::max(worst, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
  }
  return worst / scale;
}

} // namespace linnet::cpu::testing
