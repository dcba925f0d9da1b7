#include "frontend/checkpoint/safetensors.h"
#include "support/error.h"
#include "tests/checkpoint/common.h"

#include <csignal>
#include <cstdint>
#include <random>
#include <sys/resource.h>

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

std::string errorOf(const std::string &bytes) {
  return message(SafetensorsFile::parse({}, std::as_bytes(std::span(bytes.data(), bytes.size())), "f"));
}
std::string entry(const std::string &name, const std::string &dtype, const std::string &shape,
                  const std::string &offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

} // namespace

TEST_CASE("a golden file opens with every tensor in place", "[safetensors]") {
  auto file = SafetensorsFile::open(golden("odd") + "/model.safetensors");
  REQUIRE(file);
  const TensorView *wte = file->find("wte.weight");
  REQUIRE(wte);
  CHECK(wte->shape == std::vector<int64_t>{101, 42});
  CHECK(wte->type == StorageType::f32);
  CHECK(file->find("nothing") == nullptr);
}

TEST_CASE("hostile headers are refused with the reason", "[safetensors]") {
  auto one = [&](const std::string &shape, const std::string &offsets, size_t data = 8,
                 const std::string &dtype = "F32") {
    return errorOf(safetensors("{" + entry("t", dtype, shape, offsets) + "}", data));
  };
  CHECK(one("[2]", "[0,8]") == "(no error)");
  CHECK_THAT(errorOf("abc"), Contains("3 bytes are too few"));
  CHECK_THAT(errorOf(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}"),
             Contains("the header claims"));
  CHECK_THAT(errorOf(safetensors("{}", 0).substr(0, 9)),
             Contains("the header claims 2 bytes, the file has 1"));
  CHECK_THAT(errorOf(safetensors("[]", 0)), Contains("JSON object"));
  CHECK_THAT(errorOf(safetensors("{\"a\":", 0)), Contains("malformed JSON"));
  CHECK_THAT(errorOf(safetensors("{\"a\":" + std::string(100000, '[') + "}", 0)), Contains("nested deeper"));
  CHECK_THAT(one("[3]", "[0,8]"), Contains("[3] of F32 takes 12 bytes, data_offsets span 8"));
  CHECK_THAT(one("[2]", "[0,16]"), Contains("lie outside the file's 8 bytes"));
  CHECK_THAT(one("[2]", "[8,0]"), Contains("lie outside"));
  CHECK_THAT(one("[2]", "[4,12]", 12), Contains("starts at byte 4 of the data where 0 is expected"));
  CHECK_THAT(one("[2]", "[0,8]", 9), Contains("1 bytes after the last tensor"));
  CHECK_THAT(one("[-2]", "[0,8]"), Contains("a size is expected to be a whole number"));
  CHECK_THAT(one("[4611686018427387904,4611686018427387904]", "[0,8]"), Contains("impossible shape"));
  CHECK_THAT(one("[4611686018427387904]", "[0,8]"), Contains("overflow"));
  CHECK_THAT(one("[18446744073709551615]", "[0,8]"), Contains("too large"));
  CHECK_THAT(one("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]"), Contains("at most 16 sizes"));
  CHECK_THAT(one("[2]", "[0,8]", 8, "F31"), Contains("unknown dtype \"F31\""));
  CHECK_THAT(one("2", "[0,8]"), Contains("shape is expected to be an array"));
  CHECK_THAT(one("[2]", "[0]"), Contains("[begin, end]"));
  CHECK_THAT(one("[2]", "[0.5,8]"), Contains("whole number"));
  CHECK_THAT(errorOf(safetensors("{\"t\":{\"dtype\":\"F32\"}}", 0)),
             Contains("expected dtype, shape and data_offsets"));
  CHECK_THAT(
      errorOf(safetensors(
          "{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("b", "F32", "[2]", "[4,12]") + "}", 12)),
      Contains("overlap or hole"));
  CHECK_THAT(errorOf(safetensors(
                 "{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("a", "F32", "[1]", "[4,8]") + "}", 8)),
             Contains("appears twice"));
  CHECK_THAT(errorOf(safetensors("{\"__metadata__\":{\"a\":1}}", 0)), Contains("expected to hold strings"));
  std::string many = "{";
  for (int i = 0; i < 200'000; ++i) many += fmt::format("{}\"{}\":0", i ? "," : "", i);
  CHECK_THAT(errorOf(safetensors(many + "}", 0)), Contains("a JSON object of more than 16384 keys"));
}

TEST_CASE("no damage to a file crashes the reader", "[safetensors]") {
  std::string good = *readTextFile(golden("odd") + "/model.safetensors");
  good.resize(4096); // the header and a little more: every length in it is now wrong
  std::mt19937 random(7);
  size_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (unsigned n = random() % 4 + 1; n--;) bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(random() % bad.size());
    refused += errorOf(bad) != "(no error)";
  }
  CHECK(refused == 3000);
}

TEST_CASE("what is written is what is read", "[safetensors]") {
  Scratch scratch;
  std::vector<float> values = {1, -2, 3.5f, 0, 1e-30f, 7};
  TensorToWrite tensor{
      "x", StorageType::f32, {2, 3}, [&](auto &sink) { return sink(std::as_bytes(std::span(values))); }};
  REQUIRE(writeSafetensors(scratch.file("a"), {tensor}, {{"format", "pt"}}));
  auto file = SafetensorsFile::open(scratch.file("a"));
  REQUIRE(file);
  CHECK(file->metadata().at("format") == "pt");
  CHECK(floats(*file->find("x")) == values);
  tensor.shape = {7};
  CHECK_THAT(message(writeSafetensors(scratch.file("b"), {tensor})),
             Contains("wrote 24 bytes of tensors, the header says 28"));
  CHECK(scratch.list() == std::vector<std::string>{"a"});
}

TEST_CASE("a full disk is an error and leaves nothing behind", "[safetensors]") {
  Scratch scratch;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = {4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::vector<float> values(4096, 1.0f);
  TensorToWrite tensor{
      "x", StorageType::f32, {4096}, [&](auto &sink) { return sink(std::as_bytes(std::span(values))); }};
  auto result = writeSafetensors(scratch.file("a"), {tensor});
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK_THAT(message(result), Contains("cannot write"));
  CHECK(scratch.list().empty());
}
