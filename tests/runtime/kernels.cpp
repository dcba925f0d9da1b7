// Kernels for the tests, with the contract of runtime/cpu/kernel_abi.h.
#include <cmath>
#include <cstdint>

#define KERNEL extern "C" __attribute__((visibility("default"))) void

// dims {batch, width}: args {x, y}, y[i] = 2 x[i] + i.
KERNEL test_affine(const int64_t *, void *const *args, int64_t begin, int64_t end) {
  const float *x = static_cast<const float *>(args[0]);
  float *y = static_cast<float *>(args[1]);
  for (int64_t i = begin; i < end; ++i) y[i] = 2 * x[i] + static_cast<float>(i);
}

// args {x, y, n}: y[i] = x[n - 1 - i]: needs all of the command before. n is the number of rows times eight.
KERNEL test_reverse(const int64_t *dims, void *const *args, int64_t begin, int64_t end) {
  const float *x = static_cast<const float *>(args[0]);
  float *y = static_cast<float *>(args[1]);
  int64_t n = dims[0] * 8;
  for (int64_t i = begin; i < end; ++i) y[i] = x[n - 1 - i];
}

// args {counter state, y}: counts its calls.
KERNEL test_count(const int64_t *, void *const *args, int64_t, int64_t) {
  float *counter = static_cast<float *>(args[0]);
  *static_cast<float *>(args[1]) = ++*counter;
}

namespace {
template <int kActivation> void matmul(const int64_t *dims, void *const *args, int64_t begin, int64_t end) {
  constexpr int64_t kK = 40, kN = 150, kBlocks = 3; // of 16 rows
  const float *a = static_cast<const float *>(args[0]), *w = static_cast<const float *>(args[1]);
  const float *bias = static_cast<const float *>(args[2]), *residual = static_cast<const float *>(args[3]);
  float *out = static_cast<float *>(args[4]);
  for (int64_t panel = begin; panel < end; ++panel)
    for (int64_t m = 0; m < dims[0]; ++m)
      for (int64_t c = 0; c < 64 && panel * 64 + c < kN; ++c) {
        int64_t n = panel * 64 + c;
        double sum = bias ? bias[n] : 0;
        for (int64_t k = 0; k < kK; ++k)
          sum += double(a[m * kK + k]) * w[(panel * kBlocks + k / 16) * 1024 + k % 16 * 64 + c];
        if (kActivation == 1) sum = sum > 0 ? sum : 0;
        if (kActivation == 2) sum = 0.5 * sum * (1 + std::erf(sum * 0.70710678118654752));
        if (kActivation == 3)
          sum = 0.5 * sum * (1 + std::tanh(0.79788456080286536 * (sum + 0.044715 * sum * sum * sum)));
        out[m * kN + n] = static_cast<float>(sum) + (residual ? residual[m * kN + n] : 0);
      }
}
} // namespace

KERNEL test_matmul_0(const int64_t *d, void *const *a, int64_t b, int64_t e) { matmul<0>(d, a, b, e); }
KERNEL test_matmul_1(const int64_t *d, void *const *a, int64_t b, int64_t e) { matmul<1>(d, a, b, e); }
KERNEL test_matmul_2(const int64_t *d, void *const *a, int64_t b, int64_t e) { matmul<2>(d, a, b, e); }
KERNEL test_matmul_3(const int64_t *d, void *const *a, int64_t b, int64_t e) { matmul<3>(d, a, b, e); }
