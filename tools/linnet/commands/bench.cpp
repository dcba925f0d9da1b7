// linnet bench: throughput of prompts and of generation, in llama-bench's format.
#include "arguments.h"
#include "disturbed.h"
#include "measure/throughput.h"
#include "model.h"
#include "output.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <memory>

namespace linnet::cli {
namespace bench_command {

using measure::Measured;
using measure::Test;

struct Options {
  std::string file, prompts, generations, batches = "1", depths = "1"; // empty: what fits, see testsOf
  DeviceOption device;
  int repetitions = 5;
  bool json = false;
};

Json toJson(const std::vector<Measured> &all, const OpenModel &open) {
  Json tests = Json::array();
  for (const Measured &m : all)
    tests.push_back({{"test", m.test.name()},
                     {"n_prompt", m.test.prompt},
                     {"n_gen", m.test.generated},
                     {"n_depth", m.test.past},
                     {"batch", m.test.batch},
                     {"avg_ts", m.mean()},
                     {"stddev_ts", m.deviation()},
                     {"samples_ts", m.rates},
                     {"disturbed", m.disturbed()},
                     {"disturbed_share", m.most_disturbed}});
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
               fmt::format("{}{:.2f} ± {:.2f}", m.disturbed() ? kDisturbed : "", m.mean(), m.deviation())});
  put(std::string_view(table.markdown()));
  double most = 0;
  bool any = false;
  for (const Measured &m : all) most = std::max(most, m.most_disturbed), any |= m.disturbed();
  if (any) putDisturbance(most);
}

/// llama-bench's defaults.
constexpr int64_t kPrompt = 512, kGenerated = 128;

std::vector<int64_t> listOr(const std::string &given, const std::string &option, int64_t otherwise) {
  return given.empty() ? std::vector<int64_t>{otherwise} : parseList(given, option);
}

/// The tests for a model with `context` positions. Default sizes are reduced to fit; given sizes are not.
std::vector<Test> testsOf(const Options &options, int64_t context) {
  std::vector<Test> tests;
  for (int64_t batch : parseList(options.batches, "-b")) {
    if (batch < 1) usageError("-b: a batch is at least 1");
    for (int64_t prompt : listOr(options.prompts, "-p", std::min(kPrompt, context)))
      if (prompt) tests.push_back({prompt, 0, batch});
    for (int64_t past : parseList(options.depths, "-d")) {
      if (past < 1) usageError("-d: generation starts after a prompt of at least 1 token");
      const int64_t most = std::max<int64_t>(std::min(kGenerated, context - past), 1);
      for (int64_t generated : listOr(options.generations, "-n", most))
        if (generated) tests.push_back({0, generated, batch, past});
    }
  }
  if (tests.empty()) usageError("-p 0 and -n 0 leave nothing to measure");
  return tests;
}

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet bench"));
  const std::vector<Test> tests = testsOf(options, open.model.config().context);
  LINNET_TRY(measure::checkBounds(open.model.config(), tests));
  CancelOnSignal cancel(open.session);
  Progress progress;
  std::vector<Measured> all;
  for (size_t i = 0; i < tests.size(); ++i) {
    progress.show(tests[i].name(), static_cast<double>(i) / static_cast<double>(tests.size()));
    LINNET_ASSIGN(Measured measured,
                  measure::measure(open.session, open.model.config(), tests[i], options.repetitions,
                                   [] { return interrupted() != 0; }));
    all.push_back(std::move(measured));
  }
  progress.clear();
  if (options.json)
    printJson(toJson(all, open));
  else
    printTable(all, open);
  return {};
}

} // namespace bench_command

void addBench(CLI::App &app, Action &action) {
  using namespace bench_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("bench", "throughput of prompts and of generation");
  command->group("Running");
  addModelOption(*command, options->file);
  command->add_option("-p,--n-prompt", options->prompts, "tokens of the prompt; several with commas; 0: none")
      ->type_name("N")
      ->default_str("512, or what fits");
  command->add_option("-n,--n-gen", options->generations, "tokens to generate; several with commas; 0: none")
      ->type_name("N")
      ->default_str("128, or what fits");
  command
      ->add_option("-d,--n-depth", options->depths,
                   "tokens that lie before those generated; several with commas")
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
    testsOf(*options, kPrompt); // usage errors before a model is compiled
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
