#include "support/hub_name.h"
#include "support/json.h"
#include "support/text.h"
#include "tests/catch.h"

using namespace linnet;
using namespace std::string_view_literals;

TEST_CASE("a byte order mark is taken off UTF-8, once, and tells of UTF-16 and UTF-32") {
  CHECK(*withoutByteOrderMark("", "f") == "");
  CHECK(*withoutByteOrderMark("text", "f") == "text");
  CHECK(*withoutByteOrderMark("\xEF\xBB\xBFtext", "f") == "text");
  CHECK(*withoutByteOrderMark("\xEF\xBB\xBF", "f") == "");
  CHECK(*withoutByteOrderMark("\xEF\xBB\xBF\xEF\xBB\xBFx", "f") == "\xEF\xBB\xBFx");
  CHECK(*withoutByteOrderMark("\xEF\xBBx", "f") == "\xEF\xBBx");
  for (auto [text, name] :
       {std::pair("\xFF\xFEt\0e\0"sv, "UTF-16"), std::pair("\xFE\xFF\0t\0e"sv, "UTF-16"),
        std::pair("\xFF\xFE\0\0t\0\0\0"sv, "UTF-32"), std::pair("\0\0\xFE\xFF\0\0\0t"sv, "UTF-32")})
    CHECK(withoutByteOrderMark(text, "f").error().message ==
          std::string("f: expected text in UTF-8, found ") + name + " (by its byte order mark)");
}

TEST_CASE("malformed JSON is told in plain words") {
  auto error = [](std::string_view text) { return parseJson(text, "f").error().message; };
  CHECK(error("") == "f: malformed JSON: it is empty");
  CHECK(error("{") ==
        "f: malformed JSON: line 1, column 2: unexpected end of input; expected string literal");
  CHECK(error("{\"a\":\n nope}").starts_with("f: malformed JSON: line 2, column 3: invalid literal"));
  CHECK(error("[1e999]").starts_with("f: malformed JSON: number overflow"));
  for (const char *bad :
       {"{", "[1,]", "nul", "\"\\x\"", "\"\xff\"", "{\"a\" 1}", "[1e999]", "{}{}", "\x01", "\"\n\""}) {
    std::string message = error(bad);
    CAPTURE(message);
    CHECK(message.find("json.exception") == message.npos);
    CHECK(message.find('\n') == message.npos);
  }
  CHECK(error("[\"" + std::string(100000, 'a')).size() < 300);
}

TEST_CASE("a missing model that is named as on the hub hints at pull") {
  CHECK(isHubName("openai-community/gpt2"));
  CHECK(isHubName("gpt2"));
  for (const char *no : {"", "/gpt2", "a/", "a/b/c", "a b/c", "../gpt2", "a/..b", "./gpt2", ".x/y", "a/.b"}) {
    CAPTURE(no);
    CHECK_FALSE(isHubName(no));
    CHECK(pullHint(no).empty());
  }
  CHECK(pullHint("openai-community/gpt2") ==
        "; 'linnet pull openai-community/gpt2' downloads a model of the hub");
  CHECK(pullHint("distilgpt2", "distilbert/distilgpt2") ==
        "; 'linnet pull distilbert/distilgpt2' downloads a model of the hub");
  for (const char *file : {"out/m.linnet", "out/m.gguf", "out/graph.mlir", "model", "nowhere"})
    CHECK(pullHint(file).empty());
}
