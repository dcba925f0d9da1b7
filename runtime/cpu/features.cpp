#include "runtime/cpu/features.h"

namespace linnet::cpu {

#if defined(__x86_64__)
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
  LINNET_FEATURE("f16c", "f16c");
  LINNET_FEATURE("bmi", "bmi");
  LINNET_FEATURE("bmi2", "bmi2");
  LINNET_FEATURE("lzcnt", "lzcnt");
  LINNET_FEATURE("movbe", "movbe");
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
  // Every x86-64 has these.
  return name == "sse" || name == "sse2" || name == "cmov" || name == "cx8" || name == "mmx" ||
         name == "fxsr" || name == "64bit";
}
#else
bool hostHasFeature(std::string_view) { return false; }
#endif

} // namespace linnet::cpu
