// With GPT-2's real vocabulary: the fixed examples, and equality with tiktoken on the cases of
// npm/make_cases.mjs.
#include "support/file.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/tokenizer/common.h"

#include <cstring>
#include <filesystem>

using namespace linnet;
using test::ids;

namespace {

const Tokenizer &gpt2() {
  static const Tokenizer tokenizer =
      test::take(test::take(Tokenizer::fromDirectory(test::npmFolder() + "/gpt2")));
  return tokenizer;
}

// GPT-2 with "[PAD]" as id 50259, two ids after its own being no tokens.
const Tokenizer &padded() {
  static const Tokenizer tokenizer = [] {
    TokenizerParts parts = gpt2().parts();
    parts.added.push_back(test::added("[PAD]", 50259));
    parts.pad = 50259;
    return test::take(Tokenizer::fromParts(parts));
  }();
  return tokenizer;
}

struct CaseReader {
  std::string_view rest;
  uint32_t number() {
    if (rest.size() < 4) FAIL("cases.bin ends inside a case");
    uint32_t n;
    std::memcpy(&n, rest.data(), 4);
    rest.remove_prefix(4);
    return n;
  }
  std::string_view text() {
    size_t n = number();
    if (rest.size() < n) FAIL("cases.bin ends inside a case");
    std::string_view text = rest.substr(0, n);
    rest.remove_prefix(n);
    return text;
  }
  std::vector<TokenId> ids() {
    std::vector<TokenId> ids(number());
    for (TokenId &id : ids) id = static_cast<TokenId>(number());
    return ids;
  }
};

} // namespace

TEST_CASE("GPT-2: fixed examples") {
  CHECK(ids(gpt2(), "hello world") == std::vector<TokenId>{31373, 995});
  CHECK(ids(gpt2(), "hello world hello world") == std::vector<TokenId>{31373, 995, 23748, 995});
  CHECK(ids(gpt2(), "").empty());
  CHECK(ids(gpt2(), "a<|endoftext|>b") == std::vector<TokenId>{64, 50256, 65});
  EncodeOptions as_text;
  as_text.parse_special = false;
  CHECK(ids(gpt2(), "<|endoftext|>", as_text) == std::vector<TokenId>{27, 91, 437, 1659, 5239, 91, 29});
  CHECK(gpt2().size() == 50257);
  CHECK(gpt2().idLimit() == 50257);
  CHECK(gpt2().eosId() == 50256);
  CHECK(gpt2().bosId() == 50256);
  CHECK(gpt2().unkId() == 50256);
  CHECK_FALSE(gpt2().padId());
  CHECK(gpt2().tokenSpelling(995) == "\u0120world");
  CHECK(gpt2().tokenBytes(995) == " world");
  CHECK(gpt2().tokenId("\u0120world") == 995);
  CHECK(gpt2().vocab().size() == 50257);
}

TEST_CASE("GPT-2: padding and truncation with [PAD] as id 50259") {
  EncodeOptions options;
  options.padding = Padding::MaxLength;
  options.truncation = true;
  options.max_length = 10;
  auto ten = test::take(padded().encode("hello world", options));
  CHECK(ten.ids == std::vector<TokenId>{31373, 995, 50259, 50259, 50259, 50259, 50259, 50259, 50259, 50259});
  CHECK(ten.attention_mask == std::vector<int32_t>{1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  options.max_length = 1;
  CHECK(ids(padded(), "hello world", options) == std::vector<TokenId>{31373});
  CHECK(padded().idLimit() == 50260);
  CHECK(padded().size() == 50258);
  CHECK_FALSE(padded().isToken(50257));
  CHECK(padded().tokenId("[PAD]") == 50259);
  CHECK(ids(padded(), "a[PAD]") == std::vector<TokenId>{64, 50259});
}

TEST_CASE("GPT-2: [PAD] survives its files and the binary form") {
  std::string dir = test::emptyDirectory("gpt2-padded");
  REQUIRE(padded().save(dir).ok());
  auto same = [&](const Tokenizer &other) {
    CHECK(other.vocab() == padded().vocab());
    CHECK(other.padId() == 50259);
    CHECK(other.parts().merges == padded().parts().merges);
    CHECK(ids(other, "hello[PAD] world<|endoftext|>") == ids(padded(), "hello[PAD] world<|endoftext|>"));
  };
  same(test::take(test::take(Tokenizer::fromDirectory(dir))));
  REQUIRE(std::filesystem::remove(dir + "/tokenizer.json"));
  same(test::take(test::take(Tokenizer::fromDirectory(dir))));
  std::vector<std::byte> bytes = padded().serialize();
  same(test::take(Tokenizer::fromBytes(bytes)));
}

TEST_CASE("GPT-2: equal to tiktoken on strings drawn to hurt") {
  MappedFile file = test::take(MappedFile::open(test::npmFolder() + "/cases.bin"));
  CaseReader reader{file.text()};
  EncodeOptions as_text;
  as_text.parse_special = false;
  size_t n_cases = 0, n_wrong = 0;
  for (; !reader.rest.empty(); ++n_cases) {
    std::string_view text = reader.text();
    std::vector<TokenId> expected = reader.ids(), found = ids(gpt2(), text, as_text);
    if (found == expected) continue;
    if (++n_wrong > 10) continue;
    UNSCOPED_INFO("case " << n_cases << ": " << test::hex(text) << "\n  expected " << test::list(expected)
                          << "\n  found    " << test::list(found));
  }
  CHECK(n_wrong == 0);
  CHECK(n_cases >= 100000);
}

TEST_CASE("GPT-2: decoding gives the text back, streamed or whole") {
  MappedFile file = test::take(MappedFile::open(test::npmFolder() + "/cases.bin"));
  CaseReader reader{file.text()};
  size_t n_wrong = 0;
  for (size_t i = 0; !reader.rest.empty(); ++i) {
    std::string text(reader.text());
    std::vector<TokenId> tokens = reader.ids();
    if (i % 7) continue;
    std::string whole = test::take(gpt2().decode(tokens)), streamed;
    StreamDecoder stream(gpt2());
    for (TokenId id : tokens) {
      std::string part = stream.push(id);
      n_wrong += !test::isUtf8(part);
      streamed += part;
    }
    streamed += stream.flush();
    n_wrong += streamed != whole || whole != test::replaced(text);
  }
  CHECK(n_wrong == 0);
}

TEST_CASE("GPT-2: a word of a million bytes") {
  std::string text(1000000, 'a');
  auto tokens = ids(gpt2(), text);
  CHECK(tokens == std::vector<TokenId>(250000, 24794)); // "aaaa"
  for (size_t i = 0; i < text.size(); ++i) text[i] = "abcdefghij"[(i * i + i / 7) % 10];
  CHECK(test::take(gpt2().decode(ids(gpt2(), text))) == text);
}

TEST_CASE("GPT-2: saved for Hugging Face tokenizers to read") {
  // hf.mjs reads what is written here (test tokenizer_hf).
  std::string dir = test::emptyDirectory("saved-gpt2");
  REQUIRE(gpt2().save(dir).ok());
  auto again = test::take(test::take(Tokenizer::fromDirectory(dir)));
  CHECK(again.serialize() == gpt2().serialize());
}

TEST_CASE("GPT-2: a vocabulary learned from train.txt, saved for comparison") {
  std::string text = test::take(readTextFile(test::npmFolder() + "/train.txt"));
  std::vector<std::string_view> lines; // as tokenizers reads a file
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  TrainOptions options;
  options.special_tokens = {};
  options.min_frequency = 0;
  options.vocab_size = 200000; // until nothing is left to merge
  auto tokenizer = test::take(trainBpe(lines, options));
  CHECK(tokenizer.size() < 30000); // BpeTrainer's own limit, or the two could not be compared
  REQUIRE(tokenizer.save(test::emptyDirectory("saved-trained")).ok());
  CHECK(test::take(tokenizer.decode(ids(tokenizer, text))) == text);
}

namespace {

const std::string kAdded[] = {"[PAD]", "<mask>", "<left>",        "<right>", "w0rd",
                              "ab0",   "ab0c",   "\u00e9t\u00e9", "pl4in",   "end of"};

// GPT-2 with added tokens of every kind: 0-3 are special, some absorb white space, one is a single word, some
// are matched last.
TokenizerParts withAdded() {
  TokenizerParts parts = gpt2().parts();
  for (TokenId i = 0; i < 10; ++i) {
    AddedToken token = test::added(kAdded[i], 50257 + i, i < 4);
    token.lstrip = i == 1 || i == 2;
    token.rstrip = i == 1 || i == 3;
    token.single_word = i == 4;
    token.normalized = i > 6;
    parts.added.push_back(token);
  }
  return parts;
}

// Saves the tokenizer and what it makes of random texts, for hf.mjs to compare with.
void saveForComparison(const TokenizerParts &parts, const std::string &name) {
  auto tokenizer = test::take(Tokenizer::fromParts(parts));
  std::string dir = test::emptyDirectory(name);
  REQUIRE(tokenizer.save(dir).ok());
  CHECK(test::take(test::take(Tokenizer::fromDirectory(dir))).serialize() == tokenizer.serialize());
  const char *pieces[] = {" ",
                          "  ",
                          "\n",
                          "\u3000",
                          "a",
                          "b",
                          "c",
                          "s",
                          "x_",
                          "1",
                          "hello",
                          " world",
                          ".",
                          "\u00e9",
                          "<",
                          "[PAD",
                          "<|endoftext|>",
                          "end ",
                          "of",
                          "\u0301",
                          "\u203f",
                          "\u200d",
                          "\u00b2",
                          "\u2167"};
  test::Random random;
  std::string json = "[";
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (size_t n = 1 + random.below(10); n > 0; --n)
      text += random.below(2) ? kAdded[random.below(10)] : pieces[random.below(std::size(pieces))];
    std::string ids;
    for (TokenId id : test::ids(tokenizer, text)) {
      if (!ids.empty()) ids += ',';
      ids += std::to_string(id);
    }
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
    if (i) json += ",\n";
    json.append("{\"text\":\"").append(text).append("\",\"ids\":[").append(ids).append("]}");
  }
  REQUIRE(writeTextFile(dir + "/expected.json", json + "]").ok());
}

} // namespace

TEST_CASE("GPT-2: added tokens of every kind, saved for comparison") {
  saveForComparison(withAdded(), "saved-added");
}

TEST_CASE("GPT-2: a template and the prefix space, saved for comparison") {
  TokenizerParts parts = withAdded();
  parts.add_prefix_space = true;
  parts.prefix = {50256};
  parts.suffix = {50258, 50256};
  saveForComparison(parts, "saved-prefix");
}
