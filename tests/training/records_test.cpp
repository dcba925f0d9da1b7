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
  auto records = read("label\ttext\nham\tsaid \"hi\r\nspam\twin \"\"now\n\n", RecordFormat::Tsv);
  REQUIRE(records.size() == 2);
  CHECK(records[0].label == "ham");
  CHECK(records[0].text == "said \"hi");
  CHECK(records[1].text == "win \"\"now");
  CHECK(records[1].line == 3);
}

TEST_CASE("CSV has quoted commas, quotes and line ends, and counts lines through them") {
  auto records = read("text,other,label\n\"a, \"\"b\"\"\nc\",1,x\nplain,2,y\n", RecordFormat::Csv);
  REQUIRE(records.size() == 2);
  CHECK(records[0].text == "a, \"b\"\nc");
  CHECK(records[0].label == "x");
  CHECK(records[1].text == "plain");
  CHECK(records[1].line == 4);
}

TEST_CASE("plain text is one text, or a text a line") {
  auto read = [](std::string_view text, ReadOptions options) {
    std::string said;
    options.format = RecordFormat::Text;
    options.note = [&](const std::string &line) { said = line; };
    auto records = parseRecords(text, "file", options);
    INFO((records ? "" : records.error().message));
    REQUIRE(records.ok());
    std::vector<std::string> texts;
    for (const Record &record : *records) {
      texts.push_back(record.text);
      CHECK(record.line == static_cast<int64_t>(texts.size()));
    }
    return std::pair(texts, said);
  };
  using Texts = std::vector<std::string>;
  const std::string_view text = "one\r\ntwo\n last";
  CHECK(read(text, {}) ==
        std::pair(Texts{std::string(text)}, std::string("file: 1 text from the whole file")));
  const ReadOptions lines{.plain = PlainTexts::Lines};
  CHECK(read(text, lines) ==
        std::pair(Texts{"one", "two", " last"}, std::string("file: 3 texts from its lines")));
  CHECK(read("one\ntwo\n", lines).first == Texts{"one", "two"});
  CHECK(failure("one\n\ntwo\n", {.format = RecordFormat::Text, .plain = PlainTexts::Lines}) ==
        "file: line 2: the text is empty");
  const ReadOptions blank{.plain = PlainTexts::Lines, .empty_texts = true};
  CHECK(read("one\n\ntwo\n\r\n", blank).first == Texts{"one", "", "two", ""});
  CHECK(failure("", {.format = RecordFormat::Text, .empty_texts = true}) == "file: no texts in it");
}

TEST_CASE("columns are those that are named") {
  ReadOptions options{
      .format = RecordFormat::Csv, .text_column = "body", .label_column = "kind", .labels = true};
  auto records = parseRecords("id,kind,body\n1,a,first\n2,b,second\n", "file", options);
  REQUIRE(records.ok());
  CHECK((*records)[1].text == "second");
  CHECK((*records)[1].label == "b");
  options.text_column = "none";
  CHECK(failure("id,kind,body\n1,a,first\n", options) ==
        "file: line 1: no column \"none\"; there are: \"id\", \"kind\", \"body\"");
}

TEST_CASE("usual names are found without case and blanks, in any order, and the line says so") {
  std::string said;
  auto check = [&](std::string header, bool reversed, const std::string &expected) {
    std::string rows = reversed ? "good,I like it\nbad,so sad\n" : "I like it,good\nso sad,bad\n";
    ReadOptions options{.format = RecordFormat::Csv, .labels = true};
    options.note = [&](const std::string &line) { said = line; };
    auto records = parseRecords(header + "\n" + rows, "file", options);
    INFO(header << ": " << (records ? "" : records.error().message));
    REQUIRE(records.ok());
    REQUIRE(records->size() == 2);
    CHECK((*records)[0].text == "I like it");
    CHECK((*records)[0].label == "good");
    CHECK((*records)[1].line == 3);
    CHECK(said == "file: 2 texts from column " + expected);
  };
  check("text,label", false, R"("text", labels from column "label")");
  check("Text,Label", false, R"("Text", labels from column "Label")");
  check("text, label", false, R"("text", labels from column " label")");
  check("sentence,sentiment", false, R"("sentence", labels from column "sentiment")");
  check("CLASS,Review", true, R"("Review", labels from column "CLASS")");
  check("target,message", true, R"("message", labels from column "target")");
  check("Category,content", true, R"("content", labels from column "Category")");
}

TEST_CASE("other headers are errors that list the columns and name the options") {
  ReadOptions labels{.format = RecordFormat::Csv, .labels = true}, plain{.format = RecordFormat::Csv};
  const char *rows = "story,year\nonce,1999\nthen,2000\n";
  CHECK(failure(rows, labels) ==
        "file: line 1: no \"text\" and no \"label\" among \"story\", \"year\"; name the columns with "
        "--text-column and --label-column (by number if the file has no header)");
  CHECK(failure(rows, plain) == "file: line 1: no \"text\" among \"story\", \"year\"; name the texts' column "
                                "with --text-column (by number if the file has no header)");
  CHECK_THAT(failure("text,stars\na,1\nb,1\n", labels),
             Catch::Matchers::Contains("no \"label\" among \"text\", \"stars\"; name the labels' column with "
                                       "--label-column"));
  CHECK_THAT(failure("story\nonce\nthen\n", plain), Catch::Matchers::Contains("no \"text\" among \"story\""));
  CHECK_THAT(
      failure("sentence,review,label\na,b,1\n", labels),
      Catch::Matchers::Contains("expected one of \"sentence\", \"review\", found several; name it with "
                                "--text-column"));
  CHECK_THAT(failure("text,Text \na,b\n", {.format = RecordFormat::Csv, .text_column = "TEXT"}),
             Catch::Matchers::Contains("found several"));
  // A column's name that is a label as well does not make the header a record.
  CHECK_THAT(failure("spam,message\nspam,a\nham,b\n", labels), Catch::Matchers::Contains("no \"label\""));
}

TEST_CASE("a file without a header is told by a label that occurs again, or read by numbers") {
  std::string said;
  ReadOptions options{.format = RecordFormat::Tsv, .labels = true};
  options.note = [&](const std::string &line) { said = line; };
  auto first = parseRecords("ham\tcome home\nspam\twin now\nham\tdinner\n", "file", options);
  REQUIRE(first.ok());
  CHECK(first->size() == 3);
  CHECK((*first)[0].label == "ham");
  CHECK(said == "file: 3 texts from column 2, labels from column 1 (the file has no header)");
  auto second = parseRecords("come home\tham\nwin now\tspam\ndinner\tham\n", "file", options);
  REQUIRE(second.ok());
  CHECK((*second)[1].text == "win now");
  CHECK(said == "file: 3 texts from column 1, labels from column 2 (the file has no header)");
  auto tie = parseRecords("ham\tcome home\nspam\twin now\nham\tcome home\nspam\twin now\n", "file", options);
  REQUIRE(tie.ok());
  CHECK((*tie)[1].label == "spam");
  CHECK(said == "file: 4 texts from column 2, labels from column 1 (the file has no header)");
  const char *once = "ham\tcome home\nspam\twin now\n"; // may be a header and one record
  CHECK_THAT(failure(once, options), Catch::Matchers::Contains("by number if the file has no header"));
  options.text_column = "2";
  CHECK_THAT(failure(once, options), Catch::Matchers::Contains("needs the numbers of all columns"));
  options.label_column = "1";
  auto numbered = parseRecords(once, "file", options);
  REQUIRE(numbered.ok());
  CHECK(numbered->size() == 2);
  CHECK((*numbered)[0].text == "come home");
  options.text_column = "3";
  CHECK(failure(once, options) == "file: line 1: --text-column is 3, there are 2 columns");
  options = {.format = RecordFormat::Csv, .text_column = "1"};
  auto lines = parseRecords("once\nthen\n", "file", options);
  REQUIRE(lines.ok());
  CHECK(lines->size() == 2);
}

TEST_CASE("keys of JSON are found as columns are, one for the whole file") {
  ReadOptions options{.format = RecordFormat::JsonLines, .labels = true};
  auto records = parseRecords("{\"Review\": \"a\", \"Target\": 1, \"id\": 7}\n", "file", options);
  REQUIRE(records.ok());
  CHECK((*records)[0].text == "a");
  CHECK((*records)[0].label == "1");
  options.labels = false;
  CHECK(failure("{\"review\": \"a\"}\n{\"content\": \"b\"}\n", options) ==
        "file: line 2: no \"review\", which holds the texts before");
  CHECK(failure("{\"story\": \"a\", \"year\": 1}\n", options) ==
        "file: line 1: no \"text\" among \"story\", \"year\"; name the texts' column with --text-column");
}

TEST_CASE("columns named prompt and completion are read as the keys are") {
  auto records = read("completion,prompt\n yes,q: why? a:\n", RecordFormat::Csv, false);
  CHECK(records[0].text == "q: why? a: yes");
  CHECK(records[0].learned_from == 10);
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
  says("label\ttext\nc\n", F::Tsv, true, "file: line 2: expected 2 columns, as on line 1, found 1");
  says("one column\n", F::Tsv, true, "file: line 1: no \"text\" and no \"label\" among \"one column\"");
  says("label\ttext\nc\t\n", F::Tsv, true, "file: line 2: the text is empty");
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
