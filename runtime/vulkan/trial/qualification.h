// Which kernel variants a program may use on a device. Drivers say that they have a feature and then compute
// something else, fail to compile, or hang. So each shader that the device would take is tried once
// (trial.h), and put aside if its answer is wrong or missing. Verdicts are remembered for the device and
// driver (verdicts.h): the next start tries nothing.
//
// Results are compared with the answers that the artifact holds (known.h). Without one, the device's own last
// choice is the reference, unless it differs from a known answer of its own.
//
// A state machine. It goes on in `better` after each group of trials, because a variant that fails makes the
// device take poorer choices, of which nothing may be known yet.
//
//   better   trials of choices but the last; when nothing is unknown or no time is left: last
//   last     trials of last choices that the device would take; a group of trials done: better; nothing
//   unknown: done reopen   a trial hung or the device was lost: the program must be loaded on a device opened
//   anew; then: better done     all that the device would take is known, or there was no time for it
//
// All of it happens while a program is loaded. States hold nothing yet, so a lost device costs no more than
// opening it anew, and no trial delays a token. Variants are compiled that this run may not use: that is the
// price.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/trial/known.h"
#include "runtime/vulkan/trial/variants.h"

#include <optional>

namespace linnet::vulkan {

class LINNET_API Qualification {
public:
  /// The variable LINNET_VULKAN_TRIALS may be "off" (nothing is tried, nothing put aside), "all" (no limit of
  /// time), or a number of seconds.
  Qualification(const Inventory &inventory, const Artifact &artifact, const fb::Program &program);

  /// Tries what nothing is known of, on a program that was just loaded. False: it must be loaded again on a
  /// device opened anew, and run() called with that. An error if too many variants hang or crash, or if a
  /// choice that others are compared with does not run.
  ///
  /// Running takes no more than a budget of time, last choices excepted. A later start tries the rest.
  Result<bool> run(Workbench workbench);
  /// Names of shaders that are not to be used: those that failed, and those that nothing is known of yet.
  PutAside aside() const { return off ? PutAside() : variants.notUsable(); }
  /// How often a variant has been run or compiled to see what it does.
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
  Result<bool> isRight(const std::vector<PipelineKey> &keys);
  bool compiles(const Trial &trial, const PipelineFailures &failures);
  Result<State> tryCandidate(const Trial &trial, const Answer &expected);
  void judge(const Trial &trial, const Answer &expected, const Answer &found);
  Result<Answer> timed(const Trial &trial, const PlannedDispatch &planned, std::span<const uint32_t> args,
                       uint32_t seconds_at_most);

  const Inventory &inventory;
  const fb::Program &program;
  bool off = false;
  std::string complaint; ///< about the variable
  KnownVariants variants;
  KnownAnswers answers;
  std::optional<Workbench> bench; ///< while run() is under way
  std::optional<TrialLock> lock;  ///< none: verdicts are not remembered
  uint32_t patience;              ///< seconds that one run may take
  double budget, seconds = 0;     ///< for running, and spent so far
  uint32_t tried = 0;
};

} // namespace linnet::vulkan
