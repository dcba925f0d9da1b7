// Compares with results of PyPI's `tokenizers`, stored in pypi_sample.json. scripts/compare-tokenizers wrote
// that file, and compares far more.
#include "support/json.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/tokenizer/common.h"

using namespace linnet;

namespace {

std::string unhex(const std::string &text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

/// Compares the ids of each text; a null among them is a text that the library refuses.
size_t compare(const Tokenizer &tokenizer, const std::vector<std::string> &texts, const Json &expected) {
  REQUIRE(expected.size() == texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(test::hex(texts[i]));
    auto found = tokenizer.encode(texts[i]);
    REQUIRE(found.ok() == !expected[i].is_null());
    if (found) CHECK(found->ids == expected[i].get<std::vector<TokenId>>());
  }
  return texts.size();
}

} // namespace

TEST_CASE("PyPI: the ids that tokenizers gives") {
  Json sample =
      test::take(readJsonFile(linnet::testing::sourceFolder() + "/tests/tokenizer/pypi_sample.json"));
  std::vector<std::string> texts = sample["texts"], hostile;
  for (const Json &text : sample["hostile"]) hostile.push_back(unhex(text.get<std::string>()));
  size_t settings = 0, compared = 0;
  for (const Json &setting : sample["settings"]) {
    CAPTURE(setting["name"].get<std::string>());
    Json json = sample["bases"][setting["base"].get<std::string>()];
    json.merge_patch(setting["changes"]);
    Tokenizer tokenizer = test::take(Tokenizer::fromTokenizerJson(json.dump()));
    compared += compare(tokenizer, texts, setting["ids"]);
    if (!setting["hostile_ids"].empty()) compared += compare(tokenizer, hostile, setting["hostile_ids"]);
    // The tokenizer that Linnet saves gives the same ids.
    std::string directory = test::emptyDirectory("pypi");
    REQUIRE(tokenizer.save(directory).ok());
    compare(test::take(test::take(Tokenizer::fromDirectory(directory))), texts, setting["ids"]);
    ++settings;
  }
  CHECK(settings == 84);
  CHECK(compared == 84 * 27 + 8 * 200);
}
