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
