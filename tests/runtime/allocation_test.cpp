// Decoding takes no memory: every allocation of the process is counted while it runs.
#include "tests/catch.h"
#include "tests/runtime/cpu_artifact.h"

#include <atomic>
#include <cstdlib>
#include <sys/mman.h>

namespace {
std::atomic<bool> counting{false};
std::atomic<long> allocations{0};
} // namespace

// glibc's functions, which the counter calls. operator new also ends here.
extern "C" void *__libc_malloc(size_t);
extern "C" void *__libc_calloc(size_t, size_t);
extern "C" void *__libc_realloc(void *, size_t);
extern "C" void *malloc(size_t n) {
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return __libc_malloc(n);
}
extern "C" void *calloc(size_t n, size_t size) {
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return __libc_calloc(n, size);
}
extern "C" void *realloc(void *p, size_t n) {
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  return __libc_realloc(p, n);
}

using namespace fixtures;

namespace {

struct Opened {
  explicit Opened(const std::string &path, int threads)
      : artifact(std::move(*Artifact::open(path))), device(std::move(*openDevice("cpu"))),
        executable(std::move(*device->load(artifact, *artifact.program("cpu"), {.threads = threads}))) {}
  Artifact artifact;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executable> executable;
};

} // namespace

TEST_CASE("the counter counts") {
  counting = true;
  void *volatile p = std::malloc(10);
  counting = false;
  std::free(p);
  CHECK(allocations.exchange(0) == 1);
}

TEST_CASE("a run of an entry takes no memory once it has run") {
  TemporaryDirectory directory;
  MatmulArtifact matmul;
  matmul.activation = 3;
  matmul.residual = MatmulArtifact::Elsewhere;
  matmul.bias = true;
  writeMatmul(directory / "matmul.linnet", matmul);
  for (int threads : {1, 2}) {
    Opened opened(directory / "matmul.linnet", threads);
    std::vector<float> x(32 * 40, 0.5f);
    std::vector<bool> wanted = {true};
    for (int64_t rows : {1, 3}) {
      std::vector<int64_t> symbols = {rows};
      std::span<const std::byte> input = std::as_bytes(std::span(x).first(static_cast<size_t>(rows * 40)));
      auto once = [&] { return opened.executable->run(0, symbols, std::span(&input, 1), wanted).ok(); };
      REQUIRE(once());
      bool good = true;
      counting = true;
      for (int i = 0; i < 50; ++i) good &= once();
      counting = false;
      CHECK(good);
      CHECK(allocations.exchange(0) == 0);
    }
  }
}

TEST_CASE("a run takes no memory for a profile that is not wanted") {
  TemporaryDirectory directory;
  writeMatmul(directory / "matmul.linnet", {});
  Opened opened(directory / "matmul.linnet", 2);
  std::vector<float> x(40, 0.5f);
  std::vector<int64_t> symbols = {1};
  std::vector<bool> wanted = {true};
  std::span<const std::byte> input = std::as_bytes(std::span(x));
  auto countedRun = [&] {
    bool good = opened.executable->run(0, symbols, std::span(&input, 1), wanted).ok();
    counting = true;
    good &= opened.executable->run(0, symbols, std::span(&input, 1), wanted).ok();
    counting = false;
    CHECK(good);
    return allocations.exchange(0);
  };
  CHECK(countedRun() == 0);
  opened.executable->setProfiler(std::make_shared<Profiler>());
  CHECK(countedRun() > 0);
  opened.executable->setProfiler(nullptr);
  CHECK(countedRun() == 0);
}

TEST_CASE("what a program takes is what it says, and stays so") {
  TemporaryDirectory directory;
  MatmulArtifact matmul;
  writeMatmul(directory / "matmul.linnet", matmul);
  Opened opened(directory / "matmul.linnet", 2);
  MemoryUse before = opened.executable->memory();
  CHECK(before.arena == 32 * 150 * 4);
  CHECK(before.io == 5120 + 32 * 150 * 4);
  CHECK(before.weights == 3 * 3 * 4096 + 150 * 4 + 32 * 150 * 4);
  std::vector<float> x(32 * 40, 0.5f);
  for (int64_t rows = 1; rows <= 32; ++rows) {
    std::vector<int64_t> symbols = {rows};
    std::span<const std::byte> input = std::as_bytes(std::span(x).first(static_cast<size_t>(rows * 40)));
    REQUIRE(opened.executable->run(0, symbols, std::span(&input, 1), {}).ok());
  }
  CHECK(opened.executable->memory().total() == before.total());
}
