// What is known of a program's kernel variants on one device: verdicts that were remembered, and what this
// start has found out.
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

  /// Adds verdicts that other processes have saved, and what a process that died was trying.
  void takeOver(const TrialMark &left);
  Result<void> save() const { return verdicts.save(inventory); }

  const Variant &operator[](const PipelineKey &key) const { return variants.at(key); }
  bool isKnown(const PipelineKey &key) const;
  bool hasFailed(const PipelineKey &key) const;
  /// Whether a shader is some dispatch's last choice: it is used untried, if need be.
  bool isLast(const PipelineKey &key) const { return last.count(key.shader); }
  /// Whether a process died while it tried several variants, this trial's among them.
  bool isSuspect(const Trial &trial) const;
  /// Those of a choice that nothing is known of.
  std::vector<PipelineKey> unknown(const std::vector<PipelineKey> &keys) const;
  /// Names of shaders that failed, and why.
  PutAside failed() const;
  /// The same, and those that nothing is known of, last choices excepted.
  PutAside notUsable() const;
  /// How many hang, lose the device or crash.
  ptrdiff_t losses() const;

  void conclude(std::span<const PipelineKey> keys, Verdict verdict, const std::string &detail = "");
  /// The driver refused it for lack of memory: that holds for this start alone.
  void refuseForNow(const PipelineKey &key, const std::string &detail);
  /// There is nothing to compare with: it may be used.
  void skip(const Trial &trial);

private:
  const Inventory &inventory;
  std::map<PipelineKey, Variant> variants; ///< of the program
  std::set<uint32_t> last;                 ///< shaders of last choices
  Verdicts verdicts;                       ///< remembered
  Verdicts passing;                        ///< of this start alone
  std::set<uint64_t> skipped, suspects;
};

} // namespace linnet::vulkan
