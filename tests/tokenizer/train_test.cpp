// Training against the definition, recomputed from scratch at every step.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/split.h"

#include <map>

using namespace linnet;

namespace {

using Word = std::vector<TokenId>;

// The merges that the definition in train.h gives; ids as trainBpe numbers them without special tokens.
std::vector<std::string> naiveMerges(std::string_view text, size_t n_merges, size_t min_frequency,
                                     const Tokenizer &start) {
  std::map<Word, size_t> words;
  std::vector<std::string> spelling;
  for (TokenId id = 0; id < 256; ++id) spelling.push_back(start.tokenSpelling(id));
  for (size_t at = 0, end; at < text.size(); at = end) {
    end = wordEnd(text, at);
    Word word;
    for (char c : text.substr(at, end - at))
      word.push_back(*start.tokenId(byte_level::spell(std::string(1, c))));
    ++words[word];
  }
  std::vector<std::string> merges;
  while (merges.size() < n_merges) {
    std::map<std::pair<TokenId, TokenId>, size_t> pairs;
    for (const auto &[word, count] : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) pairs[{word[i], word[i + 1]}] += count;
    std::pair<TokenId, TokenId> best;
    size_t most = 0;
    for (const auto &[pair, count] : pairs)
      if (count > most) best = pair, most = count; // in order of pairs: the first of equals
    if (most < std::max<size_t>(1, min_frequency)) break;
    merges.push_back(spelling[static_cast<size_t>(best.first)] + ' ' +
                     spelling[static_cast<size_t>(best.second)]);
    spelling.push_back(spelling[static_cast<size_t>(best.first)] +
                       spelling[static_cast<size_t>(best.second)]);
    std::map<Word, size_t> joined;
    for (const auto &[word, count] : words) {
      Word shorter;
      for (size_t i = 0; i < word.size(); ++i) {
        bool here = word[i] == best.first && i + 1 < word.size() && word[i + 1] == best.second;
        shorter.push_back(here ? static_cast<TokenId>(spelling.size() - 1) : word[i]);
        i += here;
      }
      joined[shorter] += count;
    }
    words = std::move(joined);
  }
  return merges;
}

Tokenizer train(std::string_view text, TrainOptions options) {
  return test::take(trainBpe(std::span(&text, 1), options));
}

TrainOptions plain(size_t vocab_size, size_t min_frequency = 2) {
  TrainOptions options;
  options.special_tokens = {};
  options.vocab_size = vocab_size;
  options.min_frequency = min_frequency;
  return options;
}

} // namespace

TEST_CASE("Train: merges are those of the definition") {
  test::Random random;
  Tokenizer start = train("", plain(256));
  for (int round = 0; round < 15; ++round) {
    // Few letters and many runs: ties, overlaps, tokens that arise in two ways.
    std::string text;
    for (size_t n = 30 + random.below(200); n > 0; --n) {
      for (size_t k = 1 + random.below(6); k > 0; --k)
        text.append(1 + random.below(round % 5 + 1), "abcde\xc3\xa9"[random.below(4)]);
      text += random.below(4) ? " " : "\n";
    }
    size_t min_frequency = 1 + random.below(3);
    Tokenizer tokenizer = train(text, plain(256 + 60, min_frequency));
    auto merges = tokenizer.parts().merges, expected = naiveMerges(text, merges.size(), min_frequency, start);
    // Where a merge makes a token that was there already, the definition above, which numbers it anew, parts
    // ways.
    std::map<std::string, int> made;
    size_t same = 0;
    for (; same < expected.size(); ++same) {
      std::string joined = expected[same];
      joined.erase(joined.find(' '), 1);
      if (++made[joined] > 1) break;
    }
    REQUIRE(same > 10);
    CHECK(std::vector(merges.begin(), merges.begin() + static_cast<ptrdiff_t>(same)) ==
          std::vector(expected.begin(), expected.begin() + static_cast<ptrdiff_t>(same)));
  }
}

TEST_CASE("Train: ids begin with special tokens and GPT-2's order of bytes") {
  TrainOptions options;
  options.special_tokens = {"<|endoftext|>", "[PAD]"};
  options.vocab_size = 258;
  Tokenizer tokenizer = train("whatever", options);
  CHECK(tokenizer.size() == 258);
  CHECK(tokenizer.eosId() == 0);
  CHECK(tokenizer.isSpecial(1));
  CHECK(tokenizer.tokenBytes(2) == "!");
  CHECK(tokenizer.tokenBytes(2 + 31) == "@");
  CHECK(tokenizer.tokenSpelling(2 + 220) == "\u0120");
}

TEST_CASE("Train: what is learned is used, saved and read back") {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "the cat sat on the mat, the cat's mat. ";
  Tokenizer tokenizer = train(text, plain(300));
  auto ids = test::ids(tokenizer, text);
  CHECK(ids.size() < text.size() / 3);
  CHECK(test::take(tokenizer.decode(ids)) == text);
  std::string dir = test::emptyDirectory("trained");
  REQUIRE(tokenizer.save(dir).ok());
  CHECK(test::take(test::take(Tokenizer::fromDirectory(dir))).serialize() == tokenizer.serialize());
}

TEST_CASE("Train: only content counts") {
  std::string_view texts[] = {"one two three one two", "three three \xff two", "one one one"};
  std::string_view other[] = {texts[2], texts[0], texts[1]};
  CHECK(test::take(trainBpe(texts, plain(290))).serialize() ==
        test::take(trainBpe(other, plain(290))).serialize());
}

TEST_CASE("Train: ends when no pair is frequent enough") {
  CHECK(train("aaaa bbbb", plain(1000, 100)).size() == 256);
  CHECK(train("", plain(1000)).size() == 256);
  CHECK(train("ab ab ab cd", plain(1000, 2)).parts().merges == std::vector<std::string>{"a b", "\u0120 ab"});
}

TEST_CASE("Train: special tokens in the text are borders") {
  TrainOptions options;
  options.vocab_size = 300;
  std::string text;
  for (int i = 0; i < 20; ++i) text += "end<|endoftext|>of\n";
  for (const auto &[spelling, id] : train(text, options).vocab())
    if (id > 256) CHECK((spelling == "en" || spelling == "end" || spelling == "of" || spelling == "nd"));
}

TEST_CASE("Train: progress, and stopping") {
  std::string text;
  test::Random random;
  for (int i = 0; i < 20000; ++i) text += "abcdefghij klmnop"[random.below(17)];
  TrainOptions options = plain(600);
  std::vector<size_t> seen;
  options.progress = [&](size_t done, size_t total) {
    CHECK(total == 600);
    seen.push_back(done);
    return true;
  };
  Tokenizer tokenizer = train(text, options);
  REQUIRE(seen.size() > 3);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() == tokenizer.size());
  options.progress = [](size_t, size_t) { return false; };
  std::string_view view = text;
  CHECK_THAT(trainBpe(std::span(&view, 1), options).error().message, Catch::Contains("cancelled"));
}

TEST_CASE("Train: impossible wishes are errors") {
  std::string_view text = "x";
  CHECK_THAT(trainBpe(std::span(&text, 1), plain(255)).error().message, Catch::Contains("256"));
  CHECK_THAT(trainBpe(std::span(&text, 1), plain(size_t(1) << 40)).error().message,
             Catch::Contains("expected a vocabulary"));
  TrainOptions options;
  options.special_tokens = {"x", "x"};
  CHECK_THAT(trainBpe(std::span(&text, 1), options).error().message, Catch::Contains("two"));
  options.special_tokens = {"\u0120the"};
  CHECK_THAT(trainBpe(std::span(&text, 1), options).error().message,
             Catch::Contains("spelling of other bytes"));
  options.special_tokens = {""};
  CHECK_FALSE(trainBpe(std::span(&text, 1), options).ok());
}
