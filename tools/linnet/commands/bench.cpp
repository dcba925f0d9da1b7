// linnet bench: throughput of prompts and of generation, as llama-bench prints it.
#include "arguments.h"
#include "model.h"
#include "output.h"
#include "runtime/artifact.h"
#include "signals.h"
#include "support/error.h"

#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

namespace linnet::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string file, prompts = "512", generations = "128", batches = "1";
  DeviceOption device;
  int repetitions = 5;
  bool json = false;
};

/// One line of the table: `prompt` tokens processed, or `generated` tokens one at a time.
struct Test {
  int64_t prompt, generated, batch;
  std::string name() const { return prompt ? fmt::format("pp{}", prompt) : fmt::format("tg{}", generated); }
};

struct Measured {
  Test test;
  std::vector<double> rates; // tokens per second, one a repetition
  double mean() const {
    return std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
  }
  double deviation() const {
    if (rates.size() < 2) return 0;
    double m = mean(), sum = 0;
    for (double r : rates) sum += (r - m) * (r - m);
    return std::sqrt(sum / static_cast<double>(rates.size() - 1));
  }
};

/// Random but repeatable prompts: the speed of a matmul does not depend on them, caches of lookups might.
std::vector<std::vector<TokenId>> promptsFor(const ModelConfig &config, int64_t batch, int64_t length) {
  std::vector<std::vector<TokenId>> prompts(static_cast<size_t>(batch));
  uint64_t state = 0x9E3779B97F4A7C15;
  for (auto &prompt : prompts)
    for (int64_t i = 0; i < length; ++i) {
      state = state * 6364136223846793005 + 1442695040888963407;
      prompt.push_back(static_cast<TokenId>((state >> 33) % static_cast<uint64_t>(config.vocab_size)));
    }
  return prompts;
}

Result<void> checkBounds(const ModelConfig &config, const std::vector<Test> &tests) {
  for (const Test &test : tests) {
    int64_t needed = test.prompt ? test.prompt : test.generated + 1;
    if (test.batch > config.max_batch)
      return errorf("-b {}: the artifact was compiled for a batch of at most {}; compile with --max-batch {}",
                    test.batch, config.max_batch, test.batch);
    if (needed > config.context)
      return errorf("{}: needs {} positions, the artifact was compiled for {} (the model has {})",
                    test.name(), needed, config.context, config.n_positions);
  }
  return {};
}

/// Tokens per second. A prompt's time ends with the last sequence's first token; generation's starts there.
Result<double> once(Session &session, const ModelConfig &config, const Test &test) {
  auto prompts = promptsFor(config, test.batch, test.prompt ? test.prompt : 1);
  GenerateOptions options;
  options.max_new_tokens = test.prompt ? 1 : test.generated + 1;
  options.ignore_eos = true;
  std::vector<bool> begun(static_cast<size_t>(test.batch));
  int64_t waiting = test.batch;
  Clock::time_point begin = Clock::now(), first = begin;
  auto callback = [&](int64_t sequence, TokenId, std::string_view) {
    if (!begun[static_cast<size_t>(sequence)]) begun[static_cast<size_t>(sequence)] = true, --waiting;
    if (waiting == 0 && first == begin) first = Clock::now();
    return true;
  };
  LINNET_ASSIGN(auto results, session.generateBatch(prompts, options, callback));
  Clock::time_point end = Clock::now();
  for (const GenerateResult &result : results)
    if (result.finish_reason != FinishReason::Length)
      return errorf("{}: ended early: {}", test.name(), finishReasonName(result.finish_reason));
  double seconds = std::chrono::duration<double>(test.prompt ? first - begin : end - first).count();
  return static_cast<double>(test.batch * (test.prompt ? test.prompt : test.generated)) / seconds;
}

Result<Measured> measure(Session &session, const ModelConfig &config, const Test &test, int repetitions) {
  Measured measured{test, {}};
  for (int i = 0; i <= repetitions; ++i) {
    LINNET_ASSIGN(double rate, once(session, config, test));
    if (interrupted()) return Error{"interrupted"}; // after the last check of the call above
    if (i) measured.rates.push_back(rate);          // the first warms up
  }
  return measured;
}

Json toJson(const std::vector<Measured> &all, const OpenModel &open) {
  Json tests = Json::array();
  for (const Measured &m : all)
    tests.push_back({{"test", m.test.name()},
                     {"n_prompt", m.test.prompt},
                     {"n_gen", m.test.generated},
                     {"batch", m.test.batch},
                     {"avg_ts", m.mean()},
                     {"stddev_ts", m.deviation()},
                     {"samples_ts", m.rates}});
  return {{"model", open.model.path()},
          {"device", open.model.device()},
          {"weight_bytes", open.model.memory().weights},
          {"tests", tests}};
}

void printTable(const std::vector<Measured> &all, const OpenModel &open) {
  std::string name = open.model.path().substr(open.model.path().rfind('/') + 1);
  Table table("lrlrrr", {"model", "weights", "device", "batch", "test", "t/s"});
  for (const Measured &m : all)
    table.add({name, bytesText(open.model.memory().weights), open.model.device(),
               std::to_string(m.test.batch), m.test.name(),
               fmt::format("{:.2f} ± {:.2f}", m.mean(), m.deviation())});
  put(std::string_view(table.markdown()));
}

Result<void> execute(const Options &options, const std::vector<Test> &tests) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet bench"));
  LINNET_TRY(checkBounds(open.model.config(), tests));
  CancelOnSignal cancel(open.session);
  Progress progress;
  std::vector<Measured> all;
  for (size_t i = 0; i < tests.size(); ++i) {
    progress.show(tests[i].name(), static_cast<double>(i) / static_cast<double>(tests.size()));
    LINNET_ASSIGN(Measured measured,
                  measure(open.session, open.model.config(), tests[i], options.repetitions));
    all.push_back(std::move(measured));
  }
  progress.clear();
  if (options.json)
    printJson(toJson(all, open));
  else
    printTable(all, open);
  return {};
}

std::vector<Test> testsOf(const Options &options) {
  std::vector<Test> tests;
  for (int64_t batch : parseList(options.batches, "-b")) {
    if (batch < 1) usageError("-b: a batch is at least 1");
    for (int64_t prompt : parseList(options.prompts, "-p"))
      if (prompt) tests.push_back({prompt, 0, batch});
    for (int64_t generated : parseList(options.generations, "-n"))
      if (generated) tests.push_back({0, generated, batch});
  }
  if (tests.empty()) usageError("-p 0 and -n 0 leave nothing to measure");
  return tests;
}

} // namespace

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("bench", "throughput of prompts and of generation");
  command->group("Running");
  command->add_option("MODEL", options->file, "FILE.linnet; or a checkpoint, compiled into the cache first")
      ->required()
      ->type_name("");
  command->add_option("-p,--n-prompt", options->prompts, "tokens of the prompt; several with commas; 0: none")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("-n,--n-gen", options->generations, "tokens to generate; several with commas; 0: none")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("-b,--batch", options->batches, "sequences at a time; several with commas")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("-r,--repetitions", options->repetitions, "runs to average, after one to warm up")
      ->check(CLI::Range(1, 1000).description(""))
      ->type_name("N")
      ->capture_default_str();
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet bench model.linnet -p 16,32 -n 16 -r 3"));
  command->callback([options, &action] {
    std::vector<Test> tests = testsOf(*options);
    action = [options, tests] { return execute(*options, tests); };
  });
}

} // namespace linnet::cli
