// SentencePiece's tokenizer.model: the ids that the library gives (tests/clients/sentencepiece_models.py), and damage.
#include "support/file.h"
#include "support/json.h"
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/tables.h"

#include <cstring>

using namespace linnet;

namespace {

std::string folder() { return linnet::testing::sourceFolder() + "/tests/tokenizer/sentencepiece"; }

std::string bytesOfHex(const std::string &text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string problemOf(std::string_view model) {
  TokenizerParts parts;
  auto read = readSentencePiece(model, "tokenizer.model", parts);
  if (!read) return read.error().message;
  auto tokenizer = Tokenizer::fromParts(parts);
  return tokenizer ? "accepted" : tokenizer.error().message;
}

} // namespace

TEST_CASE("SentencePiece: the ids and texts that the library gives") {
  Json rows = test::take(readJsonFile(folder() + "/ids.json"));
  for (const char *kind : {"bpe", "unigram"}) {
    CAPTURE(kind);
    Tokenizer tokenizer = test::take(test::take(Tokenizer::fromDirectory(folder() + "/" + kind)));
    CHECK(tokenizer.bosId() == 1);
    CHECK(test::ids(tokenizer, "the").front() == 1);
    // The binary form and the saved tokenizer.json give the same.
    std::string directory = test::emptyDirectory(kind);
    REQUIRE(tokenizer.save(directory).ok());
    Tokenizer saved = test::take(test::take(Tokenizer::fromDirectory(directory)));
    const std::vector<std::byte> bytes = tokenizer.serialize(); // the tokenizer reads them in place
    Tokenizer stored = test::take(Tokenizer::fromBytes(bytes));
    EncodeOptions plain;
    plain.add_special_tokens = false;
    for (size_t i = 0; i < rows["texts"].size(); ++i) {
      std::string text = bytesOfHex(rows["texts"][i]);
      CAPTURE(test::hex(text));
      auto expected = rows[kind][i].get<std::vector<TokenId>>();
      CHECK(test::ids(tokenizer, text, plain) == expected);
      CHECK(test::ids(saved, text, plain) == expected);
      CHECK(test::ids(stored, text, plain) == expected);
      CHECK(test::take(tokenizer.decode(expected)) == bytesOfHex(rows[std::string(kind) + " decoded"][i]));
    }
  }
}

TEST_CASE("SentencePiece: damaged files are refused, or do no harm") {
  std::string model = test::take(readTextFile(folder() + "/bpe/tokenizer.model"));
  CHECK(problemOf(model) == "accepted");
  CHECK_THAT(problemOf(""), Catch::Contains("it has no pieces"));
  CHECK_THAT(problemOf("\x0A"), Catch::Contains("a number is cut short"));
  CHECK_THAT(problemOf("\x0A\x7F"), Catch::Contains("a field of 127 bytes, but 0 are left"));
  CHECK_THAT(problemOf("\x0B"), Catch::Contains("a field of wire type 3"));
  CHECK_THAT(problemOf(std::string("\x0A\x00", 2)), Catch::Contains("piece 0: expected UTF-8 text"));
  for (size_t n = 0; n < model.size(); n += 7) problemOf(std::string_view(model).substr(0, n));
  test::Random random;
  for (int i = 0; i < 500; ++i) {
    std::string changed = model;
    for (size_t n = 1 + random.below(3); n > 0; --n)
      changed[random.below(changed.size())] = static_cast<char>(random.below(256));
    CHECK_FALSE(problemOf(changed).empty());
  }
}

TEST_CASE("SentencePiece: damaged binary tables are refused, or do no harm") {
  for (const char *kind : {"bpe", "unigram"}) {
    Tokenizer tokenizer = test::take(test::take(Tokenizer::fromDirectory(folder() + "/" + kind)));
    const std::vector<std::byte> bytes = tokenizer.serialize();
    test::Random random;
    for (int i = 0; i < 3000; ++i) {
      std::vector<std::byte> changed = bytes;
      for (size_t n = 1 + random.below(3); n > 0; --n) {
        constexpr size_t kAfterChecksum = 32;
        size_t at = kAfterChecksum + random.below(changed.size() - kAfterChecksum);
        changed[at] = std::byte(random.below(3) ? random.below(256) : 255);
      }
      const uint64_t checksum = TokenizerTables::checksumOf(changed);
      std::memcpy(changed.data() + offsetof(TokenizerTables::Header, checksum), &checksum, sizeof checksum);
      auto damaged = Tokenizer::fromBytes(changed);
      if (!damaged) continue;
      auto encoded = damaged->encode("the quick brown dog doesn't\xff \u4e2d<s> 2024");
      if (!encoded) continue;
      auto whole = damaged->decode(encoded->ids);
      if (!whole) continue;
      StreamDecoder stream(*damaged);
      std::string streamed;
      for (TokenId id : encoded->ids) streamed += stream.push(id);
      CHECK(streamed + stream.flush() == *whole);
    }
  }
}
