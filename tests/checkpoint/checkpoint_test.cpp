#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/gguf.h"
#include "frontend/checkpoint/gguf_model.h"
#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/safetensors.h"
#include "frontend/gpt2/settings.h"
#include "support/error.h"
#include "support/half.h"
#include "support/json.h"
#include "support/scratch_directory.h"
#include "support/staging.h"
#include "tests/checkpoint/common.h"

#include <cmath>
#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <sys/resource.h>

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

std::string configError(const std::string &change) {
  Json json = *readJsonFile(golden("tiny") + "/config.json");
  json.merge_patch(Json::parse(change));
  return message(ModelDescription::parse(json.dump(), "config.json"));
}

std::string openError(const std::string &path) { return message(Checkpoint::open(path)); }

} // namespace

TEST_CASE("settings are read, and those that would change the numbers are refused by name", "[config]") {
  auto config = ModelDescription::read(golden("odd") + "/config.json");
  REQUIRE(config);
  CHECK(config->n_embd == 42);
  CHECK(config->toJson()["n_inner"] == 168);
  CHECK(config->headSize() == 14);
  auto again = ModelDescription::parse(config->toJson().dump(), "again");
  REQUIRE(again);
  CHECK(again->toJson() == config->toJson());

  CHECK(configError(R"({"activation_function":"relu","resid_pdrop":0.1,"transformers_version":"4"})") ==
        "(no error)");
  // Values from the files of published models (distilgpt2, gpt2-medium).
  CHECK(configError(R"({"_num_labels":1,"n_special":0,"predict_special_tokens":true,"is_decoder":true,
                        "summary_type":"cls_index","task_specific_params":{"a":{"do_sample":true}}})") ==
        "(no error)");
  CHECK_THAT(
      configError(R"({"activation_function":"mish"})"),
      Contains("activation_function \"mish\" is not supported (gelu_new, gelu_pytorch_tanh, gelu_fast, "
               "gelu, quick_gelu, relu, silu, swish)"));
  CHECK_THAT(configError(R"({"add_cross_attention":true})"),
             Contains("add_cross_attention = true is not supported"));
  CHECK_THAT(configError(R"({"rotary_dim":64})"), Contains("\"rotary_dim\" = 64 is not a setting of GPT-2"));
  CHECK_THAT(configError(R"({"model_type":"mamba"})"), Contains("model_type \"mamba\""));
  CHECK_THAT(configError(R"({"quantization_config":{"bits":4}})"), Contains("quantization_config"));
  CHECK_THAT(configError(R"({"architectures":["GPT2DoubleHeadsModel"]})"), Contains("GPT2DoubleHeadsModel"));
  CHECK_THAT(configError(R"({"n_head":5})"), Contains("n_embd 64 is not a multiple of n_head 5"));
  CHECK_THAT(configError(R"({"n_layer":0})"), Contains("n_layer is expected to be from 1 to 1024, found 0"));
  CHECK_THAT(configError(R"({"n_layer":1e9})"), Contains("n_layer is expected to be a whole number"));
  CHECK_THAT(configError(R"({"vocab_size":18446744073709551615})"),
             Contains("vocab_size is expected to be from 1"));
  CHECK_THAT(configError(R"({"n_embd":"64"})"), Contains("n_embd is expected to be a whole number"));
  CHECK_THAT(configError(R"({"layer_norm_epsilon":-1})"), Contains("layer_norm_epsilon"));
  CHECK_THAT(message(ModelDescription::parse("[1]", "c")), Contains("JSON object"));
  CHECK_THAT(message(ModelDescription::parse("{\"n_layer\":2", "c")), Contains("malformed JSON"));
}

TEST_CASE("several end tokens, in either file; generation_config.json has the say", "[config]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "tiny");
  auto with = [&](const std::string &change, const std::string &generation) {
    Json json = *readJsonFile(golden("tiny") + "/config.json");
    json.merge_patch(Json::parse(change));
    scratch.write("tiny/config.json", json.dump());
    std::filesystem::remove(directory + "/generation_config.json");
    if (!generation.empty()) scratch.write("tiny/generation_config.json", generation);
    return Checkpoint::open(directory);
  };
  using Ids = std::vector<int64_t>;
  CHECK(with(R"({"eos_token_id":[0,7,0]})", "")->config().endTokens() == Ids{0, 7});
  CHECK(with(R"({"eos_token_id":[0,7]})", R"({"eos_token_id":5})")->config().endTokens() == Ids{5});
  CHECK(with(R"({"eos_token_id":3})", R"({"do_sample":true})")->config().endTokens() == Ids{3});
  CHECK(with(R"({"eos_token_id":-1})", R"({"eos_token_id":[50256,-1]})")->config().endTokens().empty());
  auto both = with(R"({"eos_token_id":[0,7]})", R"({"eos_token_id":[1,2],"top_k":null,"num_beams":4})");
  REQUIRE(both);
  CHECK(both->config().toJson()["eos_token_id"] == Json({0, 7}));
  CHECK(both->config().generation.toJson() == Json::parse(R"({"eos_token_id":[1,2],"top_k":0})"));
  CHECK(both->config().generation.ignored == std::vector<std::string>{"num_beams 4"});
  CHECK(std::filesystem::path(both->files().at(1)).filename() == "generation_config.json");

  // Without that file the same keys of config.json count, and only these.
  auto old = with(R"({"do_sample":true,"temperature":0.7,"num_beams":1,"summary_type":"cls_index"})", "");
  REQUIRE(old);
  CHECK(old->config().generation.toJson() == Json::parse(R"({"do_sample":true,"temperature":0.7})"));
  CHECK(old->config().generation.ignored.empty());
  CHECK(with(R"({"do_sample":true})", "{}")->config().generation.toJson().empty());
}

TEST_CASE("settings of generation out of range are refused with file and key", "[config]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "tiny");
  auto error = [&](const std::string &generation) {
    scratch.write("tiny/generation_config.json", generation);
    return openError(directory);
  };
  for (const char *value : {"-0.1", "\"hot\"", "1e999", "true"})
    CHECK_THAT(error(fmt::format(R"({{"temperature":{}}})", value)), Contains("generation_config.json"));
  CHECK_THAT(error(R"({"temperature":-1})"), Contains("temperature is expected to be 0 or more, found -1"));
  CHECK_THAT(error(R"({"top_p":1.5})"), Contains("top_p is expected to be from 0 to 1, found 1.5"));
  CHECK_THAT(error(R"({"top_k":-1})"), Contains("top_k is expected to be from 0"));
  CHECK_THAT(error(R"({"repetition_penalty":0})"), Contains("repetition_penalty is expected to be above 0"));
  CHECK_THAT(error(R"({"max_new_tokens":2.5})"), Contains("max_new_tokens is expected to be a whole number"));
  CHECK_THAT(error(R"({"do_sample":1})"), Contains("do_sample is expected to be true or false"));
  CHECK_THAT(error(R"({"eos_token_id":[1,"2"]})"), Contains("a token id or a list of token ids"));
  CHECK_THAT(error(R"({"eos_token_id":[1,200]})"), Contains("eos_token_id is expected to be from -1 to"));
  CHECK_THAT(error("[]"), Contains("expected a JSON object"));
  CHECK_THAT(error("{"), Contains("malformed JSON"));
  CHECK(error(R"({"temperature":0,"unheard_of":false,"stop_strings":null})") == "(no error)");
}

TEST_CASE("a classifier's problem_type is read, kept and checked", "[config]") {
  const std::string classifier = R"({"architectures":["GPT2ForSequenceClassification"],)";
  for (const char *type : {"regression", "single_label_classification", "multi_label_classification"}) {
    auto config = ModelDescription::parse(classifier + fmt::format(R"("problem_type":"{}"}})", type), "c");
    REQUIRE(config);
    CHECK(config->toJson()["problem_type"] == type);
  }
  CHECK_FALSE(ModelDescription::parse(classifier + R"("problem_type":null})", "c")
                  ->toJson()
                  .contains("problem_type"));
  CHECK_THAT(message(ModelDescription::parse(classifier + R"("problem_type":"ranking"})", "c")),
             Contains("problem_type \"ranking\" is not supported (regression, single_label"));
}

TEST_CASE("names with a prefix, mask buffers of old exports, a repeated head", "[checkpoint]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "odd");
  auto plain = Checkpoint::open(directory);
  REQUIRE(plain);
  std::vector<float> wte = floats(*plain->find("wte.weight"));
  TensorToWrite head{"lm_head.weight", StorageType::f32, {101, 42}, [&](auto &sink) {
                       return sink(std::as_bytes(std::span<const float>(wte)));
                     }};
  rewrite(directory, [](TensorToWrite &t) { return t.name = "transformer." + t.name, true; },
          {zeros("transformer.h.0.attn.bias", {1, 1, 29, 29}, StorageType::u8),
           zeros("transformer.h.1.attn.masked_bias", {}), head});
  auto old = Checkpoint::open(directory);
  REQUIRE(message(old) == "(no error)");
  CHECK(old->ignored().size() == 2);
  CHECK(old->config().tie_word_embeddings);
  CHECK(floats(*old->find("h.1.mlp.c_fc.weight")) == floats(*plain->find("h.1.mlp.c_fc.weight")));
  rewrite(directory, [](TensorToWrite &t) { return t.name != "lm_head.weight"; },
          {zeros("lm_head.weight", {101, 42})});
  auto untied = Checkpoint::open(directory);
  REQUIRE(message(untied) == "(no error)");
  CHECK_FALSE(untied->config().tie_word_embeddings);
}

TEST_CASE("what is missing or wrong is named", "[checkpoint]") {
  Scratch scratch;
  CHECK_THAT(openError(scratch.file("none")), Contains("No such file or directory"));
  CHECK_THAT(openError(scratch.path), Contains("config.json: missing"));
  CHECK_THAT(openError(scratch.write("x.bin", "")), Contains("x.bin: the file is empty"));
  CHECK_THAT(openError(scratch.write("x.bin", "x")), Contains("config.json: missing"));
  CHECK_THAT(openError(scratch.write("x.txt", "x")), Contains("expected a directory"));
  std::string directory = copyGolden(scratch, "odd");
  auto with = [&](const std::function<bool(TensorToWrite &)> &change, std::vector<TensorToWrite> more = {}) {
    std::filesystem::copy_file(golden("odd") + "/model.safetensors", directory + "/model.safetensors",
                               std::filesystem::copy_options::overwrite_existing);
    rewrite(directory, change, std::move(more));
    return openError(directory);
  };
  auto keep = [](TensorToWrite &) { return true; };
  auto without = [](const char *name) { return [name](TensorToWrite &t) { return t.name != name; }; };
  CHECK_THAT(with(without("h.1.ln_2.bias")), Contains("tensor \"h.1.ln_2.bias\" [42] is missing"));
  CHECK_THAT(with(without("wpe.weight"), {zeros("wpe.weight", {30, 42})}),
             Contains("tensor \"wpe.weight\" is [30, 42], the configuration asks for [29, 42]"));
  CHECK_THAT(with(without("ln_f.bias"), {zeros("ln_f.bias", {42}, StorageType::i32)}),
             Contains("elements of type I32"));
  CHECK_THAT(with(keep, {zeros("h.0.attn.rotary", {4})}),
             Contains("\"h.0.attn.rotary\" [4] is not one of GPT-2's"));
  CHECK_THAT(with(keep, {zeros("transformer.wte.weight", {101, 42})}), Contains("is there twice"));
  std::filesystem::remove(directory + "/model.safetensors");
  CHECK_THAT(openError(directory), Contains("model.safetensors: missing"));
  REQUIRE(writeTextFile(directory + "/pytorch_model.bin", "x"));
  CHECK_THAT(openError(directory), Contains("pytorch_model.bin: torch.save did not write it"));
}

TEST_CASE("shards: found by the index, checked against it", "[checkpoint]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "tiny");
  auto whole = Checkpoint::open(golden("tiny"));
  REQUIRE(whole);
  std::vector<TensorToWrite> parts[2];
  Json index = {{"weight_map", Json::object()}};
  for (const TensorView &view : whole->tensors()) {
    size_t part = std::hash<std::string>()(view.name) % 2;
    parts[part].push_back(
        {view.name, view.type, view.shape, [view](auto &sink) { return sink(view.bytes); }});
    index["weight_map"][view.name] = part ? "b.safetensors" : "a.safetensors";
  }
  std::filesystem::remove(directory + "/model.safetensors");
  REQUIRE(writeSafetensors(directory + "/a.safetensors", parts[0]));
  REQUIRE(writeSafetensors(directory + "/b.safetensors", parts[1]));
  auto open = [&](const Json &json) {
    REQUIRE(writeTextFile(directory + "/model.safetensors.index.json", json.dump()));
    return Checkpoint::open(directory);
  };
  auto sharded = open(index);
  REQUIRE(message(sharded) == "(no error)");
  for (const TensorView &view : whole->tensors()) CHECK(floats(*sharded->find(view.name)) == floats(view));
  Json bad = index;
  bad["weight_map"]["wte.weight"] = "c.safetensors";
  CHECK_THAT(message(open(bad)), Contains("shard c.safetensors is missing"));
  bad["weight_map"]["wte.weight"] = "../tiny/a.safetensors";
  CHECK_THAT(message(open(bad)), Contains("expected to be a file name in the same directory"));
  bad = index;
  bad["weight_map"].erase("ln_f.bias");
  CHECK_THAT(message(open(bad)), Contains("tensor \"ln_f.bias\" is not where"));
  bad = index;
  bad["weight_map"]["extra"] = "a.safetensors";
  CHECK_THAT(message(open(bad)), Contains("tensor \"extra\" is not in a.safetensors"));
}

TEST_CASE("f16 and bf16 checkpoints hold the rounded weights", "[checkpoint]") {
  Scratch scratch;
  auto whole = Checkpoint::open(golden("odd"));
  REQUIRE(whole);
  for (StorageType type : {StorageType::f16, StorageType::bf16}) {
    std::string directory = scratch.file(storageTypeName(type));
    REQUIRE(message(exportSafetensors(*whole, type, directory)) == "(no error)");
    auto narrow = Checkpoint::open(directory);
    REQUIRE(message(narrow) == "(no error)");
    for (const TensorView &view : whole->tensors()) {
      std::vector<float> expected = floats(view), found = floats(*narrow->find(view.name));
      for (size_t i = 0; i < expected.size(); ++i)
        REQUIRE(found[i] == (type == StorageType::f16 ? fromHalf(toHalf(expected[i]))
                                                      : fromBfloat(toBfloat(expected[i]))));
    }
  }
}

TEST_CASE("GGUF holds the same model", "[gguf]") {
  Scratch scratch;
  auto whole = Checkpoint::open(golden("tiny"));
  REQUIRE(whole);
  for (StorageType type :
       {StorageType::f32, StorageType::f16, StorageType::bf16, StorageType::q8_0, StorageType::q4_0}) {
    CAPTURE(storageTypeName(type));
    std::string path = scratch.file(std::string(storageTypeName(type)) + ".gguf");
    REQUIRE(message(exportGguf(*whole, type, path)) == "(no error)");
    auto gguf = Checkpoint::open(path);
    REQUIRE(message(gguf) == "(no error)");
    CHECK(gguf->config().toJson()["n_inner"] == whole->config().toJson()["n_inner"]);
    CHECK(gguf->config().toJson()["layer_norm_epsilon"] == whole->config().toJson()["layer_norm_epsilon"]);
    double allowed = type == StorageType::f32    ? 0
                     : type == StorageType::q4_0 ? 0.2
                     : type == StorageType::q8_0 ? 0.01
                                                 : 0.005;
    for (const TensorView &view : whole->tensors()) {
      std::vector<float> expected = floats(view), found = floats(*gguf->find(view.name));
      REQUIRE(found.size() == expected.size());
      float largest = 0, worst = 0;
      for (size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(expected[i]));
        worst = std::max(worst, std::abs(expected[i] - found[i]));
      }
      CHECK(worst <= allowed * largest);
    }
  }
  // Back to safetensors: bit for bit.
  auto gguf = Checkpoint::open(scratch.file("F32.gguf"));
  REQUIRE(exportSafetensors(*gguf, StorageType::f32, scratch.file("back")));
  auto back = Checkpoint::open(scratch.file("back"));
  REQUIRE(back);
  for (const TensorView &view : whole->tensors()) CHECK(floats(*back->find(view.name)) == floats(view));
}

TEST_CASE("models that llama.cpp would compute differently are not exported", "[gguf]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "odd");
  Json json = *readJsonFile(directory + "/config.json");
  auto exported = [&](const char *activation) {
    json["activation_function"] = activation;
    REQUIRE(writeTextFile(directory + "/config.json", json.dump()));
    return message(exportGguf(*Checkpoint::open(directory), StorageType::f32, scratch.file("x.gguf")));
  };
  for (const char *other : {"relu", "gelu", "quick_gelu", "silu"})
    CHECK_THAT(exported(other),
               Contains(std::string("llama.cpp's GPT-2 has the tanh GELU; activation_function is ") + other));
  CHECK_FALSE(fileExists(scratch.file("x.gguf")));
  CHECK(exported("gelu_fast") == "(no error)"); // the tanh GELU under another name
  CHECK(gpt2::Settings::of(Checkpoint::open(scratch.file("x.gguf"))->config()).activation ==
        ActivationFunction::gelu_tanh);
}

TEST_CASE("hostile GGUF files are refused with the reason", "[gguf]") {
  Scratch scratch;
  auto twoTensors = [&](GgufMetadata metadata = {}) {
    REQUIRE(writeGguf(scratch.file("g"), metadata, {zeros("a", {8}), zeros("b", {8})}));
    return *readTextFile(scratch.file("g"));
  };
  auto parse = [](const std::string &bytes) {
    return message(GgufFile::parse({}, std::as_bytes(std::span(bytes.data(), bytes.size())), "f"));
  };
  const std::string good = twoTensors();
  REQUIRE(parse(good) == "(no error)");
  // Behind the 24 bytes of the header: name (8 + 1), rank (4), size (8), type (4), offset (8), twice.
  constexpr size_t kName = 32, kRank = 33, kSize = 37, kType = 45, kOffset = 49, kSecond = 33;
  auto patched = [&](size_t at, uint64_t value, size_t size) {
    std::string bad = good;
    std::memcpy(bad.data() + at, &value, size);
    return parse(bad);
  };
  CHECK_THAT(patched(kSecond + kName, 'a', 1), Contains("tensor \"a\" appears twice"));
  CHECK_THAT(patched(kSecond + kOffset, 0, 8),
             Contains("tensors \"a\" and \"b\" overlap") || Contains("tensors \"b\" and \"a\" overlap"));
  CHECK_THAT(patched(kSecond + kOffset, 4, 8), Contains("offset 4 is not a multiple of 32"));
  CHECK_THAT(patched(kSecond + kOffset, 64, 8), Contains("lie outside the file"));
  CHECK_THAT(patched(kSecond + kOffset, UINT64_MAX - 31, 8), Contains("lie outside the file"));
  CHECK_THAT(patched(kSize, uint64_t(1) << 62, 8), Contains("overflow"));
  CHECK_THAT(patched(kSize, UINT64_MAX, 8), Contains("is too large"));
  CHECK_THAT(patched(kRank, 5, 4), Contains("has 5 dimensions, expected at most 4"));
  CHECK_THAT(patched(kType, 10, 4), Contains("GGML type Q2_K; supported are F32, F16, BF16, Q8_0"));
  CHECK_THAT(patched(kType, 2, 4), Contains("8 elements do not fill Q4_0 blocks of 32"));
  auto with = [&](const char *key, GgufValue value) { return parse(twoTensors({{key, std::move(value)}})); };
  CHECK_THAT(with("general.alignment", int64_t(3)), Contains("alignment 3 is not a power of two"));
  CHECK_THAT(with("general.alignment", std::string("x")), Contains("expected to be a whole number"));
  std::string nested = twoTensors({{"k", std::vector<int64_t>{1}}});
  nested[24 + 8 + 1 + 4] = 9; // an array of arrays
  CHECK_THAT(parse(nested), Contains("unknown or nested element type 9"));
  nested = twoTensors({{"k", std::vector<int64_t>{1}}});
  std::memset(nested.data() + 24 + 8 + 1 + 8, 0xff, 8);
  CHECK_THAT(parse(nested), Contains("array of 18446744073709551615 elements"));
  CHECK_THAT(parse(twoTensors({{"k", int64_t(1)}, {"k", int64_t(2)}})), Contains("\"k\" appears twice"));
}

TEST_CASE("a GGUF file of another model is named", "[gguf]") {
  Scratch scratch;
  auto whole = Checkpoint::open(golden("odd"));
  REQUIRE(whole);
  GgufMetadata good = ggufMetadata(whole->config(), std::nullopt, 0, "odd");
  auto with = [&](const std::string &key, std::optional<GgufValue> value) {
    GgufMetadata metadata;
    for (auto &[k, v] : good)
      if (k != key)
        metadata.emplace_back(k, v);
      else if (value)
        metadata.emplace_back(k, *value);
    REQUIRE(writeGguf(scratch.file("m.gguf"), metadata, {zeros("token_embd.weight", {101, 42})}));
    return openError(scratch.file("m.gguf"));
  };
  CHECK_THAT(with("general.architecture", std::string("mamba")),
             Contains("\"mamba\" is not supported (gpt2, llama, "));
  CHECK_THAT(with("gpt2.block_count", std::nullopt), Contains("\"gpt2.block_count\" is missing"));
  CHECK_THAT(with("gpt2.block_count", 1.5),
             Contains("\"gpt2.block_count\" is expected to be a whole number"));
  CHECK_THAT(with("gpt2.attention.head_count", int64_t(5)),
             Contains("n_embd 42 is not a multiple of n_head 5"));
  CHECK_THAT(with("gpt2.attention.layer_norm_epsilon", double(NAN)), Contains("layer_norm_epsilon is nan"));
  CHECK_THAT(with("tokenizer.ggml.model", std::string("bert")), Contains("tokenizer.ggml.model \"bert\""));
  CHECK_THAT(with("tokenizer.ggml.model", std::string("gpt2")),
             Contains("tokenizer.ggml.tokens is expected"));
  CHECK_THAT(with("none", std::nullopt), Contains("tensor \"wpe.weight\" [29, 42] is missing"));
}

TEST_CASE("no damage to a GGUF file crashes the reader", "[gguf]") {
  Scratch scratch;
  std::string path = scratch.file("m.gguf");
  REQUIRE(initCheckpoint("tiny", 1, scratch.file("m")));
  REQUIRE(exportGguf(*Checkpoint::open(scratch.file("m")), StorageType::q4_0, path));
  std::string good = *readTextFile(path);
  auto parse = [](const std::string &bytes) {
    return GgufFile::parse({}, std::as_bytes(std::span(bytes.data(), bytes.size())), "f");
  };
  REQUIRE(message(parse(good)) == "(no error)");
  for (size_t n = 0; n < 2000; ++n) REQUIRE_FALSE(parse(good.substr(0, n)));
  std::mt19937 random(11);
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good.substr(0, 16384);
    for (unsigned n = random() % 4 + 1; n--;) bad[random() % bad.size()] = static_cast<char>(random());
    REQUIRE_FALSE(parse(bad)); // cut, so always refused; the damage steers how far it gets
  }
  auto patched = [&](size_t at, uint64_t value, size_t size) {
    std::string bad = good;
    std::memcpy(bad.data() + at, &value, size);
    return message(parse(bad));
  };
  CHECK_THAT(patched(0, 0, 4), Contains("not a GGUF file"));
  CHECK_THAT(patched(4, 9, 4), Contains("GGUF version 9"));
  CHECK_THAT(patched(8, UINT64_MAX, 8), Contains("not credible"));
  CHECK_THAT(patched(24, UINT64_MAX, 8), Contains("metadata key of 18446744073709551615 bytes"));
}

TEST_CASE("a full disk leaves nothing of init and export", "[init]") {
  Scratch scratch;
  REQUIRE(initCheckpoint("tiny", 1, scratch.file("m")));
  auto checkpoint = Checkpoint::open(scratch.file("m"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = {100'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string init = message(initCheckpoint("tiny", 1, scratch.file("a")));
  std::string safetensors = message(exportSafetensors(*checkpoint, StorageType::f16, scratch.file("b")));
  std::string gguf = message(exportGguf(*checkpoint, StorageType::q4_0, scratch.file("c.gguf")));
  setrlimit(RLIMIT_FSIZE, &before);
  for (const std::string &failure : {init, safetensors, gguf})
    CHECK_THAT(failure, Contains("cannot write: File too large"));
  CHECK(scratch.list() == std::vector<std::string>{"m"});
}

TEST_CASE("an interrupt leaves nothing of a directory in the making", "[init]") {
  Scratch scratch;
  auto staging = StagingDirectory::create(scratch.file("new"));
  REQUIRE(staging);
  REQUIRE(writeTextFile(staging->path() + "/config.json", "{}"));
  for (int i = 0; i < 300; ++i) REQUIRE(std::ofstream(fmt::format("{}/part-{}", staging->path(), i)));
  CHECK(scratch.list().size() == 1);
  removeUnfinishedDirectories();
  CHECK(scratch.list().empty());
}

namespace {
/// FNV-1a.
uint64_t hashOf(const std::string &bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : bytes) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}
} // namespace

TEST_CASE("init is deterministic and looks like GPT-2", "[init]") {
  Scratch scratch;
  REQUIRE(message(initCheckpoint("tiny", 42, scratch.file("a"))) == "(no error)");
  REQUIRE(initCheckpoint("tiny", 42, scratch.file("b")));
  REQUIRE(initCheckpoint("tiny", 43, scratch.file("c")));
  auto bytes = [&](const char *name) { return *readTextFile(scratch.file(name) + "/model.safetensors"); };
  CHECK(bytes("a") == bytes("b"));
  CHECK(bytes("a") != bytes("c"));
  CHECK(hashOf(bytes("a")) == 0xd404509b6c64df8f);
  auto checkpoint = Checkpoint::open(scratch.file("a"));
  REQUIRE(message(checkpoint) == "(no error)");
  std::vector<float> wte = floats(*checkpoint->find("wte.weight"));
  double mean = 0, square = 0;
  for (float x : wte) mean += x, square += double(x) * x;
  mean /= static_cast<double>(wte.size());
  CHECK(std::abs(mean) < 0.001);
  CHECK(std::sqrt(square / static_cast<double>(wte.size())) == Approx(0.02).epsilon(0.02));
  // Gains are near 1 and biases near 0, and no two are the same.
  std::vector<float> gain = floats(*checkpoint->find("ln_f.weight")),
                     bias = floats(*checkpoint->find("h.0.mlp.c_fc.bias"));
  for (float x : gain) CHECK(std::abs(x - 1) < 0.1f);
  for (float x : bias) CHECK(std::abs(x) < 0.1f);
  CHECK(std::set<float>(gain.begin(), gain.end()).size() > gain.size() - 3);
  CHECK(std::set<float>(bias.begin(), bias.end()).size() > bias.size() - 3);
  auto tokenizer = checkpoint->tokenizer();
  REQUIRE(message(tokenizer) == "(no error)");
  REQUIRE(*tokenizer);
  CHECK((*tokenizer)->encode("Hi!")->ids.size() == 3);
  CHECK_THAT(message(initCheckpoint("tiny", 1, scratch.file("a"))), Contains("already exists"));
  CHECK_THAT(message(initCheckpoint("gpt3", 1, scratch.file("d"))),
             Contains("unknown preset \"gpt3\"; there are gpt2,"));
  CHECK(scratch.list() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("what is to be trained begins with gains of 1 and biases of 0", "[init]") {
  Scratch scratch;
  REQUIRE(initCheckpoint("tiny", 42, scratch.file("a"), Vectors::constant));
  REQUIRE(initCheckpoint("tiny", 42, scratch.file("b"), Vectors::drawn));
  auto trained = Checkpoint::open(scratch.file("a")), drawn = Checkpoint::open(scratch.file("b"));
  CHECK(hashOf(*readTextFile(scratch.file("a") + "/model.safetensors")) == 0x8ef765de41bd0bbb);
  CHECK(floats(*trained->find("ln_f.weight")) == std::vector<float>(128, 1.0f));
  CHECK(floats(*trained->find("ln_f.bias")) == std::vector<float>(128, 0.0f));
  CHECK(floats(*trained->find("h.3.mlp.c_fc.bias")) == std::vector<float>(512, 0.0f));
  CHECK(floats(*trained->find("h.3.mlp.c_fc.weight")) == floats(*drawn->find("h.3.mlp.c_fc.weight")));
}

TEST_CASE("a new model whose head is not tied has the head's matrix", "[init]") {
  Scratch scratch;
  ModelDescription config = *presetConfig("tiny");
  config.tie_word_embeddings = false;
  REQUIRE(initCheckpoint(config, 1, scratch.file("m"), std::nullopt, "untied"));
  auto checkpoint = Checkpoint::open(scratch.file("m"));
  REQUIRE(message(checkpoint) == "(no error)");
  CHECK_FALSE(checkpoint->config().tie_word_embeddings);
  CHECK(checkpoint->specs().back().role == TensorRole::head);
  CHECK(checkpoint->find("lm_head.weight")->shape == std::vector<int64_t>{257, 128});
}

TEST_CASE("a vocabulary larger than the embedding is refused", "[checkpoint]") {
  Scratch scratch;
  REQUIRE(initCheckpoint("tiny", 1, scratch.file("m")));
  for (const char *file : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden("odd") + "/" + file, scratch.file("m") + "/" + file,
                               std::filesystem::copy_options::overwrite_existing);
  CHECK_THAT(message(Checkpoint::open(scratch.file("m"))->tokenizer()),
             Contains("the tokenizer has ids up to 256, the embedding (vocab_size) 101 rows"));
}
