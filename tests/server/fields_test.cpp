// Small parts of the API: fields, keys, base64, histograms.
#include "server/api_keys.h"
#include "server/base64.h"
#include "server/fields.h"
#include "server/metrics.h"
#include "support/file.h"
#include "support/scratch_directory.h"
#include "tests/catch.h"

using namespace linnet;
using namespace linnet::server;

namespace {

template <class Read> std::string errorOf(const char *text, Read read) {
  const Json json = Json::parse(text);
  try {
    Fields fields(json);
    read(fields);
    fields.finish();
  } catch (const ApiError &error) {
    return error.message;
  }
  return "";
}

} // namespace

TEST_CASE("whole numbers are checked over the range of JSON's") {
  auto read = [](Fields &fields) { fields.integer("a", -5, 10); };
  for (const char *good : {"{}", "{\"a\": null}", "{\"a\": -5}", "{\"a\": 10}", "{\"a\": 0}"})
    CHECK(errorOf(good, read) == "");
  for (const char *bad : {"-6", "11", "18446744073709551615", "9223372036854775808", "-9223372036854775808",
                          "1.0", "1e3", "true", "\"1\"", "[1]"}) {
    CAPTURE(bad);
    const std::string text = std::string("{\"a\": ") + bad + "}";
    CHECK(errorOf(text.c_str(), read).starts_with("a: expected a whole number from -5 to 10, found "));
  }
}

TEST_CASE("unknown fields are errors") {
  auto read = [](Fields &fields) { fields.number("temperature", 0, 2); };
  CHECK(errorOf("{\"temprature\": 1}", read) == "temprature: unknown field; did you mean temperature?");
  CHECK(errorOf("{\"zzz\": 1}", read) == "zzz: unknown field");
  CHECK(errorOf("[]", read) == "the request: expected an object, found an empty list");
}

TEST_CASE("found values are shortened between characters") {
  const std::string text = foundText(Json(std::string(39, 'a') + "\u00e4\u00e4"));
  CHECK(text.size() < 50);
  CHECK(text.ends_with("..."));
  CHECK(Json(text).dump() != ""); // well-formed UTF-8
}

TEST_CASE("keys") {
  auto folder = ScratchDirectory::create("linnet-keys-test");
  REQUIRE(folder);
  const std::string path = folder->path() + "/keys";
  REQUIRE(writeTextFile(path, "\xEF\xBB\xBF# comment\nfirst\n\nsecond \r\n"));
  auto keys = ApiKeys::read(path);
  REQUIRE(keys);
  auto accepts = [&](const std::string &header) { return keys->accept(&header); };
  CHECK(accepts("Bearer first"));
  CHECK(accepts("bearer second"));
  for (const char *wrong :
       {"", "Bearer", "Bearer ", "Bearer firs", "Bearer first1", "Bearer firstfirst", "Basic first", "first"})
    CHECK(!accepts(wrong));
  CHECK(!keys->accept(nullptr));
  CHECK(ApiKeys().accept(nullptr));
  REQUIRE(writeTextFile(path, "# none\n"));
  CHECK(!ApiKeys::read(path));
}

TEST_CASE("base64 of RFC 4648") {
  auto of = [](std::string_view text) { return base64(std::as_bytes(std::span(text))); };
  CHECK(of("") == "");
  CHECK(of("f") == "Zg==");
  CHECK(of("fo") == "Zm8=");
  CHECK(of("foo") == "Zm9v");
  CHECK(of("foobar") == "Zm9vYmFy");
  CHECK(of("\xff\xfe\xfd") == "//79");
}

TEST_CASE("a histogram counts values up to its bounds") {
  Histogram histogram;
  for (const double value : {0.0, 0.01, 0.011, 1e9}) histogram.add(value);
  const std::string text = histogram.text("x");
  CHECK(text.find("x_bucket{le=\"0.005\"} 1\n") != text.npos);
  CHECK(text.find("x_bucket{le=\"0.01\"} 2\n") != text.npos);
  CHECK(text.find("x_bucket{le=\"0.025\"} 3\n") != text.npos);
  CHECK(text.find("x_bucket{le=\"+Inf\"} 4\n") != text.npos);
  CHECK(text.find("x_count 4\n") != text.npos);
}
