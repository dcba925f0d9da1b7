#include "backends/cpu/isa.h"

#include "support/error.h"

#include <llvm/ADT/StringMap.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

namespace linnet::cpu {
namespace {

std::vector<Isa> x86Levels() {
  const std::string triple = "x86_64-unknown-linux-gnu";
  const std::vector<std::string> v3 = {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"};
  std::vector<std::string> v4 = v3;
  v4.insert(v4.end(), {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  std::vector<std::string> dot = v4;
  dot.insert(dot.end(), {"avx512vnni", "avx512bf16"});
  return {
      {"x86-64-v4-dot", dot, triple, "x86-64-v4", "", 16, 32, true, true, true, true,
       "+avx512vnni,+avx512bf16"},
      {"x86-64-v4", v4, triple, "x86-64-v4", "", 16, 32, true, true},
      {"x86-64-v3", v3, triple, "x86-64-v3", "", 8, 16, true, true},
      {"x86-64", {}, triple, "x86-64", "", 4, 16, false, false},
  };
}

std::vector<Isa> armLevels() {
  return {{"armv8-a", {"neon"}, "aarch64-unknown-linux-gnu", "generic", "", 4, 32, true, true}};
}

std::vector<Isa> levelsOfHost() {
  const llvm::Triple triple(llvm::sys::getProcessTriple());
  if (triple.getArch() == llvm::Triple::x86_64) return x86Levels();
  if (triple.getArch() == llvm::Triple::aarch64) return armLevels();
  return {};
}

std::string namesOf(const std::vector<Isa> &levels) {
  std::string names;
  for (const Isa &isa : levels) names += (names.empty() ? "" : ", ") + isa.name;
  return names;
}

} // namespace

bool Isa::onlyExtends(const Isa &poorer) const {
  Isa without = *this;
  without.name = poorer.name, without.features = poorer.features;
  without.extensions = poorer.extensions, without.bf16 = poorer.bf16, without.vnni = poorer.vnni;
  return !(*this == poorer) && without == poorer;
}

bool hostRuns(const Isa &isa) {
  const llvm::Triple host(llvm::sys::getProcessTriple());
  if (llvm::Triple(isa.triple).getArch() != host.getArch()) return false;
  const llvm::StringMap<bool> have = llvm::sys::getHostCPUFeatures();
  for (const std::string &feature : isa.features)
    if (auto found = have.find(feature); found == have.end() || !found->second) return false;
  return true;
}

Result<std::vector<Isa>> selectIsas(std::string_view spec) {
  const std::vector<Isa> levels = levelsOfHost();
  if (levels.empty())
    return errorf("target cpu: no code generator for the architecture of {}", llvm::sys::getProcessTriple());
  if (spec.empty()) return levels;
  if (spec == "native") {
    for (Isa isa : levels) {
      if (!hostRuns(isa)) continue;
      isa.tune = llvm::sys::getHostCPUName().str();
      return std::vector<Isa>{isa};
    }
    return errorf("target cpu: this processor runs none of {}", namesOf(levels));
  }
  std::vector<Isa> chosen;
  while (!spec.empty()) {
    const std::string_view name = spec.substr(0, spec.find(','));
    spec.remove_prefix(std::min(spec.size(), name.size() + 1));
    bool known = false;
    for (const Isa &isa : levels)
      if (isa.name == name) chosen.push_back(isa), known = true;
    if (!known) return errorf("target cpu: expected native or some of {}, found '{}'", namesOf(levels), name);
  }
  return chosen;
}

} // namespace linnet::cpu
