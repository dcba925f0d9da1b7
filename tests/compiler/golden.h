// Expected results of whole models: PyTorch's figures, and those of another device.
#pragma once
#include "frontend/checkpoint/safetensors.h"
#include "linnet/model.h"
#include "linnet/session.h"
#include "tests/compiler/scratch.h"
#include "tests/folders.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace linnet::testing {

constexpr double kTolerance = 1e-4; // relative to the largest logit

struct Expected {
  explicit Expected(const std::string &name)
      : file(*SafetensorsFile::open(golden(name) + "/expected.safetensors")) {}
  std::vector<TokenId> ids(const char *name) const {
    const TensorView *view = file.find(name);
    REQUIRE(view);
    std::vector<TokenId> ids(view->elements());
    for (size_t i = 0; i < ids.size(); ++i) {
      int64_t value;
      std::memcpy(&value, view->bytes.data() + 8 * i, 8);
      ids[i] = static_cast<TokenId>(value);
    }
    return ids;
  }
  std::vector<float> floats(const char *name) const {
    const TensorView *view = file.find(name);
    REQUIRE(view);
    std::vector<float> values(view->elements());
    REQUIRE(readF32(*view, 0, values));
    return values;
  }
  int64_t columns(const char *name) const { return file.find(name)->shape.back(); }
  SafetensorsFile file;
};

/// Compares logits of all positions of each row, and the greedy continuation.
inline void checkArtifact(const std::string &path, const std::string &device, const Expected &expected) {
  auto model = Model::load(path, {.device = device, .threads = 2});
  if (!model) FAIL(model.error().message);
  auto session = Session::open(*model);
  if (!session) FAIL(session.error().message);
  std::vector<TokenId> ids = expected.ids("input_ids");
  std::vector<float> want = expected.floats("logits");
  int64_t columns = expected.columns("input_ids"), vocabulary = expected.columns("logits");
  double worst = 0, largest = 0;
  for (size_t row = 0; row * columns < ids.size(); ++row) {
    auto found = session->logits(std::span(ids).subspan(row * columns, columns), true);
    if (!found) FAIL(found.error().message);
    REQUIRE(found->rows == columns);
    REQUIRE(found->columns == vocabulary);
    for (size_t i = 0; i < found->values.size(); ++i) {
      float value = want[row * columns * vocabulary + i];
      worst = std::max(worst, std::fabs(double(found->values[i]) - value));
      largest = std::max(largest, std::fabs(double(value)));
    }
  }
  INFO("logits differ by " << worst / largest << " of the largest");
  CHECK(worst / largest < kTolerance);

  std::vector<TokenId> text = expected.ids("greedy_from_first_5");
  session->reset();
  auto made = session->generate(std::span(text).first(5),
                                {.max_new_tokens = int64_t(text.size()) - 5, .ignore_eos = true});
  if (!made) FAIL(made.error().message);
  CHECK(made->ids == std::vector<TokenId>(text.begin() + 5, text.end()));
}

/// Forks of a session: the same continuation as the original's, independent turns, a rewind.
inline void checkFork(const std::string &path, const std::string &device) {
  auto model = Model::load(path, {.device = device, .threads = 2});
  if (!model) FAIL(model.error().message);
  auto open = [&] { return std::move(*Session::open(*model)); };
  auto turn = [](Session &session, std::vector<TokenId> prompt, int64_t count) {
    auto made = session.generate(prompt, {.max_new_tokens = count, .ignore_eos = true});
    if (!made) FAIL(made.error().message);
    return made->ids;
  };
  Session alone = open(), other = open(), session = open();
  const std::vector<TokenId> prompt = {1, 2, 3, 4, 5, 6};
  turn(alone, prompt, 4), turn(other, prompt, 4), turn(session, prompt, 4);
  auto forked = session.fork();
  if (!forked) FAIL(forked.error().message);
  CHECK(forked->position() == session.position());
  CHECK(turn(*forked, {7, 8}, 5) == turn(other, {7, 8}, 5));
  CHECK(turn(session, {}, 5) == turn(alone, {}, 5)); // the fork has not changed its cache
  forked->rewind(8), other.rewind(8);
  CHECK(turn(*forked, {9}, 4) == turn(other, {9}, 4));
}

/// A callback that excludes each likeliest token: the device's and the host's choice would be that token.
inline void checkOnLogits(const std::string &path, const std::string &device) {
  auto model = Model::load(path, {.device = device, .threads = 2});
  if (!model) FAIL(model.error().message);
  auto session = std::move(*Session::open(*model));
  const std::vector<TokenId> prompt = {1, 2, 3, 4, 5, 6};
  std::vector<TokenId> second;
  GenerateOptions options{.max_new_tokens = 12, .ignore_eos = true};
  options.on_logits = [&](int64_t, std::span<const TokenId>, std::span<float> logits) {
    const auto best = std::max_element(logits.begin(), logits.end());
    *best = -std::numeric_limits<float>::infinity();
    second.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    return true;
  };
  auto made = session.generate(prompt, options);
  if (!made) FAIL(made.error().message);
  CHECK(made->ids == second);
  std::vector<TokenId> text = prompt;
  for (TokenId id : made->ids) {
    auto logits = session.logits(text);
    if (!logits) FAIL(logits.error().message);
    auto &values = logits->values;
    *std::max_element(values.begin(), values.end()) = -std::numeric_limits<float>::infinity();
    CHECK(id == std::max_element(values.begin(), values.end()) - values.begin());
    text.push_back(id);
  }
}

inline CompileReport compiled(const CompileOptions &options) {
  auto report = api().compile(options);
  if (!report) FAIL(report.error().message);
  return *report;
}

/// Logits of all positions of `ids`, and the greedy continuation of the first five.
struct Answer {
  std::vector<float> logits;
  std::vector<TokenId> continued;
};
inline Answer ask(const std::string &path, const std::string &device, std::span<const TokenId> ids) {
  auto model = Model::load(path, {.device = device, .threads = 2});
  if (!model) FAIL(model.error().message);
  auto session = Session::open(*model);
  REQUIRE(session);
  auto found = session->logits(ids, true);
  if (!found) FAIL(found.error().message);
  session->reset();
  auto made = session->generate(ids.first(5), {.max_new_tokens = 8, .ignore_eos = true});
  REQUIRE(made);
  return {std::vector<float>(found->values.begin(), found->values.end()), made->ids};
}

} // namespace linnet::testing
