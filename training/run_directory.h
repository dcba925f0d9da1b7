// What a run leaves on disk, so that it can be looked at, and taken up again:
//
//   run/config.json             what was asked for
//   run/split.json              what was held out of the data
//   run/log.jsonl               a line for each step and each evaluation
//   run/curves.svg              the same as a picture
//   run/checkpoint.safetensors  parameters, moments, and the place in the data: all that the next step
//   depends on run/best.safetensors        the parameters with the least held-out loss
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

/// Where a run is, beside the program's states. Random numbers are drawn by their place, so that there is no
/// generator to keep.
struct RunState {
  int64_t step = 0; ///< updates done
  Position position;
  double best_loss = 0; ///< least held-out loss so far
  int64_t best_step = -1;
  int64_t worse = 0;      ///< evaluations since then
  int64_t evaluated = -1; ///< the step of the latest evaluation
  bool finished = false;

  Json toJson() const;
  static Result<RunState> parse(const Json &json, const std::string &where);
};

class RunDirectory {
public:
  /// Prepares a run in `directory`, under a temporary name beside it. An earlier run there is an error that
  /// names --resume. Removes what killed processes left there.
  static Result<RunDirectory> create(const std::string &directory, const Json &config);
  /// An earlier run; `config` must be its own: the first setting that differs is named.
  static Result<RunDirectory> open(const std::string &directory, const Json &config);
  RunDirectory(RunDirectory &&other) noexcept;
  RunDirectory &operator=(RunDirectory &&) = delete;
  ~RunDirectory(); ///< A run that has not begun leaves nothing.

  /// The run can begin: its directory gets its name. Does nothing for an earlier run.
  Result<void> begin();

  const std::string &path() const { return directory; }
  std::string file(const std::string &name) const { return directory + "/" + name; }
  bool hasCheckpoint() const;

  /// Appends a line; it has a "step".
  Result<void> log(const Json &line);
  /// Both files are written beside their place and renamed.
  Result<void> writeCheckpoint(TrainingProgram &program, const RunState &state);
  Result<void> writeBest(TrainingProgram &program);
  /// Gives the program its states back and drops lines of the log that are later.
  Result<RunState> readCheckpoint(TrainingProgram &program);
  /// The parameters of best.safetensors.
  Result<void> readBest(TrainingProgram &program);
  /// curves.svg from the log.
  Result<void> writeCurves(const std::string &title) const;

private:
  explicit RunDirectory(std::string path) : directory(std::move(path)) {}
  Result<void> openLog(int64_t last_step);
  MadeDirectories parents;
  std::string directory;
  std::string final_path; ///< empty: the run has begun
  TemporaryLock lock;
  std::ofstream out;
};

/// Losses and learning rates in the lines of a log.
Curves curvesOf(const std::string &log_text);

} // namespace linnet::training
