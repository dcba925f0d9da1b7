// Variants of a model side by side: the figures that are not times are known.
#include "measure/variants.h"
#include "tests/compiler/scratch.h"
#include "tests/folders.h"

#include <cmath>

using namespace linnet;
using namespace linnet::measure;
using namespace linnet::testing;

namespace {

std::string compile(const Scratch &scratch, const std::string &name, const std::string &target,
                    std::vector<std::string> without) {
  CompileOptions options;
  options.input = golden("tiny");
  options.output = scratch.file(name);
  options.targets = {target};
  options.disabled_passes = std::move(without);
  auto report = api().compile(options);
  INFO((report ? "" : report.error().message));
  REQUIRE(report.ok());
  return options.output;
}

} // namespace

TEST_CASE("ratios are of one round, their median in the middle") {
  std::vector<double> base = {10, 20, 40, 10}, rates = {5, 30, 40, 40};
  Ratio ratio = ratioOf(rates, base); // 0.5, 1.5, 1, 4
  CHECK(ratio.median == Approx(1.25));
  CHECK(ratio.low == Approx(0.5));
  CHECK(ratio.high == Approx(4));
  CHECK(ratioOf({}, base).median == 0);
  CHECK(ratioOf(base, base).median == 1);
}

TEST_CASE("answers are compared by their largest difference and by their tokens") {
  Answer expected{{1, -4, 2}, {7, 8, 9}}, found{{1, -3, 2.5f}, {7, 9, 9}};
  CHECK(logitError(found, expected) == Approx(0.25));
  CHECK(logitError(expected, expected) == 0);
  CHECK(tokensDiffering(found, expected) == 1);
  CHECK(tokensDiffering({{}, {7}}, expected) == 2);
  CHECK(std::isinf(logitError({{1, 2}, {}}, expected)));
  CHECK(std::isinf(logitError({{NAN, -4, 2}, {}}, expected)));
}

TEST_CASE("passes that may be left out are those of the pipeline that are not required") {
  CompileOptions options;
  options.targets = {"cpu:native"};
  auto passes = api().optionalPasses(options);
  REQUIRE(passes.ok());
  auto count = [&](const char *name) { return std::count(passes->begin(), passes->end(), name); };
  CHECK(count("linnet-fuse-epilogue") == 1);
  CHECK(count("canonicalize") == 1); // runs more than once
  CHECK(count("linnet-plan-memory") == 0);
  options.first_passes = "linnet-decompose-attention,canonicalize";
  auto longer = api().optionalPasses(options);
  REQUIRE(longer.ok());
  CHECK(longer->front() == "linnet-decompose-attention");
  CHECK(longer->size() == passes->size() + 1);
  options.targets = {"abacus"};
  auto unknown = api().optionalPasses(options);
  REQUIRE(!unknown.ok());
  CHECK(unknown.error().message.find("unknown target 'abacus', expected") == 0);
}

TEST_CASE("sizes that nobody chose fit the context, those chosen stay") {
  auto fitted = [](int64_t context, int64_t prompt, bool chose_prompt, int64_t generated,
                   bool chose_generated) {
    fitDefaults(context, prompt, chose_prompt, generated, chose_generated);
    return std::pair(prompt, generated);
  };
  using Sizes = std::pair<int64_t, int64_t>;
  CHECK(fitted(1024, 128, false, 32, false) == Sizes{128, 32});
  CHECK(fitted(48, 128, false, 32, false) == Sizes{24, 24});
  CHECK(fitted(48, 40, true, 32, false) == Sizes{40, 8});
  CHECK(fitted(48, 128, false, 9, true) == Sizes{39, 9});
  CHECK(fitted(48, 128, true, 32, true) == Sizes{128, 32});
  for (int64_t context = 2; context < 200; ++context) {
    auto [prompt, generated] = fitted(context, 128, false, 32, false);
    CHECK(prompt >= 1);
    CHECK(generated >= 1);
    CHECK(prompt + generated <= context);
  }
}

TEST_CASE("variants are measured in rounds and give their answers") {
  Scratch scratch;
  std::string full = compile(scratch, "full.linnet", "cpu:native", {});
  std::string plain = compile(scratch, "plain.linnet", "cpu:native", {"linnet-fuse-epilogue"});
  std::string reference = compile(scratch, "reference.linnet", "reference", {});
  api().registerDevices();
  VariantOptions options;
  options.prompt = 12;
  options.generated = 6;
  options.repetitions = 3;
  std::vector<std::string> told;
  options.progress = [&](const std::string &what, double fraction) {
    CHECK(fraction >= 0);
    CHECK(fraction <= 1);
    told.push_back(what);
  };
  std::vector<Variant> variants = {{"full", full}, {"plain", plain}};
  auto figures = compareVariants(variants, options);
  INFO((figures ? "" : figures.error().message));
  REQUIRE(figures.ok());
  REQUIRE(figures->size() == 2);
  CHECK(told.size() == 2 * 4); // a round to warm up, then three
  auto expected = answerOf(reference, options);
  REQUIRE(expected.ok());
  REQUIRE(expected->tokens.size() == 6);
  for (const VariantFigures &f : *figures) {
    CHECK(f.prefill.size() == 3);
    CHECK(f.decode.size() == 3);
    CHECK(f.memory.total() > 0);
    CHECK(logitError(f.answer, *expected) < 1e-5);
    CHECK(tokensDiffering(f.answer, *expected) == 0);
  }
  options.prompt = 1000;
  auto refused = compareVariants(variants, options);
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("needs 1000 positions") != std::string::npos);
  options.prompt = 12;
  variants[1].artifact = scratch.file("none.linnet");
  CHECK(compareVariants(variants, options).error().message.find("none.linnet") != std::string::npos);
}
