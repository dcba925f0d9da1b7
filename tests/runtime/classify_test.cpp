// A classifier's session over the fake device: rows, batches, probabilities, and what it refuses.
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <algorithm>
#include <cmath>
#include <optional>

using namespace fixtures;

namespace {

struct ToyClassifier {
  explicit ToyClassifier(ToyModel given) : toy(std::move(given)) {
    useFakeDevice();
    writeToyModel(directory / "toy.linnet", toy);
    auto loaded = Model::load(directory / "toy.linnet");
    INFO((loaded ? "" : loaded.error().message));
    REQUIRE(loaded.ok());
    model.emplace(std::move(*loaded));
    auto opened = Session::open(*model);
    REQUIRE(opened.ok());
    session.emplace(std::move(*opened));
  }
  std::vector<float> scores(std::span<const TokenId> ids) const {
    auto all = toyLogits(toy, ids);
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(toy.labels.size())};
  }
  ToyModel toy;
  TemporaryDirectory directory;
  std::optional<Model> model;
  std::optional<Session> session;
};

ToyModel classifier(std::vector<std::string> labels = {"eggs", "ham", "spam"}, std::string problem = {}) {
  ToyModel toy;
  toy.labels = std::move(labels);
  toy.problem_type = std::move(problem);
  return toy;
}

std::vector<TokenId> bytes(std::string_view text) { return {text.begin(), text.end()}; }

template <class T> std::string message(const Result<T> &result) {
  return result ? "" : result.error().message;
}

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

} // namespace

TEST_CASE("a classifier answers texts in their order, whatever batch they share") {
  ToyClassifier t(classifier());
  CHECK(t.model->config().labels == std::vector<std::string>{"eggs", "ham", "spam"});
  const std::vector<std::string> texts = {"a longer text", "b", "dinner", "win", "x", "come home now"};
  auto answers = t.session->classify(texts);
  REQUIRE(answers.ok());
  REQUIRE(answers->size() == texts.size());
  CHECK(fake().largest_batch == 4);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto expected = t.scores(bytes(texts[i]));
    const Classification &found = (*answers)[i];
    CHECK(found.scores == expected);
    CHECK(found.label ==
          static_cast<size_t>(std::max_element(expected.begin(), expected.end()) - expected.begin()));
    double sum = 0;
    for (float x : expected) sum += std::exp(static_cast<double>(x));
    for (size_t k = 0; k < expected.size(); ++k)
      CHECK(found.probabilities[k] ==
            Approx(std::exp(static_cast<double>(expected[k])) / sum).epsilon(1e-12));
    CHECK_FALSE(found.truncated);
    auto alone = t.session->classify(texts[i]);
    REQUIRE(alone.ok());
    CHECK(alone->scores == expected);
  }
}

TEST_CASE("the problem type says what becomes of scores") {
  const auto ids = bytes("good");
  auto answer = [&](std::vector<std::string> labels, const char *type) {
    ToyClassifier t(classifier(std::move(labels), type));
    auto found = t.session->classify("good");
    REQUIRE(found.ok());
    CHECK(found->scores == t.scores(ids));
    return *found;
  };
  const Classification many = answer({"toxic", "rude"}, "multi_label_classification");
  const Classification one = answer({"LABEL_0"}, "");
  const Classification number = answer({"LABEL_0"}, "regression");
  const Classification plain = answer({"a", "b"}, "single_label_classification");
  for (size_t i = 0; i < 2; ++i) CHECK(many.probabilities[i] == Approx(sigmoid(many.scores[i])));
  CHECK(one.probabilities[0] == Approx(sigmoid(one.scores[0])));
  CHECK(number.probabilities[0] == Approx(number.scores[0]));
  CHECK(plain.probabilities[0] + plain.probabilities[1] == Approx(1));
  useFakeDevice();
  TemporaryDirectory directory;
  writeToyModel(directory / "bad.linnet", classifier({"a"}, "guess"));
  CHECK(contains(message(Model::load(directory / "bad.linnet")), "problem_type is \"guess\", expected"));
}

TEST_CASE("a classifier reads no more than the context, and no padding at the end") {
  ToyClassifier t(classifier());
  const std::string longer(60, 'q');
  auto found = t.session->classify(longer);
  REQUIRE(found.ok());
  CHECK(found->truncated);
  CHECK(found->scores == t.scores(bytes(longer.substr(0, 48))));

  ToyModel padded = classifier();
  padded.pad = 7;
  ToyClassifier p(padded);
  const std::vector<std::vector<TokenId>> texts = {{5, 7, 6, 7, 7}, {7, 7, 7}, {5, 6}};
  auto answers = p.session->classify(texts);
  REQUIRE(answers.ok());
  CHECK((*answers)[0].scores == p.scores(std::vector<TokenId>{5, 7, 6}));
  CHECK((*answers)[1].scores == p.scores(std::vector<TokenId>{7}));
  CHECK((*answers)[2].scores == p.scores(texts[2]));
  padded.pooling = "mean"; // every position counts there
  ToyClassifier m(padded);
  CHECK(m.session->classify(texts)->at(0).scores == m.scores(texts[0]));
}

TEST_CASE("a classifier embeds texts and refuses to continue them") {
  ToyClassifier t(classifier());
  auto vector = t.session->embed("ham", Pooling::Mean);
  REQUIRE(vector.ok());
  const auto ids = bytes("ham");
  for (int64_t c = 0; c < t.toy.n_embd; ++c) {
    double sum = 0;
    for (size_t n = 1; n <= ids.size(); ++n) sum += toyHidden(std::span(ids).first(n), -1, c);
    CHECK(vector->values[static_cast<size_t>(c)] == Approx(sum / 3));
  }
  const std::string says =
      "toy.linnet: expected a language model, found a classifier (labels: eggs, ham, spam)";
  CHECK(contains(message(t.session->generate(ids)), says));
  CHECK(contains(message(t.session->generateBatch({})), says));
  CHECK(contains(message(t.session->logits("ham")), says));
  CHECK(contains(message(t.session->perplexity(ids)), says));
}

TEST_CASE("classify says what it cannot do") {
  ToyClassifier t(classifier());
  const std::vector<std::vector<TokenId>> empty = {{1}, {}}, beyond = {{1, 300}};
  CHECK(message(t.session->classify(empty)) == "text 1: expected at least one token");
  CHECK(contains(message(t.session->classify(beyond)), "text 0: id 300 at position 1 is outside"));
  CHECK(message(t.session->classify("")) == "text 0: expected at least one token");
  t.session->cancel();
  CHECK(message(t.session->classify("a")) == "cancelled");
  CHECK(t.session->classify("a").ok());

  ToyModel no_tokenizer = classifier();
  no_tokenizer.tokenizer = false;
  ToyClassifier ids_only(no_tokenizer);
  CHECK(contains(message(ids_only.session->classify("a")), "the model has no tokenizer: expected token ids"));

  ToyClassifier language{ToyModel{}};
  CHECK(contains(message(language.session->classify("a")), "toy.linnet: expected a classifier"));
  CHECK(language.session->logits("ab")->values == toyLogits(language.toy, bytes("ab")));

  fake().scores_nan = true;
  CHECK(message(t.session->classify("a")) ==
        "text 0: the score of 'eggs' is nan, expected a finite number; hidden states are finite, so that the "
        "first such number is in the model's head");
}
