#include "support/processor.h"

#include "support/error.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace linnet {
namespace {

bool contains(const std::vector<std::string_view> &names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view variable() {
  const char *value = std::getenv(kProcessorVariable);
  return value ? value : "";
}

const ProcessorLevel *levelOf(std::string_view name) {
  for (const ProcessorLevel &level : x86Levels())
    if (level.name == name) return &level;
  return nullptr;
}

// Features of every x86-64.
bool isBaseline(std::string_view name) {
  return contains({"sse", "sse2", "cmov", "cx8", "mmx", "fxsr", "64bit"}, name);
}

// Features of x86-64-v2, which processors with AVX have, too.
bool isSecondLevel(std::string_view name) {
  return contains({"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"}, name);
}

bool allows(const ProcessorLevel &level, std::string_view name) {
  if (isSecondLevel(name)) return contains(level.features, "avx");
  return isBaseline(name) || contains(level.features, name);
}

#if defined(__x86_64__)
// Bit `bit` of ecx of the CPUID leaf.
bool cpuidBit(unsigned leaf, int bit) {
  unsigned a, b, c, d;
  return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> bit & 1);
}

bool processorHas(std::string_view name) {
  __builtin_cpu_init();
  // The builtin needs literals. It also checks that the operating system saves wide registers.
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
  if (name == "amx-bf16") { // its user requests permission from the system
    constexpr int kAmxBf16Bit = 22;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> kAmxBf16Bit & 1);
  }
  if (name == "lzcnt") return cpuidBit(0x80000001, 5);
  return isBaseline(name);
}
#elif defined(__aarch64__)
bool processorHas(std::string_view name) { return name == "neon"; } // every armv8-a has it
#else
bool processorHas(std::string_view) { return false; }
#endif

} // namespace

std::span<const ProcessorLevel> x86Levels() {
  static const std::vector<ProcessorLevel> levels = [] {
    const std::vector<std::string_view> v3 = {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"};
    std::vector<std::string_view> v4 = v3;
    v4.insert(v4.end(), {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
    std::vector<std::string_view> dot = v4;
    dot.insert(dot.end(), {"avx512vnni", "avx512bf16"});
    return std::vector<ProcessorLevel>{
        {"x86-64-v4-dot", dot}, {"x86-64-v4", v4}, {"x86-64-v3", v3}, {"x86-64", {}}};
  }();
  return levels;
}

std::string_view processorLimit() {
  const ProcessorLevel *level = levelOf(variable());
  return level ? level->name : "";
}

Result<void> checkProcessorVariable() {
  if (variable().empty()) return {};
  if (const ProcessorLevel *level = levelOf(variable())) {
    for (std::string_view feature : level->features)
      if (!processorHas(feature))
        return errorf("{}={}: this processor lacks {}", kProcessorVariable, level->name, feature);
    return {};
  }
  std::string names;
  for (const ProcessorLevel &level : x86Levels())
    names += (names.empty() ? "" : ", ") + std::string(level.name);
  return errorf("{}: expected one of {}, found '{}'", kProcessorVariable, names, variable());
}

bool hostHasFeature(std::string_view name) {
  const ProcessorLevel *level = levelOf(variable());
  return (!level || allows(*level, name)) && processorHas(name);
}

std::vector<std::string_view> hostFeatures() {
  std::vector<std::string_view> names = {"sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"};
  const auto &best = x86Levels().front().features;
  names.insert(names.end(), best.begin(), best.end());
  names.insert(names.end(), {"avx512vbmi", "avx512vbmi2", "amx-bf16", "neon"});
  std::erase_if(names, [](std::string_view name) { return !hostHasFeature(name); });
  return names;
}

std::string_view hostLevel() {
  for (const ProcessorLevel &level : x86Levels())
    if (hostHasFeature("sse2") && std::all_of(level.features.begin(), level.features.end(), hostHasFeature))
      return level.name;
  return "";
}

} // namespace linnet
