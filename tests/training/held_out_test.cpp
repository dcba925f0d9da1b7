// Checks what is held out of few texts: whole records or a range, never the end of the training texts.
#include "tests/catch.h"
#include "tests/training/byte_tokenizer.h"
#include "training/held_out.h"

using namespace linnet;
using namespace linnet::training;
using linnet::testing::byteTokenizer;
using linnet::testing::kEnd;

namespace {

std::vector<Record> withPrompts(size_t count) {
  std::vector<Record> records;
  for (size_t i = 0; i < count; ++i)
    records.push_back({"question answer", "", 8, static_cast<int64_t>(i) + 1});
  return records;
}

std::vector<Record> plain(std::vector<std::string> texts) {
  std::vector<Record> records;
  for (std::string &text : texts)
    records.push_back({std::move(text), "", 0, static_cast<int64_t>(records.size()) + 1});
  return records;
}

std::string words(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += i % 3 ? " cat" : " horse";
  return text.substr(1);
}

} // namespace

TEST_CASE("few records with prompts are held out whole, or not at all") {
  CHECK(splitTexts(withPrompts(12), 0.1, 0).held_out.size() == 1);
  CHECK(splitTexts(withPrompts(4), 0.1, 0).held_out.empty());
  CHECK(splitTexts(withPrompts(1), 0.9, 0).held_out.empty());
  CHECK(splitTexts(withPrompts(20), 0.1, 0).held_out.size() == 2);
  for (size_t count : {1, 4, 12, 20, 100}) {
    Split split = splitTexts(withPrompts(count), 0.1, 0);
    CHECK(split.stretches.empty());
    CHECK(split.train.size() + split.held_out.size() == count);
  }
  std::vector<Record> mixed = plain({words(400)});
  mixed.push_back(withPrompts(1)[0]);
  CHECK(splitTexts(mixed, 0.1, 0).stretches.empty());
  CHECK(splitTexts(plain(std::vector<std::string>(12, "a short text")), 0.1, 0).held_out.size() == 1);
  CHECK(splitTexts(plain({words(400)}), 0, 0).stretches.empty());
}

TEST_CASE("a stretch of a long text is held out, between words, and its end is learned") {
  const std::string text = words(500);
  for (double share : {0.05, 0.1, 0.5, 0.9}) {
    std::vector<Record> records = plain({text, "too short"});
    Split split = splitTexts(records, share, 0);
    CHECK(split.train == std::vector<size_t>{0, 1});
    CHECK(split.held_out.empty());
    REQUIRE(split.stretches.size() == 1);
    const Stretch &stretch = split.stretches[0];
    CHECK(stretch.record == 0);
    CHECK(text[stretch.begin] == ' ');
    CHECK(text[stretch.end] == ' ');
    auto held = static_cast<double>(stretch.end - stretch.begin), size = static_cast<double>(text.size());
    CHECK(std::abs(held - share * size) < 10); // no word is longer
    CHECK(text.size() - stretch.end > 20);
    CHECK(describe(split, 2) ==
          fmt::format("held out: a stretch before the end of 1 of 2 texts, {} bytes in all",
                      stretch.end - stretch.begin));
  }
}

TEST_CASE("characters of several bytes are not cut") {
  std::string text;
  for (int i = 0; i < 700; ++i) text += "\xE7\x8C\xAB"; // no white space at all
  Split split = splitTexts(plain({text}), 0.1, 0);
  REQUIRE(split.stretches.size() == 1);
  CHECK(split.stretches[0].begin % 3 == 0);
  CHECK(split.stretches[0].end % 3 == 0);
}

TEST_CASE("the streams hold every byte once; the first token after a cut is not learned") {
  const std::string text = words(400);
  std::vector<Record> records = plain({text, "abc"});
  Split split = splitTexts(records, 0.1, 0);
  REQUIRE(split.stretches.size() == 1);
  size_t begin = split.stretches[0].begin, end = split.stretches[0].end;
  auto streams = streamsOf(records, split, byteTokenizer(), kEnd, "f");
  REQUIRE(streams.ok());
  const TokenStream &train = streams->train, &held_out = streams->held_out;
  CHECK(held_out.ids.size() == end - begin);
  CHECK(train.ids.size() == text.size() - (end - begin) + 1 + 3 + 1);
  CHECK(train.ids[train.ids.size() - 5] == kEnd);
  CHECK(train.ids.back() == kEnd);
  for (size_t i = 0; i < train.ids.size(); ++i) CHECK(train.learned[i] == (i != begin));
  for (size_t i = 0; i < held_out.ids.size(); ++i) CHECK(held_out.learned[i] == (i != 0));
  CHECK(std::count(held_out.ids.begin(), held_out.ids.end(), kEnd) == 0);
}

TEST_CASE("whole records end in both streams") {
  std::vector<Record> records = withPrompts(12);
  Split split = splitTexts(records, 0.1, 0);
  auto streams = streamsOf(records, split, byteTokenizer(), kEnd, "f");
  REQUIRE(streams.ok());
  CHECK(std::count(streams->train.ids.begin(), streams->train.ids.end(), kEnd) == 11);
  CHECK(std::count(streams->held_out.ids.begin(), streams->held_out.ids.end(), kEnd) == 1);
  CHECK(streams->held_out.learned.back() == 1);
  CHECK(describe(split, 12) == "held out: 1 of 12 texts");
  CHECK(describe(splitTexts(records, 0, 0), 12) == "held out: nothing");
}

TEST_CASE("the end of a text is the tokenizer's token, or the one at which the model's texts stop") {
  Tokenizer with = byteTokenizer(), without = byteTokenizer(false);
  const std::vector<int64_t> none, own = {3, kEnd}, other = {5, 3};
  CHECK(endOfText(with, none) == kEnd);
  CHECK(endOfText(with, own) == kEnd);
  CHECK(endOfText(with, other) == 5);
  CHECK(endOfText(without, other) == 5);
  CHECK(endOfText(without, none) == std::nullopt);
}
