// The verdicts about a program's kernel variants on one device: stored ones and those of this start.
#pragma once
#include "runtime/artifact/artifact.h"
#include "runtime/vulkan/trial/lock.h"
#include "runtime/vulkan/trial/trial.h"
#include "runtime/vulkan/trial/verdicts.h"

#include <map>
#include <set>
#include <span>
#include <string>

namespace linnet::vulkan {

class KnownVariants {
public:
  KnownVariants(const Inventory &inventory, const Artifact &artifact, const fb::Program &program);

  /// Adds the verdicts that other processes have saved, and the variants that a dead process was trying.
  void takeOver(const TrialMark &left);
  Result<void> save() const { return verdicts.save(inventory); }

  const Variant &operator[](uint32_t shader) const { return variants.at(shader); }
  bool isKnown(uint32_t shader) const;
  bool hasFailed(uint32_t shader) const;
  /// Whether a shader belongs to the last choice of a dispatch, which may be used untried.
  bool isLast(uint32_t shader) const { return last.count(shader); }
  /// Whether a process died while it tried several variants, including one of this trial.
  bool isSuspect(const Trial &trial) const;
  /// The untried ones of `shaders`.
  std::vector<uint32_t> unknown(const std::vector<uint32_t> &shaders) const;
  /// Names of shaders that failed, with the reasons.
  PutAside failed() const;
  /// The same, and the untried ones except last choices.
  PutAside notUsable() const;
  /// The number of variants that hang, lose the device or crash.
  ptrdiff_t losses() const;

  void conclude(std::span<const uint32_t> shaders, Verdict verdict, const std::string &detail = "");
  /// Rejects a variant for this start only, because the driver had too little memory.
  void refuseForNow(uint32_t shader, const std::string &detail);
  /// Allows the trial's variants, because there is no reference to compare with.
  void skip(const Trial &trial);

private:
  const Inventory &inventory;
  std::map<uint32_t, Variant> variants; ///< all variants of the program
  std::set<uint32_t> last;              ///< shaders of last choices
  Verdicts verdicts;                    ///< verdicts that are stored
  Verdicts passing;                     ///< verdicts for this start only
  std::set<uint64_t> skipped, suspects;
};

} // namespace linnet::vulkan
