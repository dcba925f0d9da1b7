// Decides which kernel variants a program may use on a device. A driver may report a feature and then compute wrong
// results, fail to compile, or hang. So each shader that the device would use is tried once (trial.h), and rejected if
// its answer is wrong or missing. Verdicts are stored for the device and driver (verdicts.h), so the next start tries
// nothing.
//
// Results are compared with the answers in the artifact (known.h). If there is none, the device's last choice is the
// reference, unless that differs from its own known answer.
//
// The class is a state machine. It returns to `better` after each group of trials, because after a rejection the device
// uses later choices, which may be untried.
//
//   better   tries choices except the last one of each dispatch; nothing is untried, or no time is left: last
//   last     tries last choices that the device would use; after a group of trials: better; nothing is untried: done
//   reopen   a trial hung or the device was lost; the caller loads the program on a newly opened device: better
//   done     the device's variants are known, or there was no time for them
//
// Trials run while a program is loaded. Its states are still empty, so after a lost device it is enough to open the
// device again, and no trial delays a token. The cost is that some compiled variants may not be used in this run.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/trial/known.h"
#include "runtime/vulkan/trial/variants.h"

#include <optional>

namespace linnet::vulkan {

class LINNET_API Qualification {
public:
  /// The variable LINNET_VULKAN_TRIALS may be "off" (nothing is tried or rejected), "all" (no time limit), or
  /// a number of seconds.
  Qualification(const Inventory &inventory, const Artifact &artifact, const fb::Program &program);

  /// Tries the untried variants on a program that was just loaded. If it returns false, the caller must load
  /// the program again on a newly opened device and call run() with that. An error if too many variants hang
  /// or crash, or if a reference choice does not run.
  ///
  /// The run time of trials is limited by a budget, except for last choices. A later start tries the rest.
  Result<bool> run(Workbench workbench);
  /// Names of shaders that must not be used: those that failed and those that are untried.
  PutAside aside() const { return off ? PutAside() : variants.notUsable(); }
  /// The number of runs and compilations of variants so far.
  uint32_t trials() const { return tried; }

private:
  enum class State : uint8_t { better, last, reopen, done };
  void readVariable();
  bool hasTime() const { return seconds < budget; }
  // The machine. A state's action returns the next state.
  Result<State> advance(State state);
  std::vector<Trial> unknown(State which) const;
  Result<State> tryGroup(std::vector<Trial> trials);
  void giveUp();
  // One group of trials.
  Result<std::vector<Answer>> answersOf(std::vector<Trial> &trials);
  Result<std::optional<Answer>> deviceAnswer(const Trial &trial);
  Result<bool> isRight(const std::vector<uint32_t> &shaders);
  bool compiles(const Trial &trial, const PipelineFailures &failures);
  Result<State> tryCandidate(const Trial &trial, const Answer &expected);
  void judge(const Trial &trial, const Answer &expected, const Answer &found);
  Result<Answer> timed(const Trial &trial, const PlannedDispatch &planned, std::span<const uint32_t> args,
                       uint32_t seconds_at_most);

  const Inventory &inventory;
  const fb::Program &program;
  bool off = false;
  std::string complaint; ///< error about the variable
  KnownVariants variants;
  KnownAnswers answers;
  std::optional<Workbench> bench; ///< set only during run()
  std::optional<TrialLock> lock;  ///< without it, verdicts are not stored
  uint32_t patience;              ///< seconds for one run of a trial
  double budget, seconds = 0;     ///< run time in seconds: the allowed time, and the time spent so far
  uint32_t tried = 0;
};

} // namespace linnet::vulkan
