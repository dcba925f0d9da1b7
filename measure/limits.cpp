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

// Twelve independent chains hide the latency of a multiply-add (4-5 cycles on two ports).
constexpr int kChains = 12;

TARGET("avx2,fma") float fmaAvx2(long rounds) {
  __m256 acc[kChains], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm256_set1_ps(1.0f);
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm256_fmadd_ps(acc[i], x, y);
      asm volatile("" : "+x"(acc[i]));
    }
  float sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm256_cvtss_f32(a);
  return sum;
}
TARGET("avx512f") float fmaAvx512(long rounds) {
  __m512 acc[kChains], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm512_set1_ps(1.0f);
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_fmadd_ps(acc[i], x, y);
      asm volatile("" : "+v"(acc[i]));
    }
  float sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm512_reduce_add_ps(a);
  return sum;
}
TARGET("avx512f,avx512bf16") float dotBf16(long rounds) {
  __m512 acc[kChains];
  __m512bh x = (__m512bh)_mm512_set1_epi16(0x3f00), y = x;
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm512_setzero_ps();
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_dpbf16_ps(acc[i], x, y);
      asm volatile("" : "+v"(acc[i]));
    }
  float sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm512_reduce_add_ps(a);
  return sum;
}
TARGET("avx512f,avx512vnni") float dotInt8(long rounds) {
  __m512i acc[kChains], x = _mm512_set1_epi8(1), y = x;
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm512_setzero_si512();
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_dpbusd_epi32(acc[i], x, y);
      asm volatile("" : "+v"(acc[i]));
    }
  long sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm512_reduce_add_epi32(a);
  return static_cast<float>(sum);
}

// int8 without VNNI: products of bytes are summed in pairs to 16 bits, then in pairs to 32 bits, then added.
TARGET("avx2") float pairsInt8(long rounds) {
  __m256i acc[kChains], x = _mm256_set1_epi8(1), y = x, ones = _mm256_set1_epi16(1);
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm256_setzero_si256();
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+x"(y)); // prevents computing the products only once
      acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
      asm volatile("" : "+x"(acc[i]));
    }
  int sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm256_extract_epi32(a, 0);
  return static_cast<float>(sum);
}
TARGET("avx512f,avx512bw") float pairsInt8Avx512(long rounds) {
  __m512i acc[kChains], x = _mm512_set1_epi8(1), y = x, ones = _mm512_set1_epi16(1);
#pragma GCC unroll 12
  for (auto &a : acc) a = _mm512_setzero_si512();
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+v"(y));
      acc[i] = _mm512_add_epi32(acc[i], _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), ones));
      asm volatile("" : "+v"(acc[i]));
    }
  long sum = 0;
#pragma GCC unroll 12
  for (auto &a : acc) sum += _mm512_reduce_add_epi32(a);
  return static_cast<float>(sum);
}

/// The peaks within the limit of LINNET_CPU_ISA. A type without special instructions has the rate of the
/// instructions that emulate it: bf16 is widened to f32, bytes are multiplied in pairs.
std::vector<Peak> peaksHere() {
  std::vector<Peak> found;
  const bool wide = hostHasFeature("avx512f");
  if (!wide && !(hostHasFeature("avx2") && hostHasFeature("fma"))) return found;
  const Peak f32 =
      wide ? Peak{"f32", 2.0 * 16 * kChains, fmaAvx512} : Peak{"f32", 2.0 * 8 * kChains, fmaAvx2};
  found.push_back(f32);
  if (wide && hostHasFeature("avx512bf16"))
    found.push_back({"bf16", 2.0 * 32 * kChains, dotBf16});
  else
    found.push_back({"bf16", f32.operations_per_round, f32.kernel});
  if (wide && hostHasFeature("avx512vnni"))
    found.push_back({"int8", 2.0 * 64 * kChains, dotInt8});
  else if (wide && hostHasFeature("avx512bw"))
    found.push_back({"int8", 2.0 * 64 * kChains, pairsInt8Avx512});
  else
    found.push_back({"int8", 2.0 * 32 * kChains, pairsInt8});
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
