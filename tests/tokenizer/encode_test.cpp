// Encoding: merges against a naive reference, options, padding, truncation, added tokens.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/split.h"

#include <map>
#include <set>

using namespace linnet;
using test::ids;
using test::small;
using Ids = std::vector<TokenId>;

namespace {

// Byte-pair merging as one would explain it: find the best pair, join its leftmost occurrence, start again.
Ids naive(const TokenizerParts &parts, std::string_view word) {
  std::map<std::string, TokenId> id_of;
  for (size_t i = 0; i < parts.tokens.size(); ++i) id_of[parts.tokens[i]] = static_cast<TokenId>(i);
  std::map<std::string, size_t> rank_of;
  for (size_t i = 0; i < parts.merges.size(); ++i) rank_of[parts.merges[i]] = i;
  std::vector<std::string> symbols;
  for (char c : word) symbols.push_back(byte_level::spell(std::string(1, c)));
  for (;;) {
    size_t best = parts.merges.size(), where = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      if (auto it = rank_of.find(symbols[i] + ' ' + symbols[i + 1]); it != rank_of.end() && it->second < best)
        best = it->second, where = i;
    if (best == parts.merges.size()) break;
    symbols[where] += symbols[where + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(where) + 1);
  }
  Ids ids;
  for (const std::string &s : symbols) ids.push_back(id_of.at(s));
  return ids;
}

// All bytes, then random merges of what is there: no training would give such a table.
TokenizerParts randomParts(test::Random &random, size_t n_merges) {
  TokenizerParts parts;
  for (int b = 0; b < 256; ++b)
    parts.tokens.push_back(byte_level::spell(std::string(1, static_cast<char>(b))));
  std::vector<size_t> pool = {'a', 'b', 'c'};
  std::map<std::string, size_t> known;
  std::set<std::string> merges;
  for (size_t i = 0; i < n_merges; ++i) {
    size_t left = pool[random.below(pool.size())], right = pool[random.below(pool.size())];
    if (parts.tokens[left].size() + parts.tokens[right].size() > 12) continue;
    if (!merges.insert(parts.tokens[left] + ' ' + parts.tokens[right]).second) continue;
    parts.merges.push_back(parts.tokens[left] + ' ' + parts.tokens[right]);
    std::string joined = parts.tokens[left] + parts.tokens[right];
    if (auto [it, is_new] = known.emplace(joined, parts.tokens.size()); is_new) {
      pool.push_back(parts.tokens.size());
      parts.tokens.push_back(joined);
    }
  }
  // Ranks in another order than the tokens arose.
  for (size_t i = parts.merges.size(); i > 1; --i)
    std::swap(parts.merges[i - 1], parts.merges[random.below(i)]);
  return parts;
}

} // namespace

TEST_CASE("Encode: merges as the naive way, short and long words, any table") {
  test::Random random;
  for (int table = 0; table < 12; ++table) {
    TokenizerParts parts = randomParts(random, 5 + random.below(120));
    Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
    for (int i = 0; i < 60; ++i) {
      std::string word;
      for (size_t n = 1 + random.below(i % 10 ? 40 : 300); n > 0; --n)
        word.append(random.below(6) ? 1 : random.below(9), "abc"[random.below(3)]);
      if (word.empty()) continue;
      CHECK(ids(tokenizer, word) == naive(parts, word));
    }
  }
}

TEST_CASE("Encode: the cache of words changes nothing") {
  test::Random random;
  TokenizerParts parts = small().parts();
  std::string text;
  for (int i = 0; i < 1500; ++i)
    text +=
        std::string(random.below(2), ' ') + std::string(1 + random.below(4), "xyzq"[random.below(4)]) + "!";
  Ids expected;
  for (size_t at = 0; at < text.size();) {
    size_t end = wordEnd(text, at);
    Ids word = naive(parts, text.substr(at, end - at));
    expected.insert(expected.end(), word.begin(), word.end());
    at = end;
  }
  CHECK(ids(small(), text) == expected);
}

TEST_CASE("Encode: special tokens as tokens or as text") {
  EncodeOptions as_text;
  as_text.parse_special = false;
  CHECK(ids(small(), "<|endoftext|>") == Ids{0});
  Ids parsed = ids(small(), "the<|endoftext|> dog");
  CHECK(std::count(parsed.begin(), parsed.end(), 0) == 1);
  Ids text = ids(small(), "the<|endoftext|> dog", as_text);
  CHECK(std::count(text.begin(), text.end(), 0) == 0);
  CHECK(test::take(small().decode(text)) == "the<|endoftext|> dog");
  CHECK(test::take(small().decode(parsed)) == "the<|endoftext|> dog");
  CHECK(test::take(small().decode(parsed, true)) == "the dog");
}

TEST_CASE("Encode: ill-formed UTF-8 is U+FFFD, one for each maximal subpart") {
  auto same = [](std::string_view bad, std::string_view good) {
    CHECK(ids(small(), bad) == ids(small(), good));
  };
  same("a\xFFz", "a\uFFFDz");
  same("\xE4\xB8", "\uFFFD"); // cut short: one
  same("\xE4\xB8z", "\uFFFDz");
  same("\xC0\xAF", "\uFFFD\uFFFD");           // overlong: one a byte
  same("\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"); // a surrogate
  same("\xF0\x9F\x98\xF0\x9F\x98\x80", "\uFFFD\U0001F600");
  same("\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"); // above U+10FFFF
  same("\x80\x80", "\uFFFD\uFFFD");
  CHECK(test::take(small().decode(ids(small(), "\uFEFFx"))) == "\uFEFFx"); // a byte order mark is text
}

TEST_CASE("Encode: padding and truncation") {
  TokenizerParts parts = small().parts();
  parts.added.push_back(test::added("[PAD]", 500));
  parts.pad = 500;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  std::string_view texts[] = {"the dog", "the quick brown fox", ""};
  Ids fox = ids(tokenizer, texts[1]), dog = ids(tokenizer, texts[0]);
  REQUIRE(fox.size() > dog.size());

  EncodeOptions options;
  options.padding = Padding::Longest;
  auto batch = test::take(tokenizer.encodeBatch(texts, options));
  REQUIRE(batch.size() == 3);
  Ids expected = dog;
  expected.resize(fox.size(), 500);
  CHECK(batch[0].ids == expected);
  CHECK(batch[1].ids == fox);
  CHECK(batch[2].ids == Ids(fox.size(), 500));
  CHECK(batch[1].attention_mask == std::vector<int32_t>(fox.size(), 1));
  CHECK(batch[2].attention_mask == std::vector<int32_t>(fox.size(), 0));

  options.padding_side = Side::Left;
  batch = test::take(tokenizer.encodeBatch(texts, options));
  CHECK(Ids(batch[0].ids.end() - static_cast<ptrdiff_t>(dog.size()), batch[0].ids.end()) == dog);
  CHECK(batch[0].ids.front() == 500);
  CHECK(batch[0].attention_mask.front() == 0);
  CHECK(batch[0].attention_mask.back() == 1);

  options = {};
  options.truncation = true;
  options.max_length = 2;
  CHECK(ids(tokenizer, texts[1], options) == Ids(fox.begin(), fox.begin() + 2));
  options.truncation_side = Side::Left;
  CHECK(ids(tokenizer, texts[1], options) == Ids(fox.end() - 2, fox.end()));
  options.max_length = 0;
  CHECK(ids(tokenizer, texts[1], options).empty());

  options = {}; // without truncation, longer texts stay as they are
  options.padding = Padding::MaxLength;
  options.max_length = 1;
  CHECK(ids(tokenizer, texts[1], options) == fox);
}

TEST_CASE("Encode: settings that cannot be met are errors") {
  EncodeOptions options;
  options.padding = Padding::Longest;
  CHECK_THAT(small().encode("x", options).error().message, Catch::Contains("no padding token"));
  options.pad_id = 7;
  CHECK(small().encode("x", options).ok());
  options.padding = Padding::MaxLength;
  CHECK_THAT(small().encode("x", options).error().message, Catch::Contains("max_length"));
  options.max_length = size_t(1) << 40;
  CHECK_THAT(small().encode("x", options).error().message, Catch::Contains("too many"));
  options = {};
  options.truncation = true;
  CHECK_THAT(small().encode("x", options).error().message, Catch::Contains("max_length"));

  TokenizerParts parts = small().parts();
  parts.model_max_length = 3;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  CHECK(ids(tokenizer, "one two three four five", options).size() == 3);
}

TEST_CASE("Encode: templates and the prefix space") {
  TokenizerParts parts = small().parts();
  parts.prefix = {0};
  parts.suffix = {0};
  parts.add_prefix_space = true;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  Ids plain = ids(small(), " the dog"), around = plain;
  around.insert(around.begin(), 0);
  around.push_back(0);
  CHECK(ids(tokenizer, "the dog") == around);
  CHECK(ids(tokenizer, " the dog") == around);
  EncodeOptions options;
  options.add_special_tokens = false;
  CHECK(ids(tokenizer, "the dog", options) == plain);
  options = {};
  options.truncation = true;
  options.max_length = 3;
  CHECK(ids(tokenizer, "the dog", options) == Ids{0, plain[0], 0});
  options.max_length = 1;
  CHECK_THAT(tokenizer.encode("x", options).error().message, Catch::Contains("cannot truncate"));
}

TEST_CASE("Encode: a vocabulary that lacks bytes") {
  TokenizerParts parts;
  parts.tokens = {"a", "b", "ab", "<unk>"};
  parts.merges = {"a b"};
  auto made = [&] { return test::take(Tokenizer::fromParts(parts)); };
  const std::string wide(60, 'c'), narrow = "acbccab"; // longer than what is merged by scanning, and shorter
  CHECK(ids(made(), "aba") == Ids{2, 0});
  CHECK_FALSE(made().hasAllBytes());
  CHECK(small().hasAllBytes());
  SECTION("is refused") {
    CHECK_THAT(made().encode("abc").error().message, Catch::Contains("0x63"));
    CHECK_THAT(made().encode(wide).error().message, Catch::Contains("0x63"));
    parts.unk = 3; // a role, no rule
    CHECK_THAT(made().encode("abc").error().message, Catch::Contains("0x63"));
  }
  SECTION("is dropped before neighbours merge") {
    parts.missing_byte = MissingByte::Dropped;
    CHECK(ids(made(), narrow) == Ids{2, 2});
    CHECK(ids(made(), narrow + wide + narrow) == Ids{2, 2, 2, 2});
    CHECK(ids(made(), wide).empty());
    CHECK(ids(made(), "c c c" + wide).empty());
  }
  SECTION("is skipped after neighbours merged") {
    parts.missing_byte = MissingByte::Skipped;
    CHECK(ids(made(), narrow) == Ids{0, 1, 2});
    CHECK(ids(made(), narrow + wide + narrow) == Ids{0, 1, 2, 0, 1, 2});
    CHECK(ids(made(), wide).empty());
  }
  SECTION("becomes the unknown token, each alone or a run at once") {
    parts.missing_byte = MissingByte::Unknown;
    CHECK_THAT(Tokenizer::fromParts(parts).error().message, Catch::Contains("missing bytes has id -1"));
    parts.unknown_byte = 3;
    CHECK(ids(made(), "abca") == Ids{2, 3, 0});
    CHECK(ids(made(), narrow) == Ids{0, 3, 1, 3, 3, 2});
    CHECK(ids(made(), wide) == Ids(60, 3));
    parts.fuse_unknown = true;
    CHECK(ids(made(), narrow) == Ids{0, 3, 1, 3, 2});
    CHECK(ids(made(), wide) == Ids{3});
    CHECK(ids(made(), "cc cc") == Ids{3, 3}); // a run ends with its word
  }
}

TEST_CASE("Encode: the rule for missing bytes is kept where bytes are missing, and nowhere else") {
  TokenizerParts parts;
  parts.tokens = {"a", "b", "ab", "<unk>"};
  parts.merges = {"a b"};
  for (MissingByte rule :
       {MissingByte::Refused, MissingByte::Dropped, MissingByte::Skipped, MissingByte::Unknown}) {
    parts.missing_byte = rule;
    parts.unknown_byte = rule == MissingByte::Unknown ? 3 : -1;
    parts.fuse_unknown = rule == MissingByte::Unknown;
    TokenizerParts kept = test::take(Tokenizer::fromParts(parts)).parts();
    CHECK(kept.missing_byte == rule);
    CHECK(kept.unknown_byte == parts.unknown_byte);
    CHECK(kept.fuse_unknown == parts.fuse_unknown);
  }
  TokenizerParts whole = small().parts();
  whole.missing_byte = MissingByte::Dropped;
  CHECK(test::take(Tokenizer::fromParts(whole)).serialize() == small().serialize());
}

TEST_CASE("Encode: which characters beside a single word make it part of another word") {
  TokenizerParts parts = small().parts();
  parts.added.push_back(test::added("foo", 500, false));
  parts.added.back().single_word = true;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  auto found = [&](const std::string &text) {
    Ids all = ids(tokenizer, text);
    return std::count(all.begin(), all.end(), 500) == 1;
  };
  // Marks, connecting punctuation, joiners, decimal digits, letter numbers, circled letters: parts of a word.
  for (const char *word : {"b", "_", "0", "\u0301", "\u0903", "\u203F", "\u200C", "\u200D", "\u0663",
                           "\u2167", "\u24B6", "\U000E0100", "\u4E2D"}) {
    CAPTURE(test::hex(word));
    CHECK_FALSE(found(std::string("foo") + word));
    CHECK_FALSE(found(std::string(word) + "foo"));
  }
  // Other numbers, spaces that join, punctuation and symbols are not.
  for (const char *other : {"", " ", "-", ".", "\u00B2", "\u00BD", "\u2460", "\u2060", "\u200B", "\uFEFF",
                            "\u00A0", "\U0001F600"}) {
    CAPTURE(test::hex(other));
    CHECK(found(std::string("foo") + other));
    CHECK(found(std::string(other) + "foo"));
  }
}

TEST_CASE("Encode: ignore_merges takes a word that is a token whole") {
  TokenizerParts parts;
  parts.tokens = {"a", "b", "c", "ab", "abc"}; // "abc" cannot be reached by merges
  parts.merges = {"a b"};
  CHECK(ids(test::take(Tokenizer::fromParts(parts)), "abc") == Ids{3, 2});
  parts.ignore_merges = true;
  CHECK(ids(test::take(Tokenizer::fromParts(parts)), "abc") == Ids{4});
}

TEST_CASE("Encode: of equal merges the last counts") {
  TokenizerParts parts;
  parts.tokens = {"a", "b", "c", "ab", "bc"};
  parts.merges = {"a b", "b c", "a b"};
  CHECK(ids(test::take(Tokenizer::fromParts(parts)), "abc") == Ids{0, 4});
}
