// Which kernel variants a program may use on a device that it meets for the first time. Drivers say that they
// have a feature and then compute something else, fail to compile, or hang; so each shader that the device
// would take is tried once (trial.h), and put aside where its answer is wrong or there is none: the best ones
// first, and a dispatch's last choice where no better one is left. What was found is remembered for the
// device and driver (verdicts.h), so that the next start tries nothing.
//
// What is right is worked out by the host (host/host_answer.h). Of shaders that it does not understand, and
// all of Linnet's last choices are made of what it does, the device's own last choice is believed.
//
// All of this happens while a program is loaded. States hold nothing yet, so a device that is lost or hangs
// costs no more than to open it anew, and no trial comes between a person and the next token. The price is
// that variants are compiled that this run may not come to use.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/trial/lock.h"
#include "runtime/vulkan/trial/trial.h"
#include "runtime/vulkan/trial/verdicts.h"

#include <set>

namespace linnet::vulkan {

class LINNET_API Qualification {
public:
  /// The variable LINNET_VULKAN_TRIALS may say "off" (nothing is tried, nothing put aside), "all" (whatever
  /// time it takes), or how many seconds.
  Qualification(const Inventory &inventory, const Artifact &artifact, const fb::Program &program);

  /// Tries what nothing is known of. Unless the device is sound, it is to be called again with a new one,
  /// where it goes on; after the second it gives up and puts aside all that is left, but for last choices. An
  /// error where a choice that variants are compared with does not run.
  ///
  /// No more than a budget of time is spent, but for last choices; what is left is not used before a later
  /// start has tried it.
  Result<bool> run(Workbench &bench);
  /// Names of shaders that are not to be used: those that failed, and those that nothing is known of yet.
  PutAside aside() const;
  /// How often a variant has been run or compiled to see what it does.
  uint32_t trials() const { return tried; }

private:
  void readVariable();
  bool isKnown(const PipelineKey &key) const;
  PutAside failed() const;
  std::optional<Trial> trialOf(Workbench &bench, int entry, const fb::Command &command, uint32_t choice,
                               const PutAside &aside) const;
  enum class Which { better, last }; ///< choices of a dispatch
  std::vector<Trial> unknown(Workbench &bench, Which which) const;
  std::vector<Trial> next(Workbench &bench) const;
  bool isSuspect(const Trial &trial) const;
  void takeOver(const TrialMark &left);
  ptrdiff_t losses() const;
  void giveUp(Workbench &bench);
  Result<bool> tryAll(Workbench &bench, TrialLock *lock);
  std::vector<std::optional<Answer>> hostAnswers(Workbench &bench, std::vector<Trial> &trials);
  std::optional<Answer> hostAnswerOf(Workbench &bench, Trial &trial, const PutAside &aside) const;
  Result<std::vector<Answer>> answersOf(Workbench &bench, std::vector<Trial> &trials);
  Result<std::optional<Answer>> deviceAnswer(Workbench &bench, const Trial &trial);
  Result<bool> tryGroup(Workbench &bench, std::vector<Trial> trials, bool alone, TrialLock *lock);
  Result<bool> tryCandidate(Workbench &bench, const Trial &trial, const Answer &expected);
  void judge(const Trial &trial, const Answer &expected, const Answer &found);
  Result<Answer> timed(Workbench &bench, const Trial &trial, const PlannedDispatch &planned,
                       std::span<const uint32_t> args, uint32_t seconds_at_most);
  bool compiles(const Trial &trial, const PipelineFailures &failures);
  void conclude(std::span<const PipelineKey> keys, Verdict verdict, const std::string &detail = "");
  void skip(const Trial &trial);

  const Inventory &inventory;
  const fb::Program &program;
  bool off = false;
  std::string complaint;                   ///< of the variable
  std::map<PipelineKey, Variant> variants; ///< of the program
  std::set<uint32_t> last;                 ///< shaders of last choices: used untried, if need be
  Verdicts verdicts;
  Verdicts passing;            ///< what is not remembered: the device had no memory left
  std::set<uint64_t> skipped;  ///< nothing to compare with
  std::set<uint64_t> suspects; ///< a process died while it tried them together
  uint32_t patience;           ///< seconds that one run may take
  double budget, seconds = 0;  ///< for running, and spent so far
  uint32_t tried = 0;
};

} // namespace linnet::vulkan
