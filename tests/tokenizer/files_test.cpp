// Files, read and written: every way the same tokenizer.
#include "support/file.h"
#include "tests/catch.h"
#include "tests/tokenizer/common.h"

#include <filesystem>

using namespace linnet;
using test::ids;
using test::small;
namespace fs = std::filesystem;

namespace {

Tokenizer load(const std::string &dir) { return test::take(test::take(Tokenizer::fromDirectory(dir))); }

void write(const std::string &path, std::string_view text) { REQUIRE(writeTextFile(path, text).ok()); }

const char *kVocab = R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3, "Ġ": 4})";
const char *kMerges = "#version: 0.2\na b\n";

} // namespace

TEST_CASE("Files: what save writes reads back the same, either way") {
  TokenizerParts parts = small().parts();
  AddedToken mask = test::added("<mask>", 410);
  mask.lstrip = mask.normalized = true;
  parts.added.push_back(mask);
  parts.added.push_back(test::added("caf\u00e9 noir", 405, false));
  parts.added.push_back(test::added("[PAD]", 402));
  parts.pad = 402;
  parts.model_max_length = 1024;
  parts.padding_side = Side::Left;
  parts.truncation_side = Side::Left;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  std::string dir = test::emptyDirectory("round-trip");
  REQUIRE(tokenizer.save(dir).ok());
  CHECK(load(dir).serialize() == tokenizer.serialize());
  fs::remove(dir + "/tokenizer.json");
  CHECK(load(dir).serialize() == tokenizer.serialize());
  CHECK(test::take(Tokenizer::fromParts(tokenizer.parts())).serialize() == tokenizer.serialize());
}

TEST_CASE("Files: templates are kept") {
  TokenizerParts parts = small().parts();
  parts.prefix = {0};
  parts.suffix = {0, 5};
  parts.ignore_merges = true;
  parts.add_prefix_space = true;
  Tokenizer tokenizer = test::take(Tokenizer::fromParts(parts));
  std::string dir = test::emptyDirectory("template");
  REQUIRE(tokenizer.save(dir).ok());
  CHECK(load(dir).serialize() == tokenizer.serialize());
}

TEST_CASE("Files: a directory without a tokenizer is no error") {
  std::string dir = test::emptyDirectory("none");
  auto none = Tokenizer::fromDirectory(dir);
  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
  write(dir + "/special_tokens_map.json", "{}");
  CHECK_FALSE(test::take(Tokenizer::fromDirectory(dir)).has_value());
  CHECK_THAT(Tokenizer::fromDirectory(dir + "/missing").error().message,
             Catch::Contains("expected a directory"));
}

TEST_CASE("Files: one of a pair is an error that names the other") {
  std::string dir = test::emptyDirectory("half");
  write(dir + "/vocab.json", kVocab);
  CHECK_THAT(Tokenizer::fromDirectory(dir).error().message, Catch::Contains("merges.txt: not found"));
  fs::remove(dir + "/vocab.json");
  write(dir + "/merges.txt", kMerges);
  CHECK_THAT(Tokenizer::fromDirectory(dir).error().message, Catch::Contains("vocab.json: not found"));
}

TEST_CASE("Files: OpenAI's names") {
  std::string dir = test::emptyDirectory("openai");
  write(dir + "/encoder.json", kVocab);
  write(dir + "/vocab.bpe", kMerges);
  CHECK(ids(load(dir), "abb") == std::vector<TokenId>{2, 1});
}

TEST_CASE("Files: special tokens from the several places that name them") {
  std::string dir = test::emptyDirectory("special");
  write(dir + "/vocab.json", kVocab);
  write(dir + "/merges.txt", kMerges);
  SECTION("nothing said: GPT-2's defaults") {
    CHECK(load(dir).eosId() == 3);
    CHECK(load(dir).bosId() == 3);
    CHECK(load(dir).unkId() == 3);
    CHECK_FALSE(load(dir).padId());
    CHECK(load(dir).isSpecial(3));
  }
  SECTION("the map names them, added_tokens.json numbers them") {
    write(dir + "/added_tokens.json", R"({"[PAD]": 9})");
    write(dir + "/special_tokens_map.json",
          R"({"pad_token": "[PAD]", "eos_token": {"content": "<|endoftext|>", "lstrip": true}})");
    CHECK(load(dir).padId() == 9);
    CHECK(load(dir).isSpecial(9));
    CHECK(load(dir).idLimit() == 10);
    CHECK(load(dir).size() == 6);
    CHECK(load(dir).parts().added[0].lstrip);
  }
  SECTION("a token that nobody numbers gets the next id") {
    write(dir + "/special_tokens_map.json",
          R"({"pad_token": "[PAD]", "additional_special_tokens": ["<x>"]})");
    CHECK(load(dir).padId() == 5);
    CHECK(load(dir).tokenId("<x>") == 6);
  }
  SECTION("null unsets") {
    write(dir + "/tokenizer_config.json",
          R"({"unk_token": null, "model_max_length": 1000000000000000019884624838656})");
    CHECK_FALSE(load(dir).unkId());
    CHECK(load(dir).eosId() == 3);
    CHECK_FALSE(load(dir).modelMaxLength());
  }
  SECTION("tokenizer_config.json settles how tokens are matched") {
    write(
        dir + "/tokenizer_config.json",
        R"({"added_tokens_decoder": {"7": {"content": "<m>", "rstrip": true, "special": true}}, "add_bos_token": true,
              "model_max_length": 12, "padding_side": "left", "pad_token": "<m>"})");
    Tokenizer tokenizer = load(dir);
    CHECK(tokenizer.padId() == 7);
    CHECK(ids(tokenizer, "a<m> b") == std::vector<TokenId>{3, 0, 7, 1});
    CHECK(tokenizer.modelMaxLength() == 12);
    CHECK(tokenizer.paddingSide() == Side::Left);
  }
  SECTION("a class that reads the same files otherwise is refused") {
    write(dir + "/tokenizer_config.json", R"({"tokenizer_class": "CLIPTokenizer"})");
    CHECK_THAT(Tokenizer::fromDirectory(dir).error().message, Catch::Contains("CLIPTokenizer"));
  }
}

TEST_CASE("Files: merges with Windows line ends, with and without a version line") {
  for (const char *merges : {"#version: 0.2\r\na b\r\n", "a b\n", "a b", "#version: 0.2\na b\n\n"})
    CHECK(ids(test::take(Tokenizer::fromVocabAndMerges(kVocab, merges)), "ab") == std::vector<TokenId>{2});
  CHECK(ids(test::take(Tokenizer::fromVocabAndMerges(kVocab, "#version: 0.2\n")), "ab") ==
        std::vector<TokenId>{0, 1});
}

TEST_CASE("Files: tokenizer.json with merges as pairs") {
  auto tokenizer = test::take(Tokenizer::fromTokenizerJson(
      R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
          "model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
          "added_tokens": [{"id": 5, "content": "<s>", "special": true}]})"));
  CHECK(ids(tokenizer, "ab<s>a") == std::vector<TokenId>{2, 5, 0});
}

TEST_CASE("Files: what becomes of a byte without a token") {
  // "é" is two bytes; this vocabulary has none of them.
  auto json = [](const std::string &settings) {
    return R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "added_tokens": [
        {"id": 3, "content": "<|endoftext|>", "special": true}, {"id": 5, "content": "<unk>", "special": true}],
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3, "<unk>": 5},
                  "merges": [["a", "b"]])" +
           settings + "}}";
  };
  auto encoded = [&](const std::string &settings, const char *text = "a\u00e9b") {
    return ids(test::take(Tokenizer::fromTokenizerJson(json(settings))), text);
  };
  using Ids = std::vector<TokenId>;
  SECTION("tokenizer.json decides") {
    CHECK(encoded("") == Ids{2});
    CHECK(encoded(R"(, "unk_token": null)") == Ids{2});
    CHECK(encoded(R"(, "unk_token": "<unk>")") == Ids{0, 5, 5, 1});
    CHECK(encoded(R"(, "unk_token": "<unk>", "fuse_unk": true)") == Ids{0, 5, 1});
    CHECK(encoded(R"(, "unk_token": "nothing")", "ab") == Ids{2});
    auto missing = test::take(Tokenizer::fromTokenizerJson(json(R"(, "unk_token": "nothing")")));
    CHECK_THAT(missing.encode("\u00e9").error().message, Catch::Contains("no token for the byte 0xc3"));
  }
  SECTION("the unk_token of tokenizer_config.json is a name alone") {
    std::string dir = test::emptyDirectory("missing-byte");
    for (const char *name : {"GPT2Tokenizer", "PreTrainedTokenizerFast"}) {
      write(dir + "/tokenizer.json", json(R"(, "unk_token": null)"));
      write(dir + "/tokenizer_config.json",
            std::string(R"({"unk_token": "<|endoftext|>", "tokenizer_class": ")") + name + "\"}");
      CHECK(ids(load(dir), "a\u00e9b") == Ids{2});
      CHECK(load(dir).unkId() == 3);
    }
  }
  SECTION("what save writes says the same") {
    for (const char *settings : {"", R"(, "unk_token": "nothing")", R"(, "unk_token": "<unk>")",
                                 R"(, "unk_token": "<unk>", "fuse_unk": true)"}) {
      auto tokenizer = test::take(Tokenizer::fromTokenizerJson(json(settings)));
      std::string dir = test::emptyDirectory("missing-byte-saved");
      REQUIRE(tokenizer.save(dir).ok());
      CHECK(load(dir).serialize() == tokenizer.serialize());
    }
  }
  SECTION("vocab.json and merges.txt: the unknown token, as GPT2Tokenizer in Python") {
    std::string dir = test::emptyDirectory("missing-byte-pair");
    write(dir + "/vocab.json", kVocab);
    write(dir + "/merges.txt", kMerges);
    CHECK(ids(load(dir), "a\u00e9b") == Ids{0, 3, 3, 1});
    write(dir + "/tokenizer_config.json", R"({"unk_token": null})");
    CHECK_THAT(load(dir).encode("\u00e9").error().message, Catch::Contains("0xc3"));
    write(dir + "/tokenizer_config.json", R"({"unk_token": "<new>"})");
    CHECK(ids(load(dir), "a\u00e9b") == Ids{0, 5, 5, 1});
    std::string saved = test::emptyDirectory("missing-byte-pair-saved");
    REQUIRE(load(dir).save(saved).ok());
    CHECK(load(saved).serialize() == load(dir).serialize());
  }
}

TEST_CASE("Files: a byte order mark in front of any of them is no part of it") {
  const std::string mark = "\xEF\xBB\xBF";
  std::string dir = test::emptyDirectory("marks");
  write(dir + "/vocab.json", mark + kVocab);
  write(dir + "/merges.txt", mark + kMerges);
  write(dir + "/added_tokens.json", mark + R"({"<x>": 7})");
  write(dir + "/tokenizer_config.json", mark + R"({"add_prefix_space": false})");
  write(dir + "/special_tokens_map.json", mark + "{}");
  CHECK(ids(load(dir), "ab<x>") == std::vector<TokenId>{2, 7});
  write(dir + "/merges.txt", "\xFF\xFE#\0v\0");
  CHECK_THAT(Tokenizer::fromDirectory(dir).error().message,
             Catch::Contains("merges.txt: expected text in UTF-8, found UTF-16"));
}

TEST_CASE("Files: words of the vocabulary outside the byte alphabet are their own text") {
  auto tokenizer =
      test::take(Tokenizer::fromVocabAndMerges(R"({"a": 0, "\u4e2d": 1, "b c": 2, "Ġ": 3, " ": 4})", ""));
  CHECK(tokenizer.tokenBytes(1) == "\u4e2d");
  CHECK(tokenizer.tokenBytes(2) == "b c");
  CHECK(tokenizer.tokenId("b c") == 2);
  CHECK(tokenizer.tokenId(" ") == 4);
  CHECK(tokenizer.tokenId("Ġ") == 3);
  CHECK(ids(tokenizer, " a") == std::vector<TokenId>{3, 0});
  CHECK(test::take(Tokenizer::fromBytes(tokenizer.serialize())).vocab() == tokenizer.vocab());
}

TEST_CASE("Files: saving where nothing can be written is an error") {
  CHECK_THAT(small().save("/nonexistent/dir").error().message,
             Catch::Contains("/nonexistent/dir/vocab.json"));
}
