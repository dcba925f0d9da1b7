// Bad files: one clear line each.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/sentencepiece.h"

using namespace linnet;

namespace {

std::string pairError(std::string_view vocab, std::string_view merges = "") {
  auto result = Tokenizer::fromVocabAndMerges(vocab, merges);
  return result.ok() ? "accepted" : result.error().message;
}

std::string jsonError(const std::string &model, const std::string &rest = "") {
  std::string json = R"({"pre_tokenizer": {"type": "ByteLevel"}, "model": )" + model +
                     (rest.empty() ? "" : ", ") + rest + "}";
  auto result = Tokenizer::fromTokenizerJson(json);
  return result.ok() ? "accepted" : result.error().message;
}

const std::string kVocab = R"({"a": 0, "b": 1, "ab": 2})";
const std::string kModel = R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]})";

void says(const std::string &message, const std::string &what) {
  CHECK_THAT(message, Catch::Contains(what));
  CHECK(message.find('\n') == std::string::npos);
}

} // namespace

TEST_CASE("Bad vocabulary") {
  says(pairError(""), "vocab.json: malformed JSON");
  says(pairError("{"), "vocab.json: malformed JSON");
  says(pairError("[1, 2]"), "expected a JSON object, found array");
  says(pairError("{}"), "the vocabulary is empty");
  says(pairError(R"({"a": 0, "a": 1})"), "key \"a\" appears twice");
  says(pairError(R"({"a": 0, "b": 0})"), "have the same id 0");
  says(pairError(R"({"a": -1})"), "expected an id from 0 to 1048575, found -1");
  says(pairError(R"({"a": 1048576})"), "expected an id from 0 to 1048575, found 1048576");
  says(pairError(R"({"a": 18446744073709551615})"), "found 18446744073709551615");
  says(pairError(R"({"a": 99999999999999999999999})"), "expected an integer id, found number");
  says(pairError(R"({"a": 1.5})"), "expected an integer id");
  says(pairError(R"({"a": "0"})"), "expected an integer id, found string");
  says(pairError(R"({"a": null})"), "expected an integer id, found null");
  says(pairError(R"({"": 0})"), "token 0 is empty");
  says(pairError("{\"\xff\": 0}"), "malformed JSON");
  says(pairError(R"({"\ud800": 0})"), "malformed JSON");
  says(pairError(std::string(100000, '[')), "vocab.json");
  says(pairError("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"), "nested deeper than");
  CHECK(pairError(kVocab) == "accepted");
  CHECK(pairError(R"({"a": 0, "b": 1048575})") == "accepted"); // gaps are allowed
}

TEST_CASE("Bad merges") {
  says(pairError(kVocab, "#version: 0.2\na\n"), "merges.txt:2: expected a merge of two pieces, found \"a\"");
  says(pairError(kVocab, "a b c"), "merges.txt:1: expected a merge of two pieces, found \"a b c\"");
  says(pairError(kVocab, "a  b"), "expected a merge of two pieces");
  says(pairError(kVocab, " a"), "expected a merge of two pieces");
  says(pairError(kVocab, "a "), "expected a merge of two pieces");
  says(pairError(kVocab, "a b\n\na b"), "merges.txt:2: expected a merge of two pieces, found \"\"");
  says(pairError(kVocab, "a x"), "merge 1 (\"a x\"): \"x\" is not in the vocabulary");
  says(pairError(kVocab, "x b"), "\"x\" is not in the vocabulary");
  says(pairError(kVocab, "a b\nb a"), "merge 2 (\"b a\"): \"ba\" is not in the vocabulary");
  CHECK(pairError(kVocab, "a b") == "accepted");
}

TEST_CASE("Bad tokenizer.json") {
  CHECK(jsonError(kModel) == "accepted");
  says(jsonError("null"), "expected a model object");
  says(jsonError("[]"), "expected a model object");
  says(jsonError("{}"), "expected vocab and merges");
  says(jsonError(R"({"type": "WordPiece", "vocab": {}})"),
       "expected type BPE or Unigram, found \"WordPiece\"");
  says(jsonError(R"({"type": "Unigram"})"), "expected vocab");
  says(jsonError(R"({"type": "Unigram", "vocab": {}})"),
       "expected the pieces of Unigram as an array, found object");
  says(jsonError(R"({"type": "Unigram", "vocab": [["a", 0], ["b"]]})"),
       "piece 1: expected a text and a score");
  says(jsonError(R"({"type": "Unigram", "vocab": [["", 0]]})"), "piece 0 is empty");
  says(jsonError(R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1})"),
       "unk_id is 1, but there are 1 pieces");
  says(jsonError(R"({"type": "Unigram", "vocab": [["a", 0]]})"), "Unigram with ByteLevel is not supported");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": "a b"})"), "expected the merges as an array, found string");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": [["a"]]})"), "merge 1: expected two pieces");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": [["a", 1]]})"), "merge 1: expected two pieces");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": [7]})"), "merge 1: expected two pieces");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": ["a"]})"), "merge 1: expected two pieces");
  says(jsonError(R"({"vocab": ["a"], "merges": []})"), "expected the vocabulary as an object");
  says(jsonError(R"({"vocab": {"a": 0}, "merges": [], "unk_token": ""})"), "empty content");
  auto setting = [](const std::string &member) {
    return jsonError(R"({"vocab": {"a": 0}, "merges": [], )" + member + "}");
  };
  says(setting(R"("dropout": 0.1)"), "dropout 0.1 is not supported");
  says(setting(R"("byte_fallback": true)"), "byte_fallback with ByteLevel is not supported");
  says(setting(R"("end_of_word_suffix": "</w>")"), "end_of_word_suffix \"</w>\" is not supported");
  says(setting(R"("continuing_subword_prefix": "##")"), "continuing_subword_prefix");
  says(setting(R"("ignore_merges": 1)"), "ignore_merges: expected true or false");
}

TEST_CASE("Stages of tokenizer.json that change ids are refused by name") {
  says(jsonError(kModel, R"("normalizer": {"type": "BertNormalizer"})"), "normalizer: type BertNormalizer");
  says(jsonError(kModel, R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}]})"),
       "normalizer: type Nmt is not supported");
  says(jsonError(kModel, R"("normalizer": {"type": "Prepend"})"), "Prepend without the text \"prepend\"");
  says(jsonError(kModel, R"("normalizer": {"type": "Replace", "content": ""})"), "expected a pattern");
  says(jsonError(kModel, R"("decoder": {"type": "WordPiece"})"), "decoder: type WordPiece");
  says(jsonError(kModel, R"("decoder": {"type": "Strip", "content": "ab"})"), "expected one character");
  says(jsonError(
           kModel,
           R"("decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]})"),
       "ByteFallback after Fuse");
  says(jsonError(kModel, R"("decoder": {"type": "Replace", "pattern": {"Regex": "a"}, "content": ""})"),
       "a regular expression in a decoder is not supported");
  std::string deep = R"({"type": "NFC"})";
  for (int i = 0; i < 20; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
  says(jsonError(kModel, R"("normalizer": )" + deep), "nested deeper than");
  says(jsonError(kModel, R"("post_processor": {"type": "BertProcessing"})"), "BertProcessing");
  says(jsonError(kModel, R"("post_processor": {"type": "TemplateProcessing", "single": [7]})"),
       "template item");
  says(jsonError(kModel, R"("post_processor": {"type": "TemplateProcessing", "single": []})"),
       "without its text");
  says(jsonError(
           kModel,
           R"("post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}]})"),
       "no ids for the token");
  says(jsonError(kModel,
                 R"("post_processor": {"type": "TemplateProcessing", "special_tokens": {"x": {"ids": [77]}},
       "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]})"),
       "the template has id 77");
  auto pre = [](const std::string &stage) {
    auto result =
        Tokenizer::fromTokenizerJson(R"({"model": )" + kModel + R"(, "pre_tokenizer": )" + stage + "}");
    return result.ok() ? std::string("accepted") : result.error().message;
  };
  CHECK(pre("null") == "accepted"); // a vocabulary of characters
  says(pre(R"({"type": "BertPreTokenizer"})"), "pre_tokenizer: type BertPreTokenizer");
  says(pre(R"({"type": "ByteLevel", "use_regex": 1})"), "use_regex: expected true or false");
  says(pre(R"({"type": "Split", "pattern": {"String": "x"}, "behavior": "Glued"})"), "behavior \"Glued\"");
  says(pre(R"x({"type": "Split", "pattern": {"Regex": "a(?<=b)"}})x"),
       "lookbehind (?<=..) at byte 1 is not supported");
  says(pre(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})"),
       "Digits after ByteLevel");
  says(pre(R"({"type": "Metaspace", "replacement": ""})"), "expected one character");
  says(pre(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "often"})"),
       "prepend_scheme \"often\"");
  says(pre(R"({"type": "ByteLevel", "add_prefix_space": 3})"), "add_prefix_space: expected true or false");
  CHECK(pre(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]})") == "accepted");
}

TEST_CASE("Files that would cost memory or time without bound are refused") {
  auto whole = [](const std::string &model, const std::string &stages) {
    auto made = Tokenizer::fromTokenizerJson(R"({"model": )" + model + ", " + stages + "}");
    if (!made) return made.error().message;
    auto encoded = made->encode("a");
    return encoded ? std::string("accepted") : encoded.error().message;
  };
  auto repeated = [](const std::string &step, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += (i ? ", " : "") + step;
    return all;
  };
  const std::string grow =
      R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaaaaaaaa"})";
  says(whole(kModel, R"("normalizer": {"type": "Sequence", "normalizers": [)" + repeated(grow, 20) + "]}"),
       "the normalizer makes more than 256 bytes of each byte of the text");
  says(whole(kModel, R"("decoder": {"type": "Sequence", "decoders": [)" + repeated(grow, 20) + "]}"),
       "decoders make more than 4096 bytes of one");
  says(whole(kModel, R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [)" +
                         repeated(R"({"type": "Whitespace"})", 1000) + "]}"),
       "more than 64 normalizers, pre_tokenizers and decoders");
  says(whole(R"({"type": "Unigram", "unk_id": 0, "vocab": [["a", -1], [")" + std::string(600, 'a') +
                 R"(", -1]]})",
             R"("normalizer": null)"),
       "token 1 has 600 bytes, and at most 512 are supported");
  std::vector<std::string> tokens;
  std::vector<double> scores;
  for (int i = 1; i <= 300; ++i) tokens.push_back(std::string(size_t(i), 'a')), scores.push_back(-i);
  auto merges = mergesOfPieces(tokens, scores);
  REQUIRE_FALSE(merges);
  says(merges.error().message, "the tokens imply more than 16 merges a token");
}

TEST_CASE("Bad added tokens") {
  auto error = [](const std::string &tokens) { return jsonError(kModel, R"("added_tokens": )" + tokens); };
  says(error("{}"), "added_tokens: expected an array");
  says(error("[3]"), "expected a token as a string or an object");
  says(error(R"(["x"])"), "\"x\" has no id");
  says(error(R"([{"content": "x"}])"), "\"x\" has no id");
  says(error(R"([{"id": 5}])"), "without a content string");
  says(error(R"([{"id": 5, "content": ""}])"), "empty content");
  says(error(R"([{"id": -5, "content": "x"}])"), "found -5");
  says(error(R"([{"id": 1e9, "content": "x"}])"), "expected an integer id");
  says(error(R"([{"id": 2000000000, "content": "x"}])"), "expected an id from 0");
  says(error(R"([{"id": 5, "content": "x"}, {"id": 5, "content": "y"}])"),
       "id 5 is given to two added tokens");
  says(error(R"([{"id": 5, "content": "x"}, {"id": 6, "content": "x"}])"), "\"x\" has two ids, 5 and 6");
  says(error(R"([{"id": 1, "content": "x"}])"),
       "id 1 is \"b\" in the vocabulary and \"x\" among the added tokens");
  says(error(R"([{"id": 5, "content": "a"}])"), "has id 5, but 0 in the vocabulary");
  says(error(R"([{"id": 5, "content": "x", "lstrip": "yes"}])"), "lstrip: expected true or false");
  says(error(R"([{"id": 5, "content": ")" + std::string(513, 'x') + R"("}])"), "1 to 512 bytes");
}

TEST_CASE("Bad parts") {
  auto error = [](auto change) {
    TokenizerParts parts;
    parts.tokens = {"a", "b", "ab"};
    parts.merges = {"a b"};
    change(parts);
    auto result = Tokenizer::fromParts(parts);
    return result.ok() ? std::string("accepted") : result.error().message;
  };
  CHECK(error([](TokenizerParts &) {}) == "accepted");
  says(error([](TokenizerParts &p) { p.tokens.push_back("a"); }), "token \"a\" has two ids, 0 and 3");
  says(error([](TokenizerParts &p) { p.tokens.push_back("\xff"); }), "token 3 is not UTF-8");
  says(error([](TokenizerParts &p) { p.merges.push_back("nothing"); }), "merge 2: expected two pieces");
  says(error([](TokenizerParts &p) { p.bos = 3; }), "the bos token has id 3, which is not a token");
  says(error([](TokenizerParts &p) { p.pad = -7; }), "the pad token has id -7");
  says(error([](TokenizerParts &p) { p.prefix = {9}; }), "the template has id 9");
  says(error([](TokenizerParts &p) { p.model_max_length = -1; }), "model_max_length");
  says(error([](TokenizerParts &p) { p.added = {test::added("x", -1)}; }), "found -1");
  says(error([](TokenizerParts &p) { p.added = {test::added("x\xff", 7)}; }), "expected UTF-8");
  CHECK(error([](TokenizerParts &p) { p = {}; }) == "accepted"); // an empty vocabulary encodes nothing
}
