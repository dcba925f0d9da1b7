// A classifier that is finetuned again: its head stays what its checkpoint says.
#include "tests/catch.h"
#include "training/head.h"

using namespace linnet;
using namespace linnet::training;
using Catch::Matchers::Contains;

namespace {

Json classifier() {
  return {{"architectures", {"GPT2ForSequenceClassification"}},
          {"id2label", {{"0", "ham"}, {"1", "spam"}}},
          {"_linnet_head", {{"pooling", "mean"}, {"hidden", {8, 4}}, {"activation", "relu"}}}};
}

FinetuneOptions options() {
  FinetuneOptions made;
  made.model = "model";
  made.task = Task::Classify;
  return made;
}

} // namespace

TEST_CASE("a head is read from a classifier's configuration alone") {
  auto head = headIn(classifier());
  REQUIRE(head);
  CHECK(head->labels == LabelNames{"ham", "spam"});
  CHECK(head->pooling == "mean");
  CHECK(head->hidden == std::vector<int64_t>{8, 4});
  CHECK(head->activation == "relu");
  Json plain = classifier();
  plain.erase("_linnet_head");
  CHECK(headIn(plain)->pooling == "last");
  CHECK(headIn(plain)->hidden.empty());
  CHECK(!headIn({{"architectures", {"GPT2LMHeadModel"}}}));
  CHECK(!headIn(Json::object()));
}

TEST_CASE("what is not asked for is the head's") {
  FinetuneOptions again = options();
  REQUIRE(resolveHead(headIn(classifier()), again).ok());
  CHECK(again.pooling == "mean");
  CHECK(again.hidden == std::vector<int64_t>{8, 4});
  CHECK(again.activation == "relu");
  CHECK(again.labels == LabelNames{"ham", "spam"});
  FinetuneOptions fresh = options();
  REQUIRE(resolveHead(std::nullopt, fresh).ok());
  CHECK(fresh.pooling == "last");
  CHECK(fresh.activation == "gelu");
  CHECK(fresh.labels.empty());
  fresh.method = Method::Layers;
  CHECK(resolveHead(std::nullopt, fresh).error().message == "--method layers needs --hidden WIDTHS");
  FinetuneOptions layers = options();
  layers.method = Method::Layers;
  CHECK(resolveHead(headIn(classifier()), layers).ok());
}

TEST_CASE("a head of another kind is an error, or makes a new head") {
  auto kind = [](const char *problem_type, size_t labels) {
    Json config = classifier();
    if (problem_type) config["problem_type"] = problem_type;
    if (labels == 1) config["id2label"] = {{"0", "stars"}};
    return headIn(config);
  };
  CHECK(kind("single_label_classification", 2)->other.empty());
  for (auto [head, says] :
       {std::pair(kind("regression", 1), "found regression"),
        std::pair(kind("regression", 2), "found regression"),
        std::pair(kind("multi_label_classification", 2), "found multi_label_classification"),
        std::pair(kind(nullptr, 1), "found one label")}) {
    FinetuneOptions again = options();
    auto refused = resolveHead(head, again);
    REQUIRE(!refused.ok());
    CHECK_THAT(refused.error().message, Contains(says) && Contains("--new-head"));
    again = options();
    again.new_head = true;
    CHECK(resolveHead(head, again).ok());
    CHECK(again.labels.empty());
  }
}

TEST_CASE("what is asked for and is not the head's is an error, or makes a new head") {
  auto check = [](auto change, const char *says) {
    FinetuneOptions made = options();
    change(made);
    auto refused = resolveHead(headIn(classifier()), made);
    REQUIRE(!refused.ok());
    CHECK_THAT(refused.error().message, Contains(says) && Contains("--new-head"));
    made = options();
    change(made);
    FinetuneOptions asked = made;
    made.new_head = true;
    REQUIRE(resolveHead(headIn(classifier()), made).ok());
    CHECK((asked.pooling.empty() || made.pooling == asked.pooling));
    CHECK(made.labels == asked.labels);
    CHECK(made.hidden == asked.hidden);
  };
  check([](FinetuneOptions &o) { o.pooling = "last"; }, "has pooling mean, --pooling is last");
  check([](FinetuneOptions &o) { o.hidden = {8}; }, "has hidden layers of widths 8,4, --hidden is 8");
  check([](FinetuneOptions &o) { o.activation = "gelu"; }, "has activation relu, --activation is gelu");
  check([](FinetuneOptions &o) { o.labels = {"spam", "ham"}; }, "has labels ham,spam, --labels is spam,ham");
  FinetuneOptions same = options();
  same.pooling = "mean";
  same.labels = {"ham", "spam"};
  CHECK(resolveHead(headIn(classifier()), same).ok());
}
