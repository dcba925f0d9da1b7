#include "measure/variants.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::measure {
namespace {

struct Loaded {
  Model model;
  Session session;
};

Result<Loaded> load(const std::string &artifact, const LoadOptions &options) {
  LINNET_ASSIGN(Model model, Model::load(artifact, options));
  LINNET_ASSIGN(Session session, Session::open(model));
  return Loaded{std::move(model), std::move(session)};
}

Result<Answer> ask(Loaded &loaded, const VariantOptions &options) {
  const ModelConfig &config = loaded.model.config();
  std::vector<TokenId> ids = promptsFor(config, 1, options.prompt).front();
  Answer answer;
  LINNET_ASSIGN(Matrix logits, loaded.session.logits(ids));
  answer.logits = std::move(logits.values);
  GenerateOptions generate;
  generate.max_new_tokens = std::min(options.generated, config.context - options.prompt + 1);
  generate.ignore_eos = true;
  LINNET_ASSIGN(auto results, loaded.session.generateBatch(std::span(&ids, 1), generate));
  answer.tokens = std::move(results.front().ids);
  return answer;
}

/// Measures the variants in rounds.
class Rounds {
public:
  Rounds(std::vector<Loaded> &models, const VariantOptions &options, std::vector<VariantFigures> &figures)
      : models(models), options(options), figures(figures),
        retries(static_cast<int64_t>(2 * models.size()) * options.repetitions) {}

  Result<void> run() {
    LINNET_TRY(round(0, false)); // warms up
    for (int i = 0; i < options.repetitions; ++i) LINNET_TRY(round(i, true));
    return {};
  }

private:
  Result<void> round(int number, bool keep) {
    for (size_t i = 0; i < models.size(); ++i) {
      size_t turn = (static_cast<size_t>(number) + i) % models.size();
      if (options.progress)
        options.progress(keep ? fmt::format("round {} of {}", number + 1, options.repetitions) : "warming up",
                         static_cast<double>(keep ? number + 1 : 0) / (options.repetitions + 1));
      LINNET_ASSIGN(TimedRun prefill, timed(models[turn], {options.prompt, 0, 1}, keep));
      LINNET_ASSIGN(TimedRun decode, timed(models[turn], {0, options.generated, 1}, keep));
      if (!keep) continue;
      VariantFigures &found = figures[turn];
      found.prefill.push_back(prefill.rate);
      found.decode.push_back(decode.rate);
      found.most_disturbed = std::max({found.most_disturbed, prefill.disturbed, decode.disturbed});
    }
    return {};
  }
  Result<TimedRun> timed(Loaded &loaded, const Test &test, bool again) {
    auto run = [&] { return once(loaded.session, loaded.model.config(), test); };
    return again ? retries.run(run) : Retries(0).run(run);
  }

  std::vector<Loaded> &models;
  const VariantOptions &options;
  std::vector<VariantFigures> &figures;
  Retries retries;
};

} // namespace

Result<Answer> answerOf(const std::string &artifact, const VariantOptions &options) {
  LINNET_ASSIGN(Loaded loaded, load(artifact, options.load));
  LINNET_TRY(checkBounds(loaded.model.config(), {{options.prompt, 0, 1}}));
  return ask(loaded, options);
}

Result<std::vector<VariantFigures>> compareVariants(std::span<const Variant> variants,
                                                    const VariantOptions &options) {
  std::vector<Loaded> models;
  std::vector<VariantFigures> figures(variants.size());
  for (size_t i = 0; i < variants.size(); ++i) {
    LINNET_ASSIGN(Loaded loaded, load(variants[i].artifact, options.load));
    LINNET_TRY(checkBounds(loaded.model.config(), {{options.prompt, 0, 1}, {0, options.generated, 1}}));
    LINNET_ASSIGN(figures[i].answer, ask(loaded, options));
    models.push_back(std::move(loaded));
  }
  LINNET_TRY(Rounds(models, options, figures).run());
  for (size_t i = 0; i < models.size(); ++i) figures[i].memory = models[i].session.memory();
  return figures;
}

Ratio ratioOf(std::span<const double> rates, std::span<const double> base) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(rates.size(), base.size()); ++i) ratios.push_back(rates[i] / base[i]);
  if (ratios.empty()) return {};
  std::sort(ratios.begin(), ratios.end());
  size_t n = ratios.size();
  return {(ratios[(n - 1) / 2] + ratios[n / 2]) / 2, ratios.front(), ratios.back()};
}

double logitError(const Answer &found, const Answer &expected) {
  if (found.logits.size() != expected.logits.size()) return INFINITY;
  double worst = 0, largest = 0;
  for (size_t i = 0; i < expected.logits.size(); ++i) {
    double e = static_cast<double>(expected.logits[i]);
    double difference = std::abs(static_cast<double>(found.logits[i]) - e);
    if (std::isnan(difference)) return INFINITY;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(e));
  }
  return largest > 0 ? worst / largest : worst;
}

int64_t tokensDiffering(const Answer &found, const Answer &expected) {
  size_t n = std::max(found.tokens.size(), expected.tokens.size());
  int64_t differing = 0;
  for (size_t i = 0; i < n; ++i)
    differing +=
        i >= found.tokens.size() || i >= expected.tokens.size() || found.tokens[i] != expected.tokens[i];
  return differing;
}

} // namespace linnet::measure
