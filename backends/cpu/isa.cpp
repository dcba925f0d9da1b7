#include "backends/cpu/isa.h"

#include "support/error.h"
#include "support/processor.h"

#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>

namespace linnet::cpu {
namespace {

std::vector<Isa> isasOfX86() {
  const std::string triple = "x86_64-unknown-linux-gnu";
  std::vector<Isa> isas = {
      {.name = "x86-64-v4-dot",
       .cpu = "x86-64-v4",
       .lanes = 16,
       .registers = 32,
       .fma = true,
       .f16 = true,
       .bf16 = true,
       .vnni = true,
       .extensions = "+avx512vnni,+avx512bf16"},
      {.name = "x86-64-v4", .cpu = "x86-64-v4", .lanes = 16, .registers = 32, .fma = true, .f16 = true},
      {.name = "x86-64-v3", .cpu = "x86-64-v3", .lanes = 8, .registers = 16, .fma = true, .f16 = true},
      {.name = "x86-64", .cpu = "x86-64", .lanes = 4, .registers = 16},
  };
  for (Isa &isa : isas) {
    isa.triple = triple;
    for (const ProcessorLevel &level : x86Levels())
      if (level.name == isa.name) isa.features.assign(level.features.begin(), level.features.end());
  }
  return isas;
}

std::vector<Isa> armLevels() {
  return {{.name = "armv8-a",
           .features = {"neon"},
           .triple = "aarch64-unknown-linux-gnu",
           .cpu = "generic",
           .lanes = 4,
           .registers = 32,
           .fma = true,
           .f16 = true}};
}

std::vector<Isa> levelsOfHost() {
  const llvm::Triple triple(llvm::sys::getProcessTriple());
  if (triple.getArch() == llvm::Triple::x86_64) return isasOfX86();
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
  return std::all_of(isa.features.begin(), isa.features.end(), hostHasFeature);
}

Result<std::vector<Isa>> selectIsas(std::string_view spec) {
  const std::vector<Isa> levels = levelsOfHost();
  if (levels.empty())
    return errorf("target cpu: no code generator for the architecture of {}", llvm::sys::getProcessTriple());
  if (spec.empty()) return levels;
  if (spec == "native") {
    LINNET_TRY(checkProcessorVariable());
    for (Isa isa : levels) {
      if (!hostRuns(isa)) continue;
      if (processorLimit().empty()) isa.tune = llvm::sys::getHostCPUName().str();
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
