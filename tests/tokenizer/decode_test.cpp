// Decoding, whole and streamed.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"

using namespace linnet;
using test::small;

namespace {

std::string randomUtf8(test::Random &random) {
  const char *pieces[] = {"the", " dog", "\n", "\u00e9", "\u4e2d", "\U0001F600",    "\u200d",
                          "'ll", "  ",   "\t", "42",     "\u0301", "<|endoftext|>", "\x01"};
  std::string text;
  for (size_t n = random.below(20); n > 0; --n) text += pieces[random.below(std::size(pieces))];
  return text;
}

} // namespace

TEST_CASE("Decode: gives well-formed text back") {
  test::Random random;
  for (int i = 0; i < 2000; ++i) {
    std::string text = randomUtf8(random);
    CHECK(test::take(small().decode(test::ids(small(), text))) == text);
  }
}

TEST_CASE("Decode: ids that are no tokens are errors") {
  for (TokenId id : {-1, 400, 1 << 30, std::numeric_limits<TokenId>::min()}) {
    TokenId ids[] = {1, id};
    CHECK_THAT(small().decode(ids).error().message,
               Catch::Contains("id " + std::to_string(id) + " at position 1"));
    CHECK(small().tokenBytes(id).empty());
    CHECK(small().tokenSpelling(id).empty());
    CHECK_FALSE(small().isToken(id));
    CHECK_FALSE(small().isSpecial(id));
  }
}

TEST_CASE("Stream: any sequence of ids, never half a character, the same text in the end") {
  test::Random random;
  for (int i = 0; i < 3000; ++i) {
    std::vector<TokenId> ids;
    for (size_t n = random.below(24); n > 0; --n)
      ids.push_back(static_cast<TokenId>(random.below(i % 2 ? 257 : 400)));
    StreamDecoder stream(small());
    std::string text;
    for (TokenId id : ids) {
      std::string part = stream.push(id);
      CHECK(test::isUtf8(part));
      text += part;
    }
    text += stream.flush();
    CHECK(text == test::take(small().decode(ids)));
    CHECK(text == test::replaced(test::take(small().decodeBytes(ids))));
    CHECK(stream.flush().empty());
  }
}

TEST_CASE("Stream: a character comes with its last byte") {
  auto byte = [](unsigned char b) { // the token of one byte
    for (TokenId id = 0; id < 300; ++id)
      if (small().tokenBytes(id) == std::string(1, static_cast<char>(b))) return id;
    return -1;
  };
  StreamDecoder stream(small());
  CHECK(stream.push(byte(0xF0)).empty());
  CHECK(stream.push(byte(0x9F)).empty());
  CHECK(stream.push(byte(0x98)).empty());
  CHECK(stream.push(byte(0x80)) == "\U0001F600");
  CHECK(stream.push(byte(0xE4)).empty());
  CHECK(stream.push(byte('x')) == "\uFFFDx");
  CHECK(stream.push(byte(0xC0)) == "\uFFFD");
  CHECK(stream.push(byte(0xE4)).empty());
  CHECK(stream.push(byte(0xB8)).empty());
  CHECK(stream.push(-5).empty());    // no token
  CHECK(stream.push(39999).empty()); // no token
  CHECK(stream.flush() == "\uFFFD");
  CHECK(stream.push(byte(0xB8)) == "\uFFFD");
}

TEST_CASE("Stream: special tokens can be left out") {
  StreamDecoder with(small()), without(small(), true);
  CHECK(with.push(0) == "<|endoftext|>");
  CHECK(without.push(0).empty());
}
