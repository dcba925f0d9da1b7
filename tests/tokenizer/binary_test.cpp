// The binary form: used in place, and every damage noticed.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/tables.h"

#include <cstring>

using namespace linnet;
using test::ids;
using test::small;
using Tables = TokenizerTables;

namespace {

std::string error(std::span<const std::byte> bytes) {
  auto result = Tokenizer::fromBytes(bytes);
  return result.ok() ? "accepted" : result.error().message;
}

// Applies `change` to the header and makes the checksum right again.
template <class Change> std::string errorAfter(Change change) {
  std::vector<std::byte> bytes = small().serialize();
  Tables::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  change(header, bytes);
  std::memcpy(bytes.data(), &header, sizeof header);
  header.checksum = Tables::checksumOf(bytes);
  std::memcpy(bytes.data(), &header, sizeof header);
  return error(bytes);
}

template <class T> void store(std::vector<std::byte> &bytes, uint64_t at, T value) {
  REQUIRE(at + sizeof value <= bytes.size());
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

} // namespace

TEST_CASE("Binary: the same tokenizer, from aligned and from unaligned bytes") {
  std::vector<std::byte> bytes = small().serialize(), shifted(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
  for (auto view : {std::span<const std::byte>(bytes), std::span<const std::byte>(shifted).subspan(1)}) {
    Tokenizer tokenizer = test::take(Tokenizer::fromBytes(view));
    CHECK(tokenizer.vocab() == small().vocab());
    CHECK(tokenizer.serialize() == bytes);
    CHECK(ids(tokenizer, "the quick dog<|endoftext|>") == ids(small(), "the quick dog<|endoftext|>"));
  }
}

TEST_CASE("Binary: aligned bytes are used where they lie, the owner keeps them") {
  auto owner = std::make_shared<std::vector<std::byte>>(small().serialize());
  const auto *begin = reinterpret_cast<const char *>(owner->data()), *end = begin + owner->size();
  std::weak_ptr<std::vector<std::byte>> watch = owner;
  {
    std::span<const std::byte> view = *owner;
    Tokenizer tokenizer = test::take(Tokenizer::fromBytes(view, std::move(owner)));
    CHECK(tokenizer.tokenBytes(300).data() >= begin);
    CHECK(tokenizer.tokenBytes(300).data() < end);
    CHECK_FALSE(watch.expired());
    CHECK(test::take(tokenizer.decode(ids(tokenizer, "still there"))) == "still there");
  }
  CHECK(watch.expired());
}

TEST_CASE("Binary: cut short anywhere") {
  std::vector<std::byte> bytes = small().serialize();
  size_t n_accepted = 0;
  for (size_t n = 0; n < bytes.size(); ++n) n_accepted += error(std::span(bytes).first(n)) == "accepted";
  CHECK(n_accepted == 0);
  bytes.resize(bytes.size() + 8);
  CHECK_THAT(error(bytes), Catch::Contains("truncated or damaged"));
  CHECK_THAT(error({}), Catch::Contains("expected at least"));
}

TEST_CASE("Binary: one byte changed anywhere") {
  std::vector<std::byte> bytes = small().serialize();
  size_t n_accepted = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte(1 << at % 8);
    n_accepted += error(bytes) == "accepted";
    bytes[at] ^= std::byte(1 << at % 8);
  }
  CHECK(n_accepted == 0);
  CHECK(error(bytes) == "accepted");
}

TEST_CASE("Binary: damage with a right checksum is refused, or does no harm") {
  // A byte anywhere set to extremes: what is accepted must be usable.
  std::vector<std::byte> bytes = small().serialize();
  test::Random random;
  for (int i = 0; i < 4000; ++i) {
    std::vector<std::byte> changed = bytes;
    for (size_t n = 1 + random.below(3); n > 0; --n) {
      size_t at = 32 + random.below(i % 4 ? 4096 : changed.size() - 32);
      changed[at] = std::byte(random.below(3) ? random.below(256) : 255);
    }
    store(changed, 24, Tables::checksumOf(changed));
    auto tokenizer = Tokenizer::fromBytes(changed);
    if (!tokenizer) continue;
    auto encoded = tokenizer->encode("the quick brown dog doesn't\xff<|endoftext|> 2024");
    if (encoded) CHECK(tokenizer->decode(encoded->ids).ok());
    CHECK(tokenizer->vocab().size() == tokenizer->size());
  }
}

TEST_CASE("Binary: each check by name") {
  using H = Tables::Header;
  using B = std::vector<std::byte>;
  Tables::Header header;
  std::vector<std::byte> original = small().serialize();
  std::memcpy(&header, original.data(), sizeof header);
  Tables::Layout l = Tables::layoutOf(header);
  auto says = [](const std::string &message, const char *what) {
    CHECK_THAT(message, Catch::Contains(what));
  };
  says(errorAfter([](H &h, B &) { h.magic[0] = 'X'; }), "not a tokenizer");
  says(errorAfter([](H &h, B &) { h.version = 1; }),
       "expected version 3, found version 1: compile the model again");
  says(errorAfter([](H &h, B &) { h.header_size = 8; }), "the header has another size");
  says(errorAfter([](H &h, B &) { h.n_ids = 0xFFFFFFFF; }), "more tokens than");
  says(errorAfter([](H &h, B &) { h.n_tokens = h.n_ids + 1; }), "more tokens than");
  says(errorAfter([](H &h, B &) { h.n_tokens -= 1; }), "another number of tokens");
  says(errorAfter([](H &h, B &) { h.n_merges = 0xFFFFFFFF; }), "more merges than");
  says(errorAfter([](H &h, B &) { h.n_prefix = 0xFFFFFFFF; }), "a template longer");
  says(errorAfter([](H &h, B &) { h.vocab_slots = 0; }), "a hash table of the wrong size");
  says(errorAfter([](H &h, B &) { h.vocab_slots = 3; }), "a hash table of the wrong size");
  says(errorAfter([](H &h, B &) { h.merge_slots = 1; }), "a hash table of the wrong size");
  says(errorAfter([](H &h, B &) { h.text_size = ~uint64_t(0); }), "more text than");
  says(errorAfter([](H &h, B &) { h.text_size += 64; }), "do not add up");
  says(errorAfter([](H &h, B &) { h.bos = 400; }), "a special token that is none");
  says(errorAfter([](H &h, B &) { h.unk = -2; }), "a special token that is none");
  says(errorAfter([](H &h, B &) { h.settings = 128; }), "an unknown setting");
  says(errorAfter([](H &h, B &) { h.settings = Tables::kByteFallback; }),
       "a model that contradicts its stages");
  says(errorAfter([](H &h, B &) { h.settings = Tables::kUnigram; }), "scores that contradict the model");
  says(errorAfter([](H &h, B &) { h.n_scores = 1; }), "another number of scores");
  says(errorAfter([](H &h, B &) { h.n_scores = h.n_ids; }), "do not add up");
  says(errorAfter([](H &h, B &) { h.stages_size = 0xFFFFFFFF; }), "longer stages than");
  says(errorAfter([](H &h, B &) { h.missing_byte = 4; }), "an unknown rule for bytes");
  says(errorAfter([](H &h, B &) { h.missing_byte = 3; }), "contradicts their rule");
  says(errorAfter([](H &h, B &) { h.unknown_byte = 0; }), "contradicts their rule");
  says(errorAfter([](H &h, B &) { h.settings = Tables::kFuseUnknown; }), "contradicts their rule");
  says(errorAfter([](H &h, B &) { h.missing_byte = 1; }), "where none is missing");
  says(errorAfter([](H &h, B &) { h.model_max_length = -1; }), "a negative length");
  says(errorAfter([&](H &, B &b) { store<int32_t>(b, l.byte_ids + 40, 5000); }), "a byte whose token");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.offsets, 1); }), "do not tile");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.offsets + 40, 0xFFFFFF); }), "ends before it starts");
  says(errorAfter([&](H &, B &b) { store<uint16_t>(b, l.flags + 20, 0); }), "flags contradict");
  says(errorAfter([&](H &, B &b) { store<uint16_t>(b, l.flags + 20, 0xFFFF); }), "flags contradict");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.merges + 12, 400); }), "a merge of an id");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.added, 1); }), "an added token that is none");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.added, 0xFFFFFFF0); }),
       "an added token that is none");
  says(errorAfter([&](H &, B &b) { store<uint8_t>(b, l.text, 0xFF); }), "not UTF-8");
  says(errorAfter([&](H &h, B &b) {
         for (uint32_t i = 0; i < h.vocab_slots; ++i) store<uint32_t>(b, l.vocab_slots + 4 * i, 7);
       }),
       "without room");
  says(errorAfter([&](H &h, B &b) {
         for (uint32_t i = 0; i < h.merge_slots; ++i) store<uint32_t>(b, l.merge_slots + 4 * i, 7);
       }),
       "without room");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.vocab_slots, 400); }), "an id that is not a token");
  says(errorAfter([&](H &, B &b) { store<uint32_t>(b, l.merge_slots, 4000); }), "a merge that is none");
  CHECK(errorAfter([](H &, B &) {}) == "accepted");
}

TEST_CASE("Binary: the smallest tokenizers") {
  TokenizerParts parts;
  for (int n = 0; n < 3; ++n) {
    auto tokenizer = test::take(Tokenizer::fromParts(parts));
    auto bytes = tokenizer.serialize();
    CHECK(test::take(Tokenizer::fromBytes(bytes)).size() == static_cast<size_t>(n));
    CHECK(ids(tokenizer, "").empty());
    parts.tokens.push_back(std::string(1, static_cast<char>('a' + n)));
  }
}
