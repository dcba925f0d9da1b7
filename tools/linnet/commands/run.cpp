// linnet run: continues a prompt, streaming; or runs any other graph once.
#include "commands/run.h"
#include "arguments.h"
#include "linnet/linnet.h"
#include "model.h"
#include "output.h"
#include "runtime/artifact.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"
#include "trace_option.h"

#include <chrono>
#include <memory>

namespace linnet::cli {
namespace {

struct Options {
  std::string file;
  PromptOption prompt;
  GenerateOptions generate;
  DeviceOption device;
  GraphOptions graph;
  TraceOption trace;
  bool stats = false, json = false;
};

double rate(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

Json timingsJson(const Timings &timings, double load_seconds) {
  return {{"load_seconds", load_seconds},
          {"prompt_tokens", timings.prompt_tokens},
          {"prompt_seconds", timings.prompt_seconds},
          {"prompt_tokens_per_second", rate(timings.prompt_tokens, timings.prompt_seconds)},
          {"generated_tokens", timings.generated_tokens},
          {"generate_seconds", timings.generate_seconds},
          {"generated_tokens_per_second", rate(timings.generated_tokens - 1, timings.generate_seconds)}};
}

Json memoryJson(const MemoryUse &memory) {
  return {{"weights", memory.weights}, {"states", memory.states},   {"arena", memory.arena},
          {"io", memory.io},           {"scratch", memory.scratch}, {"total", memory.total()}};
}

Json resultJson(const OpenModel &open, const GenerateResult &result) {
  std::vector<TokenId> ids = result.prompt;
  ids.insert(ids.end(), result.ids.begin(), result.ids.end());
  Json out = {{"ids", ids}};
  if (open.model.tokenizer())
    out["text"] = result.text;
  else
    out["text"] = nullptr;
  out["finish_reason"] = finishReasonName(result.finish_reason);
  out["timings"] = timingsJson(result.timings, open.load_seconds);
  out["memory_bytes"] = memoryJson(open.session.memory());
  out["device"] = open.model.device();
  return out;
}

void printStats(const OpenModel &open, const GenerateResult &result) {
  const Timings &t = result.timings;
  MemoryUse memory = open.session.memory();
  note(fmt::format("load: {} on {}", secondsText(open.load_seconds), open.model.device()));
  note(fmt::format("prompt: {} tokens in {} ({:.1f} tokens/s)", t.prompt_tokens,
                   secondsText(t.prompt_seconds), rate(t.prompt_tokens, t.prompt_seconds)));
  note(fmt::format("generation: {} tokens, {} after the first ({:.1f} tokens/s), ended by {}",
                   t.generated_tokens, secondsText(t.generate_seconds),
                   rate(t.generated_tokens - 1, t.generate_seconds), finishReasonName(result.finish_reason)));
  note(fmt::format("memory: weights {}, cache {}, activations {}, I/O {}, scratch {}; {} in all",
                   bytesText(memory.weights), bytesText(memory.states), bytesText(memory.arena),
                   bytesText(memory.io), bytesText(memory.scratch), bytesText(memory.total())));
}

/// Writes what generation finds as it finds it: text, or ids where there is no tokenizer.
class Stream {
public:
  explicit Stream(bool text) : text(text) {}
  bool operator()(TokenId id, std::string_view piece) {
    if (text)
      put(piece);
    else if (id >= 0)
      put("{}{}", count++ ? "," : "", id);
    return flush();
  }

private:
  bool text;
  int64_t count = 0;
};

Result<void> generate(const Options &options) {
  options.prompt.require();
  LINNET_TRY(options.trace.check());
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet run"));
  LINNET_ASSIGN(std::vector<TokenId> ids, promptIds(open.model, options.prompt));
  CancelOnSignal cancel(open.session);
  Stream stream(open.model.tokenizer().has_value());
  TokenCallback callback;
  if (!options.json) callback = std::ref(stream);
  auto profiler = options.trace.profiler();
  open.session.setProfiler(profiler);
  LINNET_ASSIGN(GenerateResult result, open.session.generate(ids, options.generate, callback));
  if (options.json)
    printJson(resultJson(open, result));
  else
    put("\n");
  flush();
  if (options.stats) printStats(open, result);
  return options.trace.write(profiler, options.file, options.device.threads);
}

/// True for an artifact or an .mlir that is no language model.
Result<bool> isPlainGraph(const std::string &path) {
  LINNET_ASSIGN(FileKind kind, kindOf(path));
  if (kind != FileKind::Artifact) return kind == FileKind::Graph;
  LINNET_ASSIGN(Artifact artifact, Artifact::open(path));
  return artifact.metadata().kind()->size() == 0;
}

Result<void> execute(const Options &options) {
  bool graph = options.graph.asked();
  if (!graph && !options.prompt.given()) {
    LINNET_ASSIGN(graph, isPlainGraph(options.file));
  }
  if (!graph) return generate(options);
  return runGraph(options.file, options.device, options.graph, options.trace, options.json);
}

void addGeneration(CLI::App &command, GenerateOptions &generate) {
  command.add_option("-n,--max-new-tokens", generate.max_new_tokens, "most tokens to generate")
      ->check(CLI::Range(int64_t(0), int64_t(1) << 30))
      ->type_name("N")
      ->capture_default_str();
  CLI::Option *draws = command.add_flag("--do-sample", generate.do_sample,
                                        "draw tokens at random; else the likeliest each time");
  command.add_option("--temperature", generate.temperature, "below 1: safer, above: wilder")
      ->check(numberIn(1e-6, 1e6))
      ->needs(draws)
      ->type_name("X")
      ->capture_default_str();
  command.add_option("--top-k", generate.top_k, "draw among the K likeliest; 0: among all")
      ->check(CLI::Range(int64_t(0), int64_t(1) << 31).description(""))
      ->needs(draws)
      ->type_name("K")
      ->capture_default_str();
  command.add_option("--top-p", generate.top_p, "draw among the likeliest that make up P together")
      ->check(numberIn(1e-6, 1.0))
      ->needs(draws)
      ->type_name("P")
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", generate.repetition_penalty,
                  "above 1: tokens seen before are less likely")
      ->check(numberIn(1e-3, 1e3))
      ->type_name("X")
      ->capture_default_str();
  command.add_option("--seed", generate.seed, "same seed, same text")
      ->check(isSeed())
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--stop", generate.stop, "end before this text; repeatable")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  command.add_flag("--ignore-eos", generate.ignore_eos, "go on past the end-of-text token");
}

} // namespace

void addRun(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("run", "continue a prompt, streaming; or run a graph once");
  command->group("Running");
  command->add_option("MODEL", options->file, "FILE.linnet; or a checkpoint, compiled into the cache first")
      ->required()
      ->type_name("");
  options->prompt.add(*command);
  addGeneration(*command, options->generate);
  options->device.add(*command);
  options->graph.add(*command);
  options->trace.add(*command);
  command->add_flag("--stats", options->stats, "times and memory, on standard error");
  command->add_flag("--json", options->json,
                    "one object: ids (prompt and continuation), text, finish_reason, timings");
  command->footer(
      example("  linnet run model.linnet --prompt \"Once upon a time\" --max-new-tokens 20 --stats"));
  command->callback([options, &action] {
    for (const std::string &stop : options->generate.stop)
      if (stop.empty()) usageError("--stop: the text is empty");
    if (options->graph.asked() && options->prompt.given())
      usageError("--input and --output are for graphs, --prompt and --ids for language models");
    options->graph.parse();
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
