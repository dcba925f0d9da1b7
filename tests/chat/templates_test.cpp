// Compares with the texts of PyPI's Jinja2, called as transformers calls it. scripts/compare-chat-templates
// wrote the fixtures, and compares far more.
#include "chat/template.h"
#include "support/file.h"
#include "support/json.h"
#include "tests/catch.h"
#include "tests/folders.h"

using namespace linnet;

namespace {

const std::string kFolder = testing::sourceFolder() + "/tests/chat/";

std::tm fixedTime() { // that of the fixtures
  std::tm now = {};
  strptime("2024-07-26 12:34:56", "%Y-%m-%d %H:%M:%S", &now);
  return now;
}

Json fixture(const std::string &name) {
  auto json = readJsonFile(kFolder + name);
  REQUIRE(json.ok());
  return *json;
}

/// `expected` is a text, or null if Jinja2 reports an error. Returns false where an error was expected.
bool compare(const std::string &source, const Json &variables, const Json &expected) {
  auto parsed = chat::Template::parse(source, "template");
  Result<std::string> text =
      parsed ? parsed->render(variables, fixedTime()) : Result<std::string>(parsed.error());
  CAPTURE(text ? *text : text.error().message);
  CHECK(text.ok() == !expected.is_null());
  if (text && !expected.is_null()) CHECK(*text == expected.get<std::string>());
  return text.ok();
}

} // namespace

TEST_CASE("Chat templates: published templates give Jinja2's text") {
  Json file = fixture("conversations.json");
  size_t templates = 0, texts = 0;
  for (const auto &[name, expected] : file["templates"].items()) {
    auto source = readTextFile(kFolder + "templates/" + name + ".jinja");
    REQUIRE(source.ok());
    REQUIRE(expected.size() == file["conversations"].size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(name, i);
      texts += compare(*source, file["conversations"][i], expected[i]);
    }
    ++templates;
  }
  CHECK(templates >= 14);
  CHECK(texts >= 160);
}

TEST_CASE("Chat templates: each part of the language gives Jinja2's text") {
  Json file = fixture("language.json");
  size_t texts = 0;
  for (const Json &entry : file["templates"]) {
    CAPTURE(entry[0].get<std::string>());
    texts += compare(entry[0].get<std::string>(), file["variables"], entry[1]);
  }
  CHECK(texts >= 100);
}
