// From records to batches: what a row holds, what counts, and that an order is a function of seed and epoch.
#include "tests/catch.h"
#include "tests/training/byte_tokenizer.h"
#include "training/dataset.h"
#include "training/shuffle.h"

#include <algorithm>
#include <map>
#include <set>

using namespace linnet;
using namespace linnet::training;
using linnet::testing::byteTokenizer;
using linnet::testing::kEnd;

namespace {

std::vector<Record> labelled(std::vector<std::string> labels) {
  std::vector<Record> records;
  for (const std::string &label : labels)
    records.push_back({"text", label, 0, static_cast<int64_t>(records.size()) + 1});
  return records;
}

TokenStream counting(int count) {
  TokenStream stream;
  for (int i = 0; i < count; ++i) stream.ids.push_back(i);
  stream.learned.assign(stream.ids.size(), 1);
  return stream;
}

} // namespace

TEST_CASE("labels are numbers where all are, else sorted; one alone is refused") {
  CHECK(*labelsIn(labelled({"spam", "ham", "spam"}), "f") == LabelNames{"ham", "spam"});
  CHECK((*labelsIn(labelled({"2", "0", "1", "10", "3", "4", "5", "6", "7", "8", "9"}), "f"))[10] == "10");
  CHECK(*labelsIn(labelled({"7", "3"}), "f") == LabelNames{"3", "7"});
  CHECK_THAT(labelsIn(labelled({"ham", "ham"}), "f").error().message,
             Catch::Matchers::Contains("at least two labels"));
  CHECK(*labelIds(labelled({"spam", "ham", "1"}), {"ham", "spam"}, "f") == std::vector<int32_t>{1, 0, 1});
  CHECK(labelIds(labelled({"ham", "5"}), {"ham", "spam"}, "f").error().message ==
        "f: line 2: label 5 is out of range, expected 0 to 1");
  CHECK(labelIds(labelled({"eggs"}), {"ham", "spam"}, "f").error().message ==
        "f: line 1: label \"eggs\" is none of ham, spam");
}

TEST_CASE("a split holds the same share of each label, and depends on its seed alone") {
  std::vector<int32_t> labels;
  for (int i = 0; i < 101; ++i) labels.push_back(i % 7 == 0);
  Split split = splitByLabel(labels, 0.2, 0);
  std::map<int32_t, size_t> held;
  for (size_t i : split.held_out) ++held[labels[i]];
  CHECK(held[0] == 17); // of 86
  CHECK(held[1] == 3);  // of 15
  std::set<size_t> all(split.train.begin(), split.train.end());
  all.insert(split.held_out.begin(), split.held_out.end());
  CHECK(all.size() == labels.size());
  CHECK(split.train.size() + split.held_out.size() == labels.size());
  CHECK(splitByLabel(labels, 0.2, 0).held_out == split.held_out);
  CHECK(splitByLabel(labels, 0.2, 1).held_out != split.held_out);
  CHECK(splitByLabel({0, 0, 1, 1}, 0.01, 0).held_out.size() == 2);
  CHECK(splitEvenly(10, 0, 0).held_out.empty());
}

TEST_CASE("numbers are drawn evenly") {
  std::map<uint64_t, int> seen;
  for (uint32_t i = 0; i < 7000; ++i) ++seen[drawBelow(7, 3, Purpose::Order, 0, i)];
  CHECK(seen.size() == 7);
  for (auto [value, times] : seen) CHECK((value < 7 && times > 850 && times < 1150));
}

TEST_CASE("packed windows predict each token once an epoch, from another start each time") {
  for (int tokens : {2, 16, 17, 18, 40, 993, 1001}) {
    CAPTURE(tokens);
    auto source = packedBatches(counting(tokens), 3, 16, 5, true);
    REQUIRE(source.ok());
    for (uint32_t epoch = 0; epoch < 4; ++epoch) {
      std::multiset<int32_t> predicted;
      for (int64_t i = 0; i < (*source)->count(); ++i) {
        Batch batch = (*source)->at(epoch, i);
        CHECK(batch.seq <= 16);
        int64_t counted = 0;
        for (int64_t row = 0; row < batch.rows; ++row)
          for (int64_t t = 0; t < batch.seq; ++t) {
            auto at = static_cast<size_t>(row * batch.seq + t);
            if (t >= batch.length[static_cast<size_t>(row)]) {
              CHECK(batch.labels[at] == -1);
              continue;
            }
            CHECK(batch.labels[at] == batch.ids[at] + 1);
            predicted.insert(batch.labels[at]);
            ++counted;
          }
        CHECK(batch.counted == counted);
      }
      CHECK(predicted.size() == static_cast<size_t>(tokens - 1));
      CHECK(*predicted.begin() == 1);
      CHECK(*predicted.rbegin() == tokens - 1);
      CHECK(std::set<int32_t>(predicted.begin(), predicted.end()).size() == predicted.size());
    }
  }
  auto source = packedBatches(counting(1001), 3, 16, 5, true);
  CHECK((*source)->count() == 21); // 63 windows
  CHECK((*source)->at(2, 4).ids == (*source)->at(2, 4).ids);
  CHECK((*source)->at(2, 4).ids != (*source)->at(3, 4).ids);
  std::set<int32_t> offsets;
  for (uint32_t epoch = 0; epoch < 20; ++epoch) offsets.insert((*source)->at(epoch, 0).ids[0] % 16);
  CHECK(offsets.size() > 3);
}

TEST_CASE("windows to measure by cover the stream in order, the last one short") {
  auto source = packedBatches(counting(40), 2, 16, 0, false);
  REQUIRE(source.ok());
  REQUIRE((*source)->count() == 2);
  Batch last = (*source)->at(0, 1);
  CHECK(last.rows == 1);
  CHECK(last.seq == 7); // 39 predictions: 16 + 16 + 7
  CHECK((*source)->at(0, 0).counted + last.counted == 39);
  CHECK(packedBatches(counting(5), 4, 16, 0, true).ok());
  CHECK(packedBatches(counting(1), 4, 16, 0, true).error().message ==
        "expected at least 2 tokens to learn from, found 1");
}

TEST_CASE("a prompt is read and not learned, and texts end") {
  Tokenizer tokenizer = byteTokenizer();
  std::vector<Record> records = {{"abcd", "", 2, 1}, {"e", "", 0, 2}};
  auto stream = streamOf(records, {0, 1}, tokenizer, kEnd, "f");
  REQUIRE(stream.ok());
  CHECK(stream->ids == std::vector<TokenId>{0, 1, 2, 3, kEnd, 4, kEnd});
  CHECK(stream->learned == std::vector<uint8_t>{0, 0, 1, 1, 1, 1, 1});
  auto source = packedBatches(*stream, 1, 8, 0, false);
  Batch batch = (*source)->at(0, 0);
  CHECK(batch.labels == std::vector<int32_t>{-1, 2, 3, kEnd, 4, kEnd});
  CHECK(batch.counted == 5);
  CHECK(streamOf(records, {1, 0}, tokenizer, std::nullopt, "f")->ids == std::vector<TokenId>{4, 0, 1, 2, 3});
}

TEST_CASE(
    "ids that a tokenizer puts around a text surround a prompt with its completion, and the end comes once") {
  auto stream = streamOf({{"abcd", "", 2, 1}, {"e", "", 0, 2}}, {0, 1}, byteTokenizer(true, true), kEnd, "f");
  REQUIRE(stream.ok());
  CHECK(stream->ids == std::vector<TokenId>{kEnd, 0, 1, 2, 3, kEnd, kEnd, 4, kEnd});
  CHECK(stream->learned == std::vector<uint8_t>{0, 0, 0, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("examples sorted by length say where they were") {
  std::vector<Example> examples;
  for (size_t n : {3, 1, 2, 1}) {
    examples.emplace_back();
    examples.back().ids.assign(n, static_cast<TokenId>(examples.size() - 1));
  }
  CHECK(sortByLength(examples) == std::vector<size_t>{1, 3, 2, 0});
  for (size_t i = 0; i < 4; ++i) CHECK(examples[i].ids.size() == std::vector<size_t>{1, 1, 2, 3}[i]);
  CHECK(examples[1].ids == std::vector<TokenId>{3});
}

TEST_CASE("padded batches hold every example once, texts of like length together") {
  std::vector<Example> examples;
  for (int i = 0; i < 403; ++i)
    examples.push_back({std::vector<TokenId>(1 + static_cast<size_t>(i * 37 % 50), i), i % 3});
  auto source = paddedBatches(examples, 4, 9, true);
  REQUIRE(source->count() == 101);
  std::set<int64_t> seen;
  int64_t padded = 0, real = 0;
  for (int64_t i = 0; i < source->count(); ++i) {
    Batch batch = source->at(1, i);
    padded += batch.rows * batch.seq;
    for (size_t row = 0; row < batch.numbers.size(); ++row) {
      seen.insert(batch.numbers[row]);
      real += batch.length[row];
      CHECK(batch.labels[row] == batch.numbers[row] % 3);
      CHECK(batch.ids[row * static_cast<size_t>(batch.seq)] == batch.numbers[row]);
    }
  }
  CHECK(seen.size() == 403);
  CHECK(static_cast<double>(padded) < 1.2 * static_cast<double>(real));
  CHECK(source->at(1, 7).numbers == paddedBatches(examples, 4, 9, true)->at(1, 7).numbers);
  CHECK(source->at(1, 7).numbers != source->at(2, 7).numbers);
  CHECK(paddedBatches(examples, 4, 9, false)->at(0, 1).numbers == std::vector<int64_t>{4, 5, 6, 7});
}

TEST_CASE("long texts lose their ends, and features keep their rows") {
  size_t cut = 0;
  auto examples =
      examplesOf({{"abcdef", "x", 0, 1}, {"ab", "y", 0, 2}}, {0, 1}, byteTokenizer(), 4, "f", cut);
  REQUIRE(examples.ok());
  CHECK(cut == 1);
  CHECK((*examples)[0].ids == std::vector<TokenId>{0, 1, 2, 3});
  auto source = featureBatches({2, {1, 2, 3, 4, 5, 6}, {0, 1, 0}}, 2, 0, false);
  CHECK(source->at(0, 1).features == std::vector<float>{5, 6});
  CHECK(source->at(0, 0).labels == std::vector<int32_t>{0, 1});
}

TEST_CASE("a place in the data moves on to the next epoch") {
  auto source = featureBatches({1, {1, 2, 3}, {0, 1, 0}}, 2, 0, true);
  Position position;
  source->take(position);
  CHECK(position == Position{0, 1});
  source->take(position);
  CHECK(position == Position{1, 0});
}
