#include "measure/throughput.h"
#include "support/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace linnet::measure {
namespace {

using Clock = std::chrono::steady_clock;

} // namespace

std::string Test::name() const {
  if (prompt) return fmt::format("pp{}", prompt);
  return past > 1 ? fmt::format("tg{} @ d{}", generated, past) : fmt::format("tg{}", generated);
}

double Measured::mean() const {
  return std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
}

double Measured::deviation() const {
  if (rates.size() < 2) return 0;
  double m = mean(), sum = 0;
  for (double r : rates) sum += (r - m) * (r - m);
  return std::sqrt(sum / static_cast<double>(rates.size() - 1));
}

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
    int64_t needed = test.prompt ? test.prompt : test.past + test.generated;
    if (test.batch > config.max_batch)
      return errorf("-b {}: the artifact was compiled for a batch of at most {}; compile with --max-batch {}",
                    test.batch, config.max_batch, test.batch);
    if (needed > config.context)
      return errorf("{}: needs {} positions, the artifact was compiled for {} (the model has {})",
                    test.name(), needed, config.context, config.n_positions);
  }
  return {};
}

void fitDefaults(int64_t context, int64_t &prompt, bool chose_prompt, int64_t &generated,
                 bool chose_generated) {
  const int64_t kept = chose_generated ? generated : std::min(generated, context / 2);
  if (!chose_prompt) prompt = std::min(prompt, std::max<int64_t>(context - kept, 1));
  if (!chose_generated) generated = std::min(generated, std::max<int64_t>(context - prompt, 1));
}

Result<double> once(Session &session, const ModelConfig &config, const Test &test) {
  auto prompts = promptsFor(config, test.batch, test.prompt ? test.prompt : test.past);
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

Result<Measured> measure(Session &session, const ModelConfig &config, const Test &test, int repetitions,
                         const Interrupted &interrupted) {
  Measured measured{test, {}};
  auto run = [&]() -> Result<double> {
    LINNET_ASSIGN(double rate, once(session, config, test));
    if (interrupted && interrupted()) return Error{"interrupted"}; // after the last check of the call above
    return rate;
  };
  LINNET_TRY(run()); // warms up
  Retries retries(repetitions);
  for (int i = 0; i < repetitions; ++i) {
    LINNET_ASSIGN(const TimedRun timed, retries.run(run));
    measured.rates.push_back(timed.rate);
    measured.most_disturbed = std::max(measured.most_disturbed, timed.disturbed);
  }
  return measured;
}

} // namespace linnet::measure
