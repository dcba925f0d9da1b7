// linnet run: continues a prompt, streaming; or runs any other graph once.
#include "commands/run.h"
#include "arguments.h"
#include "chat_option.h"
#include "generation_option.h"
#include "linnet/linnet.h"
#include "model.h"
#include "output.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/format.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"
#include "trace_option.h"

#include <memory>
#include <unistd.h>

namespace linnet::cli {
namespace run_command {

struct Options {
  std::string file;
  PromptOption prompt;
  GenerationOption generation;
  DeviceOption device;
  GraphOptions graph;
  TraceOption trace;
  ChatOption chat;
  bool stats = false, json = false, converse = false;
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

Json resultJson(const OpenModel &open, const GenerateOptions &options, const GenerateResult &result) {
  std::vector<TokenId> ids = result.prompt;
  ids.insert(ids.end(), result.ids.begin(), result.ids.end());
  Json out = {{"ids", ids}};
  if (open.model.tokenizer())
    out["text"] = result.text;
  else
    out["text"] = nullptr;
  out["finish_reason"] = finishReasonName(result.finish_reason);
  out["sampling"] = nullptr;
  if (options.draws())
    out["sampling"] = {{"seed", options.seed},
                       {"temperature", options.temperature},
                       {"top_k", options.top_k},
                       {"top_p", options.top_p}};
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

/// Continues the prompt of the command line.
Result<void> continuePrompt(const Options &options, OpenModel &open, const GenerateOptions &generate) {
  LINNET_ASSIGN(std::vector<TokenId> ids, promptIds(open.model, options.prompt));
  CancelOnSignal cancel(open.session);
  TokenStream stream(open.model.tokenizer().has_value());
  TokenCallback callback;
  if (!options.json) callback = std::ref(stream);
  LINNET_ASSIGN(GenerateResult result, open.session.generate(ids, generate, callback));
  if (options.json) {
    printJson(resultJson(open, generate, result));
  } else {
    put("\n");
    if (generate.draws()) note(drawingText(generate));
    if (result.finish_reason == FinishReason::Context) note(contextText(open.model.config()));
  }
  flush();
  if (options.stats) printStats(open, result);
  return {};
}

Result<void> chatByLines(const Options &options) {
  if (options.prompt.given() || options.json || !options.trace.path.empty())
    usageError("--chat reads turns from standard input: it excludes --prompt, --ids, --json and --profile");
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet run --chat"));
  return chatWith(open, options.chat, options.generation, options.stats);
}

Result<void> generate(const Options &options) {
  const bool converses = !options.prompt.given();
  if (converses && !isatty(STDIN_FILENO))
    usageError(
        "one of --prompt and --ids is required; without them linnet run reads lines from a terminal, and "
        "standard input is none");
  if (converses && (options.json || options.stats))
    usageError("--json and --stats are for one prompt: give --prompt or --ids");
  LINNET_TRY(options.trace.check());
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet run"));
  const GenerateOptions generate = options.generation.over(open.model);
  auto profiler = options.trace.profiler();
  open.session.setProfiler(profiler);
  if (generate.draws() && converses) note(drawingText(generate));
  LINNET_TRY(converses ? converse(open, generate) : continuePrompt(options, open, generate));
  return options.trace.write(profiler, options.file, options.device.threads);
}

/// Whether the path is an artifact of kind graph, or an .mlir.
Result<bool> isPlainGraph(const std::string &path) {
  LINNET_ASSIGN(FileKind kind, kindOf(path));
  if (kind != FileKind::Artifact) return kind == FileKind::Graph;
  LINNET_ASSIGN(Artifact artifact, Artifact::open(path));
  return artifact.metadata().kind()->string_view() == format::kGraph;
}

Result<void> execute(const Options &options) {
  if (options.converse) return chatByLines(options);
  bool graph = options.graph.asked();
  if (!graph && !options.prompt.given()) {
    LINNET_ASSIGN(graph, isPlainGraph(options.file));
  }
  if (!graph) return generate(options);
  return runGraph(options.file, options.device, options.graph, options.trace, options.json);
}

} // namespace run_command

void addRun(CLI::App &app, Action &action) {
  using namespace run_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("run", "continue a prompt, streaming; or run a graph once");
  command->group("Running");
  addModelOption(*command, options->file);
  options->prompt.add(*command);
  options->generation.add(*command);
  options->device.add(*command);
  options->graph.add(*command);
  options->trace.add(*command);
  command->add_flag("--chat", options->converse, "a conversation, as linnet chat has it");
  options->chat.add(*command);
  command->add_flag("--stats", options->stats, "times and memory, on standard error");
  command->add_flag("--json", options->json,
                    "one object: ids (prompt and continuation), text, finish_reason, timings");
  command->footer(
      example("  linnet run model.linnet --prompt \"Once upon a time\" --max-new-tokens 20 --stats"));
  command->callback([options, &action] {
    options->generation.check();
    if (options->graph.asked() && options->prompt.given())
      usageError("--input and --output are for graphs, --prompt and --ids for language models");
    if (options->chat.given() && !options->converse)
      usageError("--system and --chat-template require --chat");
    options->graph.parse();
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
