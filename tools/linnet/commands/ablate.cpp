// linnet ablate: the gain of each pass. Compiles the model without each pass and measures all variants in
// turns.
#include "arguments.h"
#include "compile_options.h"
#include "compiler.h"
#include "disturbed.h"
#include "measure/variants.h"
#include "model.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"
#include "support/scratch_directory.h"

#include <algorithm>
#include <memory>
#include <unistd.h>

namespace linnet::cli {
namespace ablate_command {

using measure::Ratio;
using measure::VariantFigures;

/// For at most so many parameters the interpreter needs seconds, and answers are compared with its.
constexpr uint64_t kSmallModel = 2'000'000;

struct Options {
  CompileOptions compile; ///< options of the full pipeline: model, level, the user's passes
  std::string target = "cpu", oracle = "auto";
  std::vector<std::string> passes;
  measure::VariantOptions measured;
  CLI::Option *of_prompt = nullptr, *of_generated = nullptr;
  bool json = false;
};

/// One row of the table. `pass` is empty for the full pipeline.
struct Row {
  std::string pass;
  CompileReport compiled;
  VariantFigures figures;
  std::string name() const { return pass.empty() ? "full pipeline" : "without " + pass; }
  uint64_t commands() const {
    for (const EntryReport &entry : compiled.programs.front().entries)
      if (entry.name == "generate") return entry.commands;
    return 0;
  }
};

Result<std::vector<std::string>> chosenPasses(const CompilerApi &api, const Options &options) {
  LINNET_ASSIGN(auto optional, api.optionalPasses(options.compile));
  if (options.passes.empty()) return optional;
  std::vector<std::string> chosen;
  for (const std::string &pass : options.passes) {
    if (std::find(optional.begin(), optional.end(), pass) == optional.end())
      return errorf("--pass {}: not a pass of target {} that may be left out; those are: {}", pass,
                    options.target, fmt::join(optional, ", "));
    if (std::find(chosen.begin(), chosen.end(), pass) == chosen.end()) chosen.push_back(pass);
  }
  return chosen;
}

class Ablation {
public:
  Ablation(const Options &asked, const CompilerApi &api, ScratchDirectory folder)
      : options(asked), api(api), folder(std::move(folder)) {}

  Result<void> run() {
    LINNET_ASSIGN(std::vector<std::string> passes, chosenPasses(api, options));
    LINNET_ASSIGN(checkpoint, api.inspectCheckpoint(options.compile.input));
    LINNET_TRY(choosePositions());
    passes.insert(passes.begin(), "");
    for (size_t i = 0; i < passes.size(); ++i) {
      Row row{passes[i], {}, {}};
      progress.show(row.name(), static_cast<double>(i) / static_cast<double>(passes.size()));
      LINNET_ASSIGN(row.compiled, compile(options.target, row.pass, fmt::format("{}.linnet", i)));
      rows.push_back(std::move(row));
    }
    LINNET_TRY(findExpected());
    warnOfDisk();
    std::vector<measure::Variant> variants;
    for (const Row &row : rows) variants.push_back({row.name(), row.compiled.output});
    measure::VariantOptions measured = options.measured;
    measured.progress = [&](const std::string &what, double fraction) { progress.show(what, fraction); };
    LINNET_ASSIGN(auto figures, measure::compareVariants(variants, measured));
    for (size_t i = 0; i < rows.size(); ++i) rows[i].figures = std::move(figures[i]);
    if (oracle == "full pipeline") expected = rows.front().figures.answer;
    progress.clear();
    if (options.json)
      printJson(toJson());
    else
      print();
    return {};
  }

private:
  Result<CompileReport> compile(const std::string &target, const std::string &without,
                                const std::string &name) {
    CompileOptions compile = options.compile;
    compile.output = folder.path() + "/" + name;
    compile.crash_file = "ablate.crash.mlir"; // outlives the folder
    compile.targets = {target};
    if (!without.empty()) compile.disabled_passes = {without};
    auto report = api.compile(compile);
    if (!report && !without.empty()) return errorf("without {}: {}", without, report.error().message);
    return report;
  }

  /// Chooses the sizes, before anything is compiled.
  Result<void> choosePositions() {
    ModelConfig config;
    config.n_positions = config.context = checkpoint.positions;
    config.max_batch = 1;
    measure::fitDefaults(config.context, options.measured.prompt, static_cast<bool>(*options.of_prompt),
                         options.measured.generated, static_cast<bool>(*options.of_generated));
    return measure::checkBounds(config,
                                {{options.measured.prompt, 0, 1}, {0, options.measured.generated, 1}});
  }

  /// Warns if memory cannot hold all weights: measuring in turns then reads them from disk each time.
  void warnOfDisk() const {
    uint64_t bytes = 0;
    for (const Row &row : rows) bytes += row.compiled.artifact_bytes;
    uint64_t memory =
        static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (bytes > memory / 10 * 8)
      note(fmt::format(
          "the {} artifacts are {}, the machine has {} of memory: this measures the disk; name fewer "
          "passes with --pass",
          rows.size(), bytesText(bytes), bytesText(memory)));
  }

  /// Computes the interpreter's answer for a small model, on the graph before the user's passes.
  Result<void> findExpected() {
    oracle = options.oracle;
    if (oracle == "auto") oracle = checkpoint.parameters <= kSmallModel ? "reference" : "full";
    if (oracle == "full") {
      oracle = "full pipeline";
      return {};
    }
    oracle = "interpreter";
    progress.show("asking the interpreter", 1);
    CompileOptions as_written;
    as_written.input = options.compile.input;
    as_written.output = folder.path() + "/reference.linnet";
    as_written.targets = {"reference"};
    as_written.opt_level = options.compile.opt_level;
    LINNET_ASSIGN(CompileReport report, api.compile(as_written));
    measure::VariantOptions ask = options.measured;
    ask.load.device = "reference";
    LINNET_ASSIGN(expected, measure::answerOf(report.output, ask));
    return {};
  }

  static Json ratioJson(const Ratio &ratio) {
    return {{"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}};
  }

  Json toJson() const {
    const VariantFigures &full = rows.front().figures;
    Json out = {{"model", options.compile.input},
                {"target", options.target},
                {"opt_level", options.compile.opt_level},
                {"first_passes", options.compile.first_passes},
                {"n_prompt", options.measured.prompt},
                {"n_gen", options.measured.generated},
                {"repetitions", options.measured.repetitions},
                {"oracle", oracle},
                {"rows", Json::array()}};
    for (const Row &row : rows) {
      const VariantFigures &f = row.figures;
      Json json = {{"without", nullptr},
                   {"prefill_ts", f.prefill},
                   {"decode_ts", f.decode},
                   {"prefill_ratio", ratioJson(measure::ratioOf(f.prefill, full.prefill))},
                   {"decode_ratio", ratioJson(measure::ratioOf(f.decode, full.decode))},
                   {"disturbed", isDisturbed(f)},
                   {"disturbed_share", f.most_disturbed},
                   {"peak_bytes", f.memory.total()},
                   {"arena_bytes", f.memory.arena},
                   {"commands", row.commands()},
                   {"artifact_bytes", row.compiled.artifact_bytes},
                   {"compile_seconds", row.compiled.seconds},
                   {"logit_error", measure::logitError(f.answer, expected)},
                   {"tokens", f.answer.tokens.size()},
                   {"tokens_differing", measure::tokensDiffering(f.answer, expected)}};
      if (!row.pass.empty()) json["without"] = row.pass;
      out["rows"].push_back(std::move(json));
    }
    return out;
  }

  /// Whether the variant's figures or those of the full pipeline were disturbed.
  bool isDisturbed(const VariantFigures &f) const {
    const VariantFigures &full = rows.front().figures;
    return std::max(f.most_disturbed, full.most_disturbed) > measure::kDisturbedShare ||
           measure::ratioOf(f.prefill, full.prefill).varies() ||
           measure::ratioOf(f.decode, full.decode).varies();
  }

  std::string ratioText(const VariantFigures &f, std::vector<double> VariantFigures::*rates) const {
    const VariantFigures &full = rows.front().figures;
    const Ratio r = measure::ratioOf(f.*rates, full.*rates);
    const bool marked =
        r.varies() || std::max(f.most_disturbed, full.most_disturbed) > measure::kDisturbedShare;
    return fmt::format("{}{:.3f} ({:.3f}-{:.3f})", marked ? kDisturbed : "", r.median, r.low, r.high);
  }

  void print() const {
    const VariantFigures &full = rows.front().figures;
    auto median = [](const std::vector<double> &rates) {
      return measure::ratioOf(rates, std::vector<double>(rates.size(), 1)).median;
    };
    put("{} for {} at -O{}: {:.1f} tokens/s for a prompt of {}, {:.1f} tokens/s for the next {} "
        "(medians of {} rounds)\n",
        options.compile.input, options.target, options.compile.opt_level, median(full.prefill),
        options.measured.prompt, median(full.decode), options.measured.generated,
        options.measured.repetitions);
    put("speed: beside the full pipeline's in the same round, median (least-largest); logits: beside those "
        "of "
        "the {}\n\n",
        oracle);
    Table table("lrrrrrrrrr", {"", "prefill", "decode", "peak memory", "activations", "commands", "artifact",
                               "compile", "logit error", "tokens differing"});
    for (const Row &row : rows) {
      const VariantFigures &f = row.figures;
      table.add(
          {row.name(), ratioText(f, &VariantFigures::prefill), ratioText(f, &VariantFigures::decode),
           bytesText(f.memory.total()), bytesText(f.memory.arena), std::to_string(row.commands()),
           bytesText(row.compiled.artifact_bytes), secondsText(row.compiled.seconds),
           fmt::format("{:.1e}", measure::logitError(f.answer, expected)),
           fmt::format("{} of {}", measure::tokensDiffering(f.answer, expected), f.answer.tokens.size())});
    }
    put(std::string_view(table.plain("  ")));
    double most = 0;
    bool any = false;
    for (const Row &row : rows)
      most = std::max(most, row.figures.most_disturbed), any |= isDisturbed(row.figures);
    if (any) putDisturbance(most);
  }

  Options options;
  const CompilerApi &api;
  ScratchDirectory folder;
  CheckpointSummary checkpoint;
  Progress progress;
  std::vector<Row> rows;
  std::string oracle; // "interpreter" or "full pipeline"
  measure::Answer expected;
};

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(FileKind kind, kindOf(options.compile.input));
  if (kind == FileKind::Artifact)
    return errorf("{}: is an artifact, its passes have run: expected a checkpoint", options.compile.input);
  if (kind == FileKind::Graph)
    return errorf("{}: is a graph; what is measured here is tokens: expected a checkpoint",
                  options.compile.input);
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet ablate"));
  LINNET_ASSIGN(ScratchDirectory folder, ScratchDirectory::create("linnet-ablate"));
  return Ablation(options, *api, std::move(folder)).run();
}

} // namespace ablate_command

void addAblate(CLI::App &app, Action &action) {
  using namespace ablate_command;
  auto options = std::make_shared<Options>();
  measure::VariantOptions &measured = options->measured;
  CLI::App *command = app.add_subcommand("ablate", "what each pass buys: the model without it, measured");
  command->group("Running");
  command->add_option("MODEL", options->compile.input, "checkpoint directory, FILE.gguf or FILE.safetensors")
      ->required()
      ->type_name("");
  command->add_option("--target", options->target, "cpu, cpu:native, vulkan, vulkan:native or reference")
      ->type_name("T")
      ->capture_default_str();
  options->of_prompt = command->add_option("-p,--n-prompt", measured.prompt, "tokens of the prompt")
                           ->check(CLI::Range(int64_t(1), int64_t(1) << 24).description(""))
                           ->type_name("N")
                           ->default_str("128, or what fits");
  options->of_generated = command->add_option("-n,--n-gen", measured.generated, "tokens to generate")
                              ->check(CLI::Range(int64_t(1), int64_t(1) << 24).description(""))
                              ->type_name("N")
                              ->default_str("32, or what fits");
  command->add_option("-r,--repetitions", measured.repetitions, "rounds, after one to warm up")
      ->check(CLI::Range(1, 1000).description(""))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--pass", options->passes, "leave out only this one; repeatable (default: each in turn)")
      ->allow_extra_args(false)
      ->type_name("NAME");
  addOneDnnOption(*command, options->compile.onednn);
  command->add_option("-O", options->compile.opt_level, "the pipeline that passes are left out of")
      ->check(CLI::Range(0, 2))
      ->type_name("0|1|2")
      ->capture_default_str();
  addOwnPassOptions(*command, options->compile);
  command
      ->add_option("--oracle", options->oracle,
                   "whose logits are right: reference (the interpreter), full (the full pipeline)")
      ->check(CLI::IsMember({"auto", "reference", "full"}).description(""))
      ->type_name("O")
      ->capture_default_str();
  command
      ->add_option("-t,--threads", measured.load.threads,
                   "threads (default: OMP_NUM_THREADS, or one per core)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet ablate model -p 8 -n 4 -r 2 --pass linnet-fuse-epilogue"));
  command->callback([options, &action] {
    if (options->target.find(',') != std::string::npos)
      usageError("--target: expected one target, found '" + options->target + "'");
    options->compile.targets = {options->target};
    checkOneDnnOption(options->compile.onednn, options->compile.targets, "--target");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
