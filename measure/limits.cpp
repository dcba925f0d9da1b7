#include "measure/limits.h"
#include "measure/disturbance.h"
#include "support/processor.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <sys/mman.h>

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wuninitialized" // GCC 12 warns about its _mm512_undefined
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#define TARGET(features) __attribute__((target(features), noinline))
#endif

namespace linnet::measure {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}
/// Prevents the optimizer from removing the work.
volatile float sink;

#if defined(__x86_64__)

/// Prefetches 2 KiB ahead, because hardware prefetching stops at the end of a page. Past the end it has no
/// effect.
inline void prefetch(const float *data) {
  _mm_prefetch(reinterpret_cast<const char *>(data) + 2048, _MM_HINT_T0);
}
TARGET("avx2") float readAvx2(const float *data, size_t n) {
  __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
  for (size_t i = 0; i + 32 <= n; i += 32) {
    prefetch(data + i);
    prefetch(data + i + 16);
    a = _mm256_add_ps(a, _mm256_loadu_ps(data + i));
    b = _mm256_add_ps(b, _mm256_loadu_ps(data + i + 8));
    c = _mm256_add_ps(c, _mm256_loadu_ps(data + i + 16));
    d = _mm256_add_ps(d, _mm256_loadu_ps(data + i + 24));
  }
  return _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
}
TARGET("avx512f") float readAvx512(const float *data, size_t n) {
  __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
  for (size_t i = 0; i + 64 <= n; i += 64) {
    for (size_t line = 0; line < 64; line += 16) prefetch(data + i + line);
    a = _mm512_add_ps(a, _mm512_loadu_ps(data + i));
    b = _mm512_add_ps(b, _mm512_loadu_ps(data + i + 16));
    c = _mm512_add_ps(c, _mm512_loadu_ps(data + i + 32));
    d = _mm512_add_ps(d, _mm512_loadu_ps(data + i + 48));
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
}

// Twelve independent chains hide the latency of a multiply-add (4-5 cycles on two ports). With two factors and a
// product they fit into 16 registers.
constexpr int kChains = 12;

/// Defines `float name(long rounds)`. A round executes `step`, an expression of the sum `a` and the factors `x` and
/// `y`, once in each chain. The barriers prevent the compiler from merging steps and from moving x * y out of the
/// loop.
#define LINNET_CHAINS(name, features, Vector, factor, step)                                                  \
  TARGET(features) float name(long rounds) {                                                                 \
    Vector chains[kChains], x = factor, y = x;                                                               \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) chains[i] = x;                                \
    for (long r = 0; r < rounds; ++r) {                                                                      \
      _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) {                                           \
        Vector a = chains[i];                                                                                \
        asm volatile("" : "+v"(y));                                                                          \
        a = step;                                                                                            \
        asm volatile("" : "+v"(a));                                                                          \
        chains[i] = a;                                                                                       \
      }                                                                                                      \
    }                                                                                                        \
    float sum = 0;                                                                                           \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) sum += static_cast<float>(chains[i][0]);      \
    return sum;                                                                                              \
  }

LINNET_CHAINS(fmaAvx512, "avx512f", __m512, _mm512_set1_ps(0.5f), _mm512_fmadd_ps(a, x, y))
LINNET_CHAINS(fmaAvx2, "avx2,fma", __m256, _mm256_set1_ps(0.5f), _mm256_fmadd_ps(a, x, y))
LINNET_CHAINS(mulAddSse2, "sse2", __m128, _mm_set1_ps(0.5f), _mm_add_ps(a, _mm_mul_ps(x, y)))

constexpr short kBf16Half = 0x3f00;
LINNET_CHAINS(dotBf16, "avx512f,avx512bf16", __m512, _mm512_castsi512_ps(_mm512_set1_epi16(kBf16Half)),
              _mm512_dpbf16_ps(a, (__m512bh)x, (__m512bh)y))

// int8 without VNNI: products of bytes are summed in pairs to 16 bits, then in pairs to 32 bits, then added. SSE2
// multiplies only 16-bit integers.
LINNET_CHAINS(dotInt8, "avx512f,avx512vnni", __m512i, _mm512_set1_epi8(1), _mm512_dpbusd_epi32(a, x, y))
LINNET_CHAINS(pairsInt8Avx512, "avx512f,avx512bw", __m512i, _mm512_set1_epi8(1),
              _mm512_add_epi32(a, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), _mm512_set1_epi16(1))))
LINNET_CHAINS(pairsInt8Avx2, "avx2", __m256i, _mm256_set1_epi8(1),
              _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), _mm256_set1_epi16(1))))
LINNET_CHAINS(pairsInt16Sse2, "sse2", __m128i, _mm_set1_epi8(1), _mm_add_epi32(a, _mm_madd_epi16(x, y)))

// int4 without VNNI: the sums of a group fit into 16 bits. Widening them once per group is left out.
LINNET_CHAINS(sumsInt4Avx512, "avx512f,avx512bw", __m512i, _mm512_set1_epi8(1),
              _mm512_add_epi16(a, _mm512_maddubs_epi16(x, y)))
LINNET_CHAINS(sumsInt4Avx2, "avx2", __m256i, _mm256_set1_epi8(1),
              _mm256_add_epi16(a, _mm256_maddubs_epi16(x, y)))
#undef LINNET_CHAINS

/// A kernel whose step multiplies and adds `products` numbers.
Peak peak(const char *name, int products, float (*kernel)(long)) {
  return {name, 2.0 * products * kChains, kernel};
}

/// The fastest kernels within the limit of LINNET_CPU_ISA. A type without special instructions has the rate of the
/// instructions that emulate it: bf16 is widened to f32, bytes are multiplied in pairs.
std::vector<Peak> peaksHere() {
  const bool wide = hostHasFeature("avx512f") && hostHasFeature("avx512bw");
  if (!wide && !(hostHasFeature("avx2") && hostHasFeature("fma")))
    return {peak("f32", 4, mulAddSse2), peak("bf16", 4, mulAddSse2), peak("int8", 8, pairsInt16Sse2),
            peak("int4", 8, pairsInt16Sse2)};
  if (!wide)
    return {peak("f32", 8, fmaAvx2), peak("bf16", 8, fmaAvx2), peak("int8", 32, pairsInt8Avx2),
            peak("int4", 32, sumsInt4Avx2)};
  std::vector<Peak> found{peak("f32", 16, fmaAvx512)};
  found.push_back(hostHasFeature("avx512bf16") ? peak("bf16", 32, dotBf16) : peak("bf16", 16, fmaAvx512));
  if (hostHasFeature("avx512vnni")) {
    found.push_back(peak("int8", 64, dotInt8));
    found.push_back(peak("int4", 64, dotInt8));
  } else {
    found.push_back(peak("int8", 64, pairsInt8Avx512));
    found.push_back(peak("int4", 64, sumsInt4Avx512));
  }
  return found;
}
float readAll(const float *data, size_t n) {
  if (__builtin_cpu_supports("avx512f")) return readAvx512(data, n);
  if (__builtin_cpu_supports("avx2")) return readAvx2(data, n);
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += data[i];
  return sum;
}

#else

std::vector<Peak> peaksHere() { return {}; }
float readAll(const float *data, size_t n) {
  float sum[8] = {};
  for (size_t i = 0; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) sum[j] += data[i + j];
  return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

#endif

} // namespace

std::vector<Peak> peaks() { return peaksHere(); }

ReadBuffer::ReadBuffer(size_t floats) : count(floats) {
  constexpr size_t kLargePage = size_t(2) << 20;
  size_t bytes = (floats * sizeof(float) + kLargePage - 1) / kLargePage * kLargePage;
  values.reset(static_cast<float *>(std::aligned_alloc(kLargePage, bytes)));
  if (!values) {
    count = 0;
    return;
  }
#if defined(MADV_HUGEPAGE)
  madvise(values.get(), bytes, MADV_HUGEPAGE);
#endif
  std::fill_n(values.get(), floats, 1.0f);
}

double readBandwidth(std::span<const float> data, int threads, double seconds) {
  std::vector<double> rates;
  double end = now() + seconds;
  do {
    double start = now();
#pragma omp parallel num_threads(threads)
    {
      size_t n = data.size() / static_cast<size_t>(threads),
             begin = n * static_cast<size_t>(omp_get_thread_num());
      sink = readAll(data.data() + begin, n);
    }
    rates.push_back(static_cast<double>(data.size_bytes()) / (now() - start));
  } while (now() < end);
  return median(rates);
}

double peakRate(const Peak &which, int threads, double seconds) {
  constexpr long kRounds = 1 << 18;
  std::vector<double> rates;
  double end = now() + seconds;
  do {
    double start = now();
#pragma omp parallel num_threads(threads)
    sink = which.kernel(kRounds);
    rates.push_back(which.operations_per_round * kRounds * threads / (now() - start));
  } while (now() < end);
  return median(rates);
}

Limits probeLimits(int threads) {
  constexpr size_t kFloats = size_t(64) << 20; // 256 MiB: more than caches hold
  Limits limits;
  limits.threads = threads > 0 ? threads : omp_get_max_threads();
  ReadBuffer buffer(kFloats);
  if (!buffer.data().empty())
    limits.read_bytes_per_second = readBandwidth(buffer.data(), limits.threads, 0.1);
  for (const Peak &peak : peaks())
    if (std::string_view(peak.name) == "f32")
      limits.f32_flops_per_second = peakRate(peak, limits.threads, 0.05);
  return limits;
}

Limits limitsOf(DeviceKind device, int threads) {
  constexpr int kTries = 3;
  Limits best;
  for (int i = 0; device == DeviceKind::Processor && i < kTries; ++i) {
    Disturbance disturbance;
    const Limits found = probeLimits(threads);
    const double disturbed = disturbance.share();
    // Other programs only reduce the rates, so the largest figure is the most accurate.
    best = {found.threads, std::max(best.read_bytes_per_second, found.read_bytes_per_second),
            std::max(best.f32_flops_per_second, found.f32_flops_per_second),
            i ? std::min(best.disturbed, disturbed) : disturbed};
    if (best.disturbed <= kDisturbedShare) break;
  }
  return best;
}

} // namespace linnet::measure
