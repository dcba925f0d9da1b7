// A tokenizer in GGUF metadata: what is written, what is read, what the format cannot hold.
#include "frontend/checkpoint/gguf_model.h"
#include "frontend/checkpoint/init.h"
#include "tests/checkpoint/common.h"

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

/// The tiny preset's: single bytes and, as id 256, the end of a text.
TokenizerParts bytes() {
  auto tokenizer = presetTokenizer("tiny");
  REQUIRE(tokenizer);
  return (*tokenizer)->parts();
}

ModelDescription configOf(const TokenizerParts &parts) {
  ModelDescription config = *presetConfig("tiny");
  config.vocab_size = Tokenizer::fromParts(parts)->idLimit();
  return config;
}

GgufMetadata metadataOf(const TokenizerParts &parts) {
  return ggufMetadata(configOf(parts), *Tokenizer::fromParts(parts), 0, "m");
}

Result<std::optional<TokenizerParts>> read(const Scratch &scratch, const GgufMetadata &metadata) {
  std::string path = scratch.file("m.gguf");
  REQUIRE(writeGguf(path, metadata, {}));
  auto file = GgufFile::open(path);
  REQUIRE(file);
  return tokenizerFromGguf(*file, path);
}

GgufMetadata with(GgufMetadata metadata, const std::string &key, std::optional<GgufValue> value) {
  std::erase_if(metadata, [&](const auto &entry) { return entry.first == key; });
  if (value) metadata.emplace_back(key, *value);
  return metadata;
}

std::vector<TokenId> encoded(const TokenizerParts &parts, std::string_view text) {
  auto encoding = Tokenizer::fromParts(parts)->encode(text);
  REQUIRE(encoding);
  return encoding->ids;
}

} // namespace

TEST_CASE("how a text begins and ends is written and read", "[gguf]") {
  Scratch scratch;
  for (int bits = 0; bits < 8; ++bits) {
    CAPTURE(bits);
    TokenizerParts parts = bytes();
    if (bits & 1) parts.prefix = {parts.bos};
    if (bits & 2) parts.suffix = {parts.eos};
    parts.add_prefix_space = bits & 4;
    auto again = read(scratch, metadataOf(parts));
    REQUIRE(message(again) == "(no error)");
    CHECK((*again)->prefix == parts.prefix);
    CHECK((*again)->suffix == parts.suffix);
    CHECK((*again)->add_prefix_space == parts.add_prefix_space);
    CHECK((*again)->unk == parts.unk);
    for (const char *text : {"", "hi", " hi", "hi<|endoftext|>x"})
      CHECK(encoded(**again, text) == encoded(parts, text));
    CHECK(lostInGguf(parts).size() == (bits & 4 ? 1 : 0)); // llama.cpp adds no space
  }
}

TEST_CASE("keys that another program wrote are honoured, or told", "[gguf]") {
  Scratch scratch;
  GgufMetadata plain = metadataOf(bytes());
  for (const char *key : {"add_bos_token", "add_eos_token", "add_space_prefix"})
    plain = with(plain, std::string("tokenizer.ggml.") + key, std::nullopt);
  CHECK(encoded(**read(scratch, plain), "hi") == std::vector<TokenId>{71, 72});
  auto bos = with(plain, "tokenizer.ggml.add_bos_token", true),
       eos = with(plain, "tokenizer.ggml.add_eos_token", true);
  CHECK(encoded(**read(scratch, bos), "hi") == std::vector<TokenId>{256, 71, 72});
  CHECK(encoded(**read(scratch, eos), "hi") == std::vector<TokenId>{71, 72, 256});
  CHECK(encoded(**read(scratch, with(plain, "tokenizer.ggml.add_bos_token", false)), "hi").size() == 2);
  CHECK(encoded(**read(scratch, with(plain, "tokenizer.ggml.add_space_prefix", true)), "hi") ==
        std::vector<TokenId>{220, 71, 72});
  CHECK_THAT(message(read(scratch, with(bos, "tokenizer.ggml.bos_token_id", std::nullopt))),
             Contains("add_bos_token is true, but tokenizer.ggml.bos_token_id names no token"));
  CHECK_THAT(message(read(scratch, with(eos, "tokenizer.ggml.eos_token_id", std::nullopt))),
             Contains("tokenizer.ggml.eos_token_id names no token"));
  CHECK_THAT(message(read(scratch, with(plain, "tokenizer.ggml.add_bos_token", int64_t(1)))),
             Contains("\"tokenizer.ggml.add_bos_token\" is expected to be true or false"));
}

TEST_CASE("tokens by their type, and bytes without one, as llama.cpp", "[gguf]") {
  Scratch scratch;
  GgufMetadata metadata = {
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<unk>", "<c>", "<u>", "<x>"}},
      {"tokenizer.ggml.token_type", std::vector<int64_t>{1, 1, 1, 2, 3, 4, 5}},
      {"tokenizer.ggml.merges", std::vector<std::string>{"a b"}}};
  auto parts = read(scratch, metadata);
  REQUIRE(message(parts) == "(no error)");
  CHECK(encoded(**parts, "ab<unk>a<c>b<u>") == std::vector<TokenId>{2, 3, 0, 4, 1, 5});
  CHECK(encoded(**parts, "acb") == std::vector<TokenId>{0, 1}); // left out after merging
  EncodeOptions literal;
  literal.parse_special = false;
  auto tokenizer = Tokenizer::fromParts(**parts);
  CHECK(tokenizer->encode("a<unk><c><u>", literal)->ids == std::vector<TokenId>{0, 5});
}

TEST_CASE("pre-tokenizers by their names", "[gguf]") {
  Scratch scratch;
  GgufMetadata plain = metadataOf(bytes());
  auto words = [&](const std::string &pre, std::string_view text) {
    // Merges of all that the pre-tokenizer leaves together: one token for each word of digits or letters.
    GgufMetadata metadata = {
        {"tokenizer.ggml.model", std::string("gpt2")},
        {"tokenizer.ggml.pre", pre},
        {"tokenizer.ggml.tokens", std::vector<std::string>{"1", "11", "1111", "\u0120", "\u01201", "!", "!1",
                                                           "'", "S", "'S", "\u010A", "!\u010A", "\u0120!"}},
        {"tokenizer.ggml.merges",
         std::vector<std::string>{"1 1", "11 11", "\u0120 1", "! 1", "' S", "! \u010A", "\u0120 !"}}};
    auto parts = read(scratch, metadata);
    REQUIRE(message(parts) == "(no error)");
    return encoded(**parts, text);
  };
  using Ids = std::vector<TokenId>;
  CHECK(words("gpt-2", "1111 1!\n'S") == Ids{2, 4, 5, 10, 7, 8});
  CHECK(words("olmo", "1111") == Ids{2});
  CHECK(words("smollm", "1111 1") == Ids{0, 0, 0, 0, 3, 0});
  CHECK(words("llama-bpe", "1111 1!\n'S") == Ids{1, 0, 0, 3, 0, 11, 9});
  CHECK(words("qwen2", "1111!\n'S") == Ids{0, 0, 0, 0, 11, 9});
  CHECK(words("deepseek-v3", "1111 !\n") == Ids{1, 0, 0, 3, 11});
  CHECK(words("default", "1111 !") == Ids{1, 0, 0, 3, 5});
  CHECK(words("falcon", "1111 1") == Ids{1, 0, 0, 4});
  CHECK_THAT(message(read(scratch, with(plain, "tokenizer.ggml.pre", std::string("viking")))),
             Contains("tokenizer.ggml.pre \"viking\" is not supported (gpt-2, phi-2, olmo,"));
  CHECK_THAT(message(read(scratch, with(with(plain, "tokenizer.ggml.pre", std::string("qwen2")),
                                        "tokenizer.ggml.add_space_prefix", true))),
             Contains("add_space_prefix with tokenizer.ggml.pre \"qwen2\" is not supported"));
  // What is read from a name is written with a name of the same meaning.
  for (const char *name :
       {"gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-v3", "default", "falcon", "dbrx"}) {
    CAPTURE(name);
    auto parts = read(scratch, with(plain, "tokenizer.ggml.pre", std::string(name)));
    REQUIRE(message(parts) == "(no error)");
    CHECK(lostInGguf(**parts).empty());
    auto again = read(scratch, metadataOf(**parts));
    REQUIRE(message(again) == "(no error)");
    CHECK((*again)->stages == (*parts)->stages);
    CHECK((*again)->ignore_merges == (*parts)->ignore_merges);
  }
  TokenizerParts other = bytes();
  other.stages =
      R"({"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})";
  CHECK(lostInGguf(other) == std::vector<std::string>{"the normalizer: llama.cpp changes no text"});
  other.stages = R"({"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}})";
  REQUIRE(lostInGguf(other).size() == 1);
  CHECK_THAT(lostInGguf(other).front(), Contains("the pre_tokenizer: GGUF has only names for them"));
  other.stages = R"({"normalizer":{"type":"NFC"}})";
  REQUIRE(lostInGguf(other).size() == 1);
  CHECK_THAT(lostInGguf(other).front(), Contains("only byte-level tokenizers"));
}

TEST_CASE("SentencePiece's tokens and scores", "[gguf]") {
  Scratch scratch;
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int64_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(fmt::format("<0x{:02X}>", byte)), types.push_back(6);
  for (const char *piece : {"\u2581", "a", "b", "ab", "\u2581a", "\u2581ab", "ba"})
    tokens.push_back(piece), types.push_back(1);
  std::vector<double> scores(tokens.size(), 0);
  for (size_t i = 262; i < scores.size(); ++i) scores[i] = 262 - static_cast<double>(i); // "ab" is the best
  GgufMetadata metadata = {
      {"tokenizer.ggml.model", std::string("llama")}, {"tokenizer.ggml.tokens", tokens},
      {"tokenizer.ggml.token_type", types},           {"tokenizer.ggml.bos_token_id", int64_t(1)},
      {"tokenizer.ggml.eos_token_id", int64_t(2)},    {"tokenizer.ggml.unknown_token_id", int64_t(0)}};
  CHECK_THAT(message(read(scratch, metadata)),
             Contains("tokenizer.ggml.scores is expected to have a number for each"));
  metadata.emplace_back("tokenizer.ggml.scores", scores);
  auto parts = read(scratch, metadata);
  REQUIRE(message(parts) == "(no error)");
  using Ids = std::vector<TokenId>;
  CHECK(encoded(**parts, "ab") == Ids{1, 264});
  CHECK(encoded(**parts, "bab a") == Ids{1, 259, 261, 262, 263});
  CHECK(encoded(**parts, "\u00E9</s>b") == Ids{1, 259, 3 + 0xC3, 3 + 0xA9, 2, 259, 261});
  auto tokenizer = Tokenizer::fromParts(**parts);
  CHECK(*tokenizer->decode(Ids{264, 3 + 0xC3, 3 + 0xA9, 263}) == "ab\u00E9 a");
  auto bare = read(scratch, with(with(metadata, "tokenizer.ggml.add_space_prefix", false),
                                 "tokenizer.ggml.add_bos_token", false));
  REQUIRE(message(bare) == "(no error)");
  CHECK(encoded(**bare, "ab") == Ids{262});
}

TEST_CASE("end tokens and settings of generation that GGUF cannot hold are told", "[gguf]") {
  TokenizerParts parts = bytes();
  const std::optional<Tokenizer> tokenizer = *Tokenizer::fromParts(parts);
  using Lines = std::vector<std::string>;
  ModelDescription config = configOf(parts);
  config.eos_token_ids = {256};
  CHECK(lostInGguf(config, tokenizer) == Lines{});
  config.generation.eos_token_ids = {10, 256, 13};
  CHECK(lostInGguf(config, tokenizer) == Lines{"the end tokens 10, 13: GGUF names one, here 256"});
  CHECK(lostInGguf(config, std::nullopt) ==
        Lines{"the end tokens 10, 256, 13: GGUF names none without a tokenizer"});
  config.generation.eos_token_ids = {10};
  CHECK(lostInGguf(config, tokenizer) == Lines{"the end token 10: GGUF names one, here 256"});
  config.generation =
      *GenerationSettings::ofFile(R"({"do_sample": true, "top_k": 40, "num_beams": 4})", "file", 300);
  CHECK(lostInGguf(config, tokenizer) == Lines{"the settings of generation (do_sample true, top_k 40, "
                                               "num_beams 4): give them on the command line"});
  // If the tokenizer names no token that ends a text, the file names the model's.
  parts.eos = -1;
  config.generation = {};
  config.eos_token_ids = {11, 12};
  const std::optional<Tokenizer> unnamed = *Tokenizer::fromParts(parts);
  CHECK(lostInGguf(config, unnamed) == Lines{"the end token 12: GGUF names one, here 11"});
  Scratch scratch;
  auto again = read(scratch, ggufMetadata(config, unnamed, 0, "m"));
  REQUIRE(message(again) == "(no error)");
  CHECK((*again)->eos == 11);
}

TEST_CASE("what GGUF cannot hold of a tokenizer is told", "[gguf]") {
  CHECK(lostInGguf(bytes()).empty());
  auto told = [](auto change) {
    TokenizerParts parts = bytes();
    AddedToken token;
    token.content = "<A>";
    token.id = 257;
    parts.added.push_back(token);
    change(parts, parts.added.back());
    std::vector<std::string> lost = lostInGguf(parts);
    return lost.size() == 1 ? lost[0] : std::to_string(lost.size()) + " lines";
  };
  using P = TokenizerParts;
  using A = AddedToken;
  CHECK(told([](P &, A &) {}) == "0 lines");
  CHECK_THAT(told([](P &p, A &) {
               p.prefix = {p.bos, 257};
             }),
             Contains("the 2 tokens in front of each text"));
  CHECK_THAT(told([](P &p, A &) { p.suffix = {257}; }), Contains("the 1 tokens after each text"));
  CHECK_THAT(told([](P &p, A &) { p.add_prefix_space = true; }), Contains("add_prefix_space"));
  CHECK_THAT(told([](P &, A &a) { a.lstrip = true; }), Contains("lstrip and rstrip of <A>"));
  CHECK_THAT(told([](P &, A &a) { a.rstrip = true; }), Contains("lstrip and rstrip of <A>"));
  CHECK_THAT(told([](P &, A &a) { a.single_word = true; }), Contains("single_word of <A>"));
  CHECK_THAT(told([](P &p, A &) { p.ignore_merges = true; }), Contains("ignore_merges"));
  CHECK_THAT(told([](P &p, A &) { p.missing_byte = MissingByte::Dropped; }),
             Contains("bytes without a token"));
  CHECK_THAT(told([](P &p, A &) { p.padding_side = Side::Left; }), Contains("padding_side"));
  CHECK_THAT(told([](P &p, A &) { p.truncation_side = Side::Left; }), Contains("truncation_side"));
}
