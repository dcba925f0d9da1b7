// Learning rates, choices of parameters, measures, pictures.
#include "tests/catch.h"
#include "training/curves.h"
#include "training/finetune.h"
#include "training/metrics.h"
#include "training/run_directory.h"
#include "training/schedule.h"
#include "training/select.h"

#include <fmt/format.h>

#include <cmath>

using namespace linnet;
using namespace linnet::training;

namespace {

std::vector<ParameterInfo> model() {
  using enum TensorRole;
  std::vector<ParameterInfo> all = {{"wte.weight", {9, 4}, embedding}, {"wpe.weight", {8, 4}, positions}};
  for (int i = 0; i < 12; ++i) {
    std::string h = "h." + std::to_string(i) + ".";
    all.push_back({h + "ln_1.weight", {4}, norm, i});
    all.push_back({h + "attn.c_attn.weight", {4, 12}, weight, i});
    all.push_back({h + "attn.c_attn.bias", {12}, weight, i});
  }
  all.push_back({"ln_f.weight", {4}, norm});
  all.push_back({"ln_f.bias", {4}, norm});
  all.push_back({"score.weight", {2, 4}, classifier});
  return all;
}

} // namespace

TEST_CASE("learning rates rise, then fall as asked") {
  Schedule cosine{Decay::Cosine, 1, 0.1, 101, 10};
  CHECK(cosine.at(0) == Approx(0.1));
  CHECK(cosine.at(9) == Approx(1));
  CHECK(cosine.at(10) == Approx(1));
  CHECK(cosine.at(55) == Approx(0.55));
  CHECK(cosine.at(100) == Approx(0.1));
  CHECK(cosine.at(500) == Approx(0.1));
  Schedule linear{Decay::Linear, 1, 0, 101, 0};
  CHECK(linear.at(25) == Approx(0.75));
  CHECK(linear.at(100) == Approx(0).margin(1e-12));
  Schedule constant{Decay::Constant, 3, 0, 5, 2};
  CHECK(constant.at(0) == Approx(1.5));
  CHECK(constant.at(4) == 3);
  CHECK(Schedule{Decay::Cosine, 1, 0, 1, 0}.at(0) == 1);
  CHECK(parseDecay("linear").ok());
  CHECK(parseDecay("steps").error().message ==
        "unknown schedule \"steps\"; there are constant, linear, cosine");
}

TEST_CASE("a run is evaluated often enough for a curve") {
  CHECK(evaluationsEvery(3075, 123) == 123);
  CHECK(evaluationsEvery(120, 60) == 12);
  CHECK(evaluationsEvery(3, 1000) == 1);
  CHECK(evaluationsEvery(1000, 1) == 1);
  CHECK(shortName("data/stories.json") == "stories.json");
  CHECK(shortName("runs/model/") == "model");
  CHECK(shortName("model") == "model");
}

TEST_CASE("patterns choose parameters") {
  CHECK(matchesPattern("h.{10,11}.*", "h.10.ln_1.weight"));
  CHECK(!matchesPattern("h.{10,11}.*", "h.1.ln_1.weight"));
  CHECK(matchesPattern("h.{8..10}.*", "h.9.ln_1.weight"));
  CHECK(!matchesPattern("h.{8..10}.*", "h.11.ln_1.weight"));
  CHECK(matchesPattern("*.bias", "ln_f.bias"));
  CHECK(matchesPattern("h.?.*", "h.3.x"));
  CHECK(!matchesPattern("h.?.*", "h.13.x"));
  auto chosen = selectByPattern(model(), "h.{10,11}.*,ln_f.*");
  REQUIRE(chosen.ok());
  CHECK(chosen->size() == 8);
  CHECK(selectByPattern(model(), "ln_f.*,h.99.*").error().message ==
        "no parameter matches \"h.99.*\"; there are: wte.weight, wpe.weight, h.{0..11}.ln_1.weight, "
        "h.{0..11}.attn.c_attn.weight, h.{0..11}.attn.c_attn.bias, ln_f.weight, ln_f.bias, score.weight");
  CHECK(selectLastLayers(model(), 2)->size() == 8);
  CHECK_THAT(selectLastLayers(model(), 13).error().message,
             Catch::Matchers::Contains("the model has 12 layers"));
  CHECK(selectBiases(model()).size() == 13);
  CHECK(selectNorms(model()).size() == 14);
}

TEST_CASE("layers learn slower the deeper they lie, and only matrices decay") {
  const auto scale = [](const char *name, double decay) {
    const std::vector<ParameterInfo> all = model();
    auto found = std::find_if(all.begin(), all.end(), [&](const ParameterInfo &p) { return p.name == name; });
    REQUIRE(found != all.end());
    return layerwiseScale(*found, 12, decay);
  };
  CHECK(scale("score.weight", 0.9) == 1);
  CHECK(scale("ln_f.bias", 0.9) == 1);
  CHECK(scale("h.11.ln_1.weight", 0.9) == Approx(0.9));
  CHECK(scale("h.0.ln_1.weight", 0.9) == Approx(std::pow(0.9, 12)));
  CHECK(scale("wte.weight", 0.9) == Approx(std::pow(0.9, 13)));
  CHECK(scale("wte.weight", 1) == 1);
  CHECK(decays({"wte.weight", {9, 4}}));
  CHECK(!decays({"ln_f.bias", {4}}));
}

TEST_CASE("a confusion matrix and what follows from it") {
  Confusion confusion(2);
  for (int i = 0; i < 90; ++i) confusion.add(0, 0);
  for (int i = 0; i < 2; ++i) confusion.add(0, 1);
  for (int i = 0; i < 3; ++i) confusion.add(1, 0);
  for (int i = 0; i < 5; ++i) confusion.add(1, 1);
  CHECK(confusion.total() == 100);
  CHECK(confusion.accuracy() == Approx(0.95));
  CHECK(confusion.precision(1) == Approx(5.0 / 7));
  CHECK(confusion.recall(1) == Approx(5.0 / 8));
  CHECK(confusion.f1(1) == Approx(10.0 / 15));
  CHECK(confusion.macroF1() == Approx((confusion.f1(0) + confusion.f1(1)) / 2));
  CHECK(confusion.largestShare() == Approx(0.92));
  CHECK(Confusion(3).f1(2) == 0);
  std::vector<float> scores = {1, 3, 3};
  CHECK(argmax(scores) == 1);
}

TEST_CASE("curves are drawn from a log, whatever is in it") {
  std::string log;
  for (int step = 1; step <= 2000; ++step)
    log += fmt::format("{{\"step\": {}, \"loss\": {}, \"lr\": 0.001}}\n", step, 5.0 / step);
  log += "{\"step\": 1000, \"held_out_loss\": 0.6, \"held_out_accuracy\": 0.75}\n"
         "{\"step\": 2000, \"held_out_loss\": 0.5, \"held_out_accuracy\": 0.8}\nnot json\n{\"step\": 7}\n";
  Curves curves = curvesOf(log);
  CHECK(curves.loss.size() == 2000);
  CHECK(curves.held_out.size() == 2);
  CHECK(curves.accuracy.size() == 2);
  CHECK(curves.perplexity.empty());
  curves.title = "a < b";
  curves.loss[1000].value = NAN;
  std::string picture = curvesSvg(curves);
  CHECK(picture.find("a &lt; b") != std::string::npos);
  CHECK(picture.find("nan") == std::string::npos);
  CHECK(picture.size() < 60000);
  CHECK(picture.find("held-out accuracy") != std::string::npos);
  CHECK(picture.find("smoothed") != std::string::npos);
  CHECK(picture.find("perplexity") == std::string::npos);
  CHECK(curvesSvg({}).find("</svg>") != std::string::npos);
}

TEST_CASE("a smoothed curve is the mean of what was seen, and forgets") {
  std::vector<CurvePoint> noisy;
  for (int step = 1; step <= 300; ++step)
    noisy.push_back({step, (step <= 200 ? 4 : 1) + (step % 2 ? 0.5 : -0.5)});
  std::vector<CurvePoint> smooth = smoothed(noisy, 20);
  REQUIRE(smooth.size() == noisy.size());
  CHECK(smooth[0].value == noisy[0].value);
  CHECK(smooth[199].step == 200);
  CHECK(smooth[199].value == Approx(4).margin(0.05));
  CHECK(smooth[299].value == Approx(1).margin(0.05));
  CHECK(smoothed(noisy, 1)[7].value == noisy[7].value);
  noisy[5].value = NAN;
  CHECK(smoothed(noisy, 20)[5].value == smoothed(noisy, 20)[4].value);
}
