// Reading texts and labels: every format, and every mistake with its line.
#include "support/json.h"
#include "tests/catch.h"
#include "training/delimited.h"
#include "training/records.h"

using namespace linnet;
using namespace linnet::training;

namespace {

std::vector<Record> read(std::string_view text, RecordFormat format, bool labels = true) {
  auto records = parseRecords(text, "file", {.format = format, .labels = labels});
  INFO((records ? "" : records.error().message));
  REQUIRE(records.ok());
  return *records;
}

std::string failure(std::string_view text, ReadOptions options) {
  auto records = parseRecords(text, "file", options);
  REQUIRE(!records.ok());
  return records.error().message;
}

} // namespace

TEST_CASE("a tab always separates: quotes in TSV are text") {
  auto records = read("ham\tsaid \"hi\r\nspam\twin \"\"now\n\n", RecordFormat::Tsv);
  REQUIRE(records.size() == 2);
  CHECK(records[0].label == "ham");
  CHECK(records[0].text == "said \"hi");
  CHECK(records[1].text == "win \"\"now");
  CHECK(records[1].line == 2);
}

TEST_CASE("CSV has quoted commas, quotes and line ends, and counts lines through them") {
  auto records = read("text,other,label\n\"a, \"\"b\"\"\nc\",1,x\nplain,2,y\n", RecordFormat::Csv);
  REQUIRE(records.size() == 2);
  CHECK(records[0].text == "a, \"b\"\nc");
  CHECK(records[0].label == "x");
  CHECK(records[1].text == "plain");
  CHECK(records[1].line == 4);
}

TEST_CASE("columns are those that are named, or the first two") {
  ReadOptions options{
      .format = RecordFormat::Csv, .text_column = "body", .label_column = "kind", .labels = true};
  auto records = parseRecords("id,kind,body\n1,a,first\n2,b,second\n", "file", options);
  REQUIRE(records.ok());
  CHECK((*records)[1].text == "second");
  CHECK((*records)[1].label == "b");
  options.text_column = "none";
  CHECK(failure("id,kind,body\n1,a,first\n", options) ==
        "file: line 1: no column \"none\"; there are: id, kind, body");
}

TEST_CASE("JSON lines hold strings, texts with labels, prompts with completions") {
  auto records = read("{\"text\": \"a\", \"label\": 1}\n\n{\"label\": true, \"text\": \"b\"}\n",
                      RecordFormat::JsonLines);
  REQUIRE(records.size() == 2);
  CHECK(records[0].label == "1");
  CHECK(records[1].label == "true");
  CHECK(records[1].line == 3);
  auto plain =
      read("\"one\"\n{\"prompt\": \"2+2=\", \"completion\": \"4\"}\n", RecordFormat::JsonLines, false);
  CHECK(plain[0].text == "one");
  CHECK(plain[1].text == "2+2=4");
  CHECK(plain[1].learned_from == 4);
}

TEST_CASE("a JSON array holds the same, and a text file is one text") {
  CHECK(read("[\"one\", \"two\"]", RecordFormat::Json, false).size() == 2);
  auto text = read("two\nlines\n", RecordFormat::Text, false);
  REQUIRE(text.size() == 1);
  CHECK(text[0].text == "two\nlines\n");
}

TEST_CASE("mistakes are named with their line") {
  using F = RecordFormat;
  auto says = [](std::string_view text, RecordFormat format, bool labels, const char *expected) {
    CHECK_THAT(failure(text, {.format = format, .labels = labels}), Catch::Matchers::Contains(expected));
  };
  says("", F::Tsv, true, "file: no texts in it");
  says("\n\n", F::JsonLines, false, "file: no texts in it");
  says("a\tb\nbad \xff\tc\n", F::Tsv, true, "file: line 2: not UTF-8: byte 0xff at offset 8");
  says("a,b\nc,\"d\n", F::Csv, true, "file: line 2: a quoted field begins here and never ends");
  says("a,b\nc,d\"e\n", F::Csv, true, "file: line 2: a quote inside a field");
  says("a,b\nc,\"d\"e\n", F::Csv, true, "file: line 2: expected a comma or the line's end");
  says("a\tb\nc\n", F::Tsv, true, "file: line 2: expected 2 columns, as on line 1, found 1");
  says("one column\n", F::Tsv, true, "file: line 1: expected a label and a text, found one column");
  says("a\tb\nc\t\n", F::Tsv, true, "file: line 2: the text is empty");
  says("{\"text\": \"a\"}\n", F::JsonLines, true, "file: line 1: no \"label\"");
  says("\"a\"\n{\"text\": 3}\n", F::JsonLines, false,
       "file: line 2: \"text\" is expected to be a string, found 3");
  says("{\"text\": \"a\"\n", F::JsonLines, false, "file: line 1");
  says("{\"text\": \"a\"}", F::Json, false, "file: expected a JSON array");
  says("[\"a\", 3]", F::Json, false, "file: element 2: expected a string or an object, found 3");
  says("words", F::Text, true, "plain text has no labels");
}

TEST_CASE("the format is the name's, or asked for") {
  auto unknown = readRecords("words.dat", {});
  REQUIRE(!unknown.ok());
  CHECK_THAT(unknown.error().message, Catch::Matchers::Contains("give --format"));
  CHECK(parseRecordFormat("tsv").ok());
  CHECK(!parseRecordFormat("xml").ok());
}
