#include "training/run_directory.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

namespace linnet::training {
namespace {

constexpr const char *kConfig = "config.json", *kLog = "log.jsonl", *kCheckpoint = "checkpoint.safetensors",
                     *kBest = "best.safetensors", *kCurves = "curves.svg";

/// Parses every complete line of `text`. Damaged lines, such as the last one of a killed run, are skipped.
std::vector<Json> linesOf(const std::string &text) {
  std::vector<Json> lines;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
    if (auto json = parseJson(std::string_view(text).substr(begin, end - begin), "log");
        json && json->is_object())
      lines.push_back(std::move(*json));
  return lines;
}

int64_t stepOf(const Json &line) {
  auto found = line.find("step");
  return found != line.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

Result<void> writeStates(const std::string &path, TrainingProgram &program, std::string_view prefix,
                         const std::map<std::string, std::string> &metadata) {
  std::vector<TensorToWrite> tensors;
  for (const StateInfo &state : program.states()) {
    if (!state.name.starts_with(prefix)) continue;
    auto write = [&program, name = state.name](
                     const std::function<Result<void>(std::span<const std::byte>)> &sink) -> Result<void> {
      LINNET_ASSIGN(std::vector<float> values, program.read(name));
      auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
      if (bad != values.end())
        return errorf("expected finite numbers to write, found {}[{}] = {}", name, bad - values.begin(),
                      *bad);
      return sink(std::as_bytes(std::span<const float>(values)));
    };
    tensors.push_back({state.name, StorageType::f32, state.shape, write});
  }
  return writeSafetensors(path, tensors, metadata);
}

Result<SafetensorsFile> readStates(const std::string &path, TrainingProgram &program,
                                   std::string_view prefix) {
  LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(path));
  for (const StateInfo &state : program.states()) {
    if (!state.name.starts_with(prefix)) continue;
    const TensorView *tensor = file.find(state.name);
    if (!tensor) return errorf("{}: \"{}\" {} is missing", path, state.name, shapeText(state.shape));
    if (tensor->shape != state.shape || tensor->type != StorageType::f32)
      return errorf("{}: \"{}\" is {} of {}, this run has {} of F32", path, state.name,
                    shapeText(tensor->shape), storageTypeName(tensor->type), shapeText(state.shape));
    std::vector<float> values(tensor->elements());
    LINNET_TRY(readF32(*tensor, 0, values));
    LINNET_TRY(program.write(state.name, values));
  }
  return file;
}

} // namespace

Json RunState::toJson() const {
  Json json = {{"step", step},        {"epoch", position.epoch}, {"batch", position.batch},
               {"worse", worse},      {"best_step", best_step},  {"evaluated", evaluated},
               {"finished", finished}};
  if (best_step >= 0) json["best_loss"] = best_loss; // printed with enough digits to read the same double
  return json;
}

Result<RunState> RunState::parse(const Json &json, const std::string &where) {
  RunState state;
  auto integer = [&](const char *key) {
    auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? found->get<int64_t>()
                                                             : std::numeric_limits<int64_t>::min();
  };
  state.step = integer("step");
  state.position = {static_cast<uint32_t>(integer("epoch")), integer("batch")};
  state.worse = integer("worse");
  state.best_step = integer("best_step");
  state.evaluated = integer("evaluated");
  state.finished = json.value("finished", false);
  if (state.step < 0 || integer("epoch") < 0 || state.position.batch < 0 || state.worse < 0 ||
      state.best_step < -1 || state.evaluated < -1 || state.evaluated > state.step)
    return errorf("{}: the run's state is damaged: {}", where, json.dump().substr(0, 120));
  auto best = json.find("best_loss");
  if (state.best_step >= 0 && (best == json.end() || !best->is_number()))
    return errorf("{}: the run's state has no best_loss", where);
  if (state.best_step >= 0) state.best_loss = best->get<double>();
  return state;
}

Result<RunDirectory> RunDirectory::create(const std::string &directory, const Json &config) {
  if (fileExists(directory + "/" + kConfig))
    return errorf("{}: a run was begun here before; --resume goes on with it, another -o begins anew",
                  directory);
  const std::filesystem::path place(directory), parent = place.parent_path();
  MadeDirectories parents;
  if (!parent.empty()) LINNET_TRY(parents.make(parent));
  removeAbandoned(parent, place.filename().string() + ".tmp-");
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    RunDirectory run(temporaryName(directory));
    std::error_code failed;
    std::filesystem::create_directory(run.directory, failed);
    if (failed) return errorf("{}: cannot create: {}", directory, failed.message());
    run.final_path = directory;
    if (!run.lock.acquire(run.directory)) continue; // another process removed it as abandoned
    LINNET_TRY(writeTextFile(run.file(kConfig), config.dump(2) + "\n"));
    LINNET_TRY(run.openLog(-1));
    run.parents = std::move(parents);
    return run;
  }
  return errorf("{}: another process keeps removing it", directory);
}

RunDirectory::RunDirectory(RunDirectory &&other) noexcept
    : parents(std::move(other.parents)), directory(std::move(other.directory)),
      final_path(std::exchange(other.final_path, "")), lock(std::move(other.lock)),
      out(std::move(other.out)) {}

RunDirectory::~RunDirectory() {
  out.close();
  std::error_code ignored;
  if (!final_path.empty()) std::filesystem::remove_all(directory, ignored);
}

Result<void> RunDirectory::begin() {
  if (final_path.empty()) return {};
  std::error_code failed;
  std::filesystem::rename(directory, final_path, failed); // replaces an empty directory
  if (failed) return errorf("{}: cannot rename into place: {}", final_path, failed.message());
  directory = std::exchange(final_path, "");
  lock.release();
  return {};
}

Result<RunDirectory> RunDirectory::open(const std::string &directory, const Json &config) {
  RunDirectory run(directory);
  if (!fileExists(run.file(kConfig))) return errorf("{}: no run to resume here", directory);
  LINNET_ASSIGN(Json before, readJsonFile(run.file(kConfig)));
  for (auto &[key, value] : config.items()) {
    auto found = before.is_object() ? before.find(key) : before.end();
    if (found == before.end() || *found != value)
      return errorf("{}: the run to resume has {} = {}, this command {}", run.file(kConfig), key,
                    found == before.end() ? "nothing" : found->dump().substr(0, 60),
                    value.dump().substr(0, 60));
  }
  for (const std::string &written : {directory, run.file("start")}) removeAbandoned(written);
  if (!run.hasCheckpoint()) LINNET_TRY(run.openLog(-1));
  return run;
}

bool RunDirectory::hasCheckpoint() const { return fileExists(file(kCheckpoint)); }

/// Opens the log and keeps only lines up to `last_step`.
Result<void> RunDirectory::openLog(int64_t last_step) {
  std::string kept;
  if (fileExists(file(kLog)) && last_step >= 0) {
    LINNET_ASSIGN(std::string text, readTextFile(file(kLog)));
    for (const Json &line : linesOf(text))
      if (stepOf(line) <= last_step) kept += line.dump() + "\n";
  }
  LINNET_TRY(writeTextFile(file(kLog), kept));
  out.open(file(kLog), std::ios::app);
  if (!out) return errorf("{}: cannot open: {}", file(kLog), std::strerror(errno));
  return {};
}

Result<void> RunDirectory::log(const Json &line) {
  out << line.dump() << '\n' << std::flush;
  if (!out) return errorf("{}: cannot write: {}", file(kLog), std::strerror(errno));
  return {};
}

Result<void> RunDirectory::writeCheckpoint(TrainingProgram &program, const RunState &state) {
  return writeStates(file(kCheckpoint), program, "", {{"run", state.toJson().dump()}});
}

Result<void> RunDirectory::writeBest(TrainingProgram &program) {
  return writeStates(file(kBest), program, "param.", {});
}

Result<RunState> RunDirectory::readCheckpoint(TrainingProgram &program) {
  LINNET_ASSIGN(SafetensorsFile stored, readStates(file(kCheckpoint), program, ""));
  auto found = stored.metadata().find("run");
  if (found == stored.metadata().end()) return errorf("{}: its metadata has no \"run\"", file(kCheckpoint));
  LINNET_ASSIGN(Json json, parseJson(found->second, file(kCheckpoint)));
  LINNET_ASSIGN(RunState state, RunState::parse(json, file(kCheckpoint)));
  LINNET_TRY(openLog(state.step));
  return state;
}

Result<void> RunDirectory::readBest(TrainingProgram &program) {
  auto read = readStates(file(kBest), program, "param.");
  return read ? Result<void>() : read.error();
}

Curves curvesOf(const std::string &log_text) {
  Curves curves;
  for (const Json &line : linesOf(log_text)) {
    auto add = [&](const char *key, std::vector<CurvePoint> &points) {
      auto found = line.find(key);
      if (found != line.end() && found->is_number()) points.push_back({stepOf(line), found->get<double>()});
    };
    add("loss", curves.loss);
    add("held_out_loss", curves.held_out);
    add("lr", curves.learning_rate);
    add("held_out_accuracy", curves.accuracy);
    add("held_out_perplexity", curves.perplexity);
  }
  return curves;
}

Result<void> RunDirectory::writeCurves(const std::string &title) const {
  LINNET_ASSIGN(std::string text, readTextFile(file(kLog)));
  Curves curves = curvesOf(text);
  curves.title = title;
  return writeTextFile(file(kCurves), curvesSvg(curves));
}

} // namespace linnet::training
