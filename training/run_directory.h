// The files of a run, for users and for resuming:
//
//   run/config.json             the settings
//   run/split.json              the held-out data
//   run/log.jsonl               a line for each step and each evaluation
//   run/curves.svg              the log as a picture
//   run/checkpoint.safetensors  parameters, moments and the position in the data: the state of the run
//   run/best.safetensors        the parameters with the lowest held-out loss
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"
#include "support/unfinished.h"
#include "training/batch.h"
#include "training/curves.h"
#include "training/program.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace linnet::training {

/// The progress of a run, without the program's states. Random numbers depend only on the seed and the
/// position, so no generator state is stored.
struct RunState {
  int64_t step = 0; ///< updates done
  Position position;
  double best_loss = 0; ///< lowest held-out loss so far
  int64_t best_step = -1;
  int64_t worse = 0;      ///< evaluations since then
  int64_t evaluated = -1; ///< the step of the latest evaluation
  bool finished = false;

  Json toJson() const;
  static Result<RunState> parse(const Json &json, const std::string &where);
};

class RunDirectory {
public:
  /// Prepares a run in `directory` under a temporary name next to it. An earlier run there is an error that
  /// names --resume. Removes temporary files of killed processes.
  static Result<RunDirectory> create(const std::string &directory, const Json &config);
  /// Opens an earlier run. `config` must be equal to its config: the error names the first setting that
  /// differs.
  static Result<RunDirectory> open(const std::string &directory, const Json &config);
  RunDirectory(RunDirectory &&other) noexcept;
  RunDirectory &operator=(RunDirectory &&) = delete;
  ~RunDirectory(); ///< removes the directory if the run has not begun

  /// Renames the directory to its final name, because the run can begin. Does nothing for an earlier run.
  Result<void> begin();

  const std::string &path() const { return directory; }
  std::string file(const std::string &name) const { return directory + "/" + name; }
  bool hasCheckpoint() const;

  /// Appends a line to the log. It must have a "step".
  Result<void> log(const Json &line);
  /// Writes checkpoint.safetensors atomically.
  Result<void> writeCheckpoint(TrainingProgram &program, const RunState &state);
  /// Writes best.safetensors atomically.
  Result<void> writeBest(TrainingProgram &program);
  /// Restores the program's states, and removes later lines from the log.
  Result<RunState> readCheckpoint(TrainingProgram &program);
  /// Sets the program's parameters to those of best.safetensors.
  Result<void> readBest(TrainingProgram &program);
  /// Writes curves.svg from the log.
  Result<void> writeCurves(const std::string &title) const;

private:
  explicit RunDirectory(std::string path) : directory(std::move(path)) {}
  Result<void> openLog(int64_t last_step);
  MadeDirectories parents;
  std::string directory;
  std::string final_path; ///< empty after the run has begun
  TemporaryLock lock;
  std::ofstream out;
};

/// Losses and learning rates in the lines of a log.
Curves curvesOf(const std::string &log_text);

} // namespace linnet::training
