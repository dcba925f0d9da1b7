#include "runtime/cpu/features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace linnet::cpu {

#if defined(__x86_64__)
// A bit of ecx.
static bool cpuidBit(unsigned leaf, int bit) {
  unsigned a, b, c, d;
  return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> bit & 1);
}

bool hostHasFeature(std::string_view name) {
  __builtin_cpu_init();
  // The builtin wants literals; it also asks the operating system whether wide registers are saved.
#define LINNET_FEATURE(llvm, gcc)                                                                            \
  if (name == llvm) return __builtin_cpu_supports(gcc)
  LINNET_FEATURE("sse3", "sse3");
  LINNET_FEATURE("ssse3", "ssse3");
  LINNET_FEATURE("sse4.1", "sse4.1");
  LINNET_FEATURE("sse4.2", "sse4.2");
  LINNET_FEATURE("popcnt", "popcnt");
  LINNET_FEATURE("avx", "avx");
  LINNET_FEATURE("avx2", "avx2");
  LINNET_FEATURE("fma", "fma");
  LINNET_FEATURE("bmi", "bmi");
  LINNET_FEATURE("bmi2", "bmi2");
  LINNET_FEATURE("avx512f", "avx512f");
  LINNET_FEATURE("avx512bw", "avx512bw");
  LINNET_FEATURE("avx512cd", "avx512cd");
  LINNET_FEATURE("avx512dq", "avx512dq");
  LINNET_FEATURE("avx512vl", "avx512vl");
  LINNET_FEATURE("avx512vnni", "avx512vnni");
  LINNET_FEATURE("avx512bf16", "avx512bf16");
  LINNET_FEATURE("avx512vbmi", "avx512vbmi");
  LINNET_FEATURE("avx512vbmi2", "avx512vbmi2");
#undef LINNET_FEATURE
  // Clang's builtin does not know these. F16C works on registers of AVX, which the system must save.
  if (name == "f16c") return cpuidBit(1, 29) && __builtin_cpu_supports("avx");
  if (name == "movbe") return cpuidBit(1, 22);
  if (name == "amx-bf16") { // whoever uses it asks the system for it
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
  }
  if (name == "lzcnt") return cpuidBit(0x80000001, 5);
  // Every x86-64 has these.
  return name == "sse" || name == "sse2" || name == "cmov" || name == "cx8" || name == "mmx" ||
         name == "fxsr" || name == "64bit";
}
#else
bool hostHasFeature(std::string_view) { return false; }
#endif

} // namespace linnet::cpu
