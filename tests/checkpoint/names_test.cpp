#include "frontend/checkpoint/names.h"
#include "frontend/gpt2/settings.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/json.h"
#include "tests/checkpoint/common.h"

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

std::string openError(const std::string &path) { return message(Checkpoint::open(path)); }

void setConfig(const std::string &directory, const std::string &change) {
  Json json = *readJsonFile(directory + "/config.json");
  json.merge_patch(Json::parse(change));
  REQUIRE(writeTextFile(directory + "/config.json", json.dump()));
}

Result<ModelDescription> parsed(const std::string &change, const ConfigSettings &settings = {}) {
  Json json = *readJsonFile(golden("tiny") + "/config.json");
  json.merge_patch(Json::parse(change));
  return ModelDescription::parse(json.dump(), "config.json", settings);
}

} // namespace

TEST_CASE("what wrappers add to a tensor's name is taken off", "[names]") {
  const std::string plain = "h.3.attn.c_attn.weight";
  for (const char *stored :
       {"h.3.attn.c_attn.weight", "transformer.h.3.attn.c_attn.weight",
        "_orig_mod.transformer.h.3.attn.c_attn.weight", "module.transformer.h.3.attn.c_attn.weight",
        "module._orig_mod.transformer.h.3.attn.c_attn.weight",
        "_orig_mod.module.transformer.h.3.attn.c_attn.weight",
        "base_model.model.transformer.h.3.attn.c_attn.weight", "base_model.model.h.3.attn.c_attn.weight",
        "model.transformer.h.3.attn.c_attn.weight", "transformer._orig_mod.h.3.attn.c_attn.weight",
        "transformer.h.3._orig_mod.attn.c_attn.weight",
        "_fsdp_wrapped_module.transformer.h.3._fsdp_wrapped_module._checkpoint_wrapped_module.attn.c_attn."
        "weight"}) {
    CAPTURE(stored);
    CHECK(canonicalName(stored, "transformer.") == plain);
    CHECK_FALSE(isAdapterPart(stored));
  }
  CHECK(canonicalName("module.lm_head.weight", "") == "lm_head.weight");
  CHECK(canonicalName("not_orig_mod.x", "") == "not_orig_mod.x");
  CHECK(canonicalName("", "transformer.") == "");
  CHECK(isAdapterPart("base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight"));
  CHECK(isAdapterPart("base_model.model.transformer.h.0.attn.c_attn.base_layer.weight"));
}

TEST_CASE("checkpoints with wrapped names hold the same weights", "[names]") {
  Scratch scratch;
  auto plain = Checkpoint::open(golden("odd"));
  REQUIRE(plain);
  std::string directory = copyGolden(scratch, "odd");
  for (const char *prefix :
       {"_orig_mod.transformer.", "module.transformer.", "base_model.model.transformer."}) {
    CAPTURE(prefix);
    std::filesystem::copy_file(golden("odd") + "/model.safetensors", directory + "/model.safetensors",
                               std::filesystem::copy_options::overwrite_existing);
    rewrite(directory, [&](TensorToWrite &t) { return t.name = prefix + t.name, true; });
    auto wrapped = Checkpoint::open(directory);
    REQUIRE(message(wrapped) == "(no error)");
    for (const TensorView &view : plain->tensors()) CHECK(floats(*wrapped->find(view.name)) == floats(view));
  }
  rewrite(directory, [](TensorToWrite &) { return true; }, {zeros("wte.weight", {101, 42})});
  CHECK_THAT(openError(directory),
             Contains("tensor \"wte.weight\" is there twice, as \"base_model.model.transformer.wte.weight\" "
                      "and as \"wte.weight\"") ||
                 Contains("as \"wte.weight\" and as \"base_model.model.transformer.wte.weight\""));
}

TEST_CASE("the tied tensor is found under its other name", "[names]") {
  Scratch scratch;
  auto plain = Checkpoint::open(golden("odd"));
  REQUIRE(plain);
  std::string directory = copyGolden(scratch, "odd");
  auto rename = [](TensorToWrite &t) {
    return t.name = t.name == "wte.weight" ? "lm_head.weight" : t.name, true;
  };
  rewrite(directory, rename);
  auto same = [&] {
    auto tied = Checkpoint::open(directory);
    REQUIRE(message(tied) == "(no error)");
    CHECK(tied->config().tie_word_embeddings);
    CHECK_FALSE(tied->find("lm_head.weight"));
    CHECK(floats(*tied->find("wte.weight")) == floats(*plain->find("wte.weight")));
  };
  same(); // tie_word_embeddings is true unless the file says otherwise
  setConfig(directory, R"({"tie_word_embeddings":false})");
  CHECK_THAT(openError(directory),
             Contains("tensor \"wte.weight\" [101, 42] is missing; \"lm_head.weight\" is there, but "
                      "tie_word_embeddings is false"));
  rewrite(directory, rename, {}, {{"transformer.wte.weight", "lm_head.weight"}, {"format", "pt"}});
  same(); // as safetensors' save_model notes it
  rewrite(directory, rename, {}, {{"transformer.wte.weight", "elsewhere"}});
  CHECK_THAT(openError(directory), Contains("tensor \"wte.weight\" [101, 42] is missing"));
}

TEST_CASE("a missing tensor's error names what is there", "[names]") {
  Scratch scratch;
  std::string directory = copyGolden(scratch, "odd");
  rewrite(directory, [](TensorToWrite &t) { return t.name = "student." + t.name, true; });
  CHECK_THAT(openError(directory),
             Contains("tensor \"wte.weight\" [101, 42] is missing; nearest of the 28 that are there is "
                      "\"student.wte.weight\" [101, 42]"));
  setConfig(directory, R"({"tie_word_embeddings":false})");
  CHECK_THAT(
      openError(directory),
      Contains("\"lm_head.weight\" [101, 42] is missing; the first of the 28 that are there is \"student."));
  rewrite(directory, [](TensorToWrite &) { return false; });
  CHECK_THAT(openError(directory), Contains("the file holds no tensor"));
  rewrite(directory, [](TensorToWrite &) { return false; },
          {zeros("base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight", {8, 42})});
  CHECK_THAT(openError(directory), Contains("belongs to a PEFT adapter: merge it into the model first"));
  std::filesystem::remove(directory + "/model.safetensors");
  REQUIRE(writeTextFile(directory + "/adapter_model.safetensors", "x"));
  CHECK_THAT(openError(directory), Contains("model.safetensors: missing") &&
                                       Contains("adapter_model.safetensors is a PEFT adapter"));
  REQUIRE(writeTextFile(directory + "/tf_model.h5", "x"));
  CHECK_THAT(openError(directory), Contains("here is adapter_model.safetensors, tf_model.h5"));
}

TEST_CASE("files that are not what their names say are told as such", "[names]") {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548118077\n";
  const std::string page = "\n<!DOCTYPE html>\n<html><head></head></html>";
  CHECK(contentFault("{}").empty());
  CHECK(contentFault("version 1").empty());
  CHECK_THAT(contentFault("\xEF\xBB\xBF <HTML>"), Contains("an HTML page"));
  for (const char *name :
       {"config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}) {
    CAPTURE(name);
    Scratch scratch;
    std::string directory = copyGolden(scratch, "odd");
    if (std::string(name) != "config.json") std::filesystem::remove(directory + "/model.safetensors");
    auto with = [&](const std::string &text) {
      REQUIRE(writeTextFile(directory + "/" + name, text));
      return openError(directory);
    };
    CHECK_THAT(with(""), Contains(std::string(name) + ": the file is empty"));
    CHECK_THAT(with(pointer), Contains(std::string(name) + ": the file is a Git LFS pointer"));
    CHECK_THAT(with(page), Contains(std::string(name) + ": the file is an HTML page"));
  }
  Scratch scratch;
  for (const char *name : {"m.gguf", "m.safetensors", "m.bin", "m"}) {
    CHECK_THAT(openError(scratch.write(name, pointer)), Contains("a Git LFS pointer"));
    CHECK_THAT(openError(scratch.write(name, "")), Contains("the file is empty"));
  }
}

TEST_CASE("keys of config.json that change no numbers are ignored by name", "[config]") {
  auto config =
      parsed(R"({"author":"me","license":"mit","auto_map":{"AutoModel":"m.M"},"use_moe":false,"notes":null,
                           "extra":{},"more":[],"custom_name":"x","tags":["a"],"_private":{"a":1},"resid_pdrop":0.1})");
  REQUIRE(message(config) == "(no error)");
  auto ignored = config->ignored_keys;
  std::sort(ignored.begin(), ignored.end());
  // merge_patch drops what is null.
  CHECK(ignored == std::vector<std::string>{"author", "auto_map", "custom_name", "extra", "license", "more",
                                            "tags", "use_moe"});
  auto with_null = ModelDescription::parse(R"({"n_layer":1,"nothing":null})", "c");
  REQUIRE(with_null);
  CHECK(with_null->ignored_keys == std::vector<std::string>{"nothing"});
  for (auto [change, says] :
       {std::pair{R"({"use_moe":true})", "\"use_moe\" = true is not a setting of GPT-2"},
        std::pair{R"({"n_kv_heads":4})", "\"n_kv_heads\" = 4 is not a setting of GPT-2"},
        std::pair{R"({"moe":{"experts":2}})", "\"moe\" = {\"experts\":2} is not a setting"},
        std::pair{R"({"layers":["a"]})", "\"layers\" = [\"a\"] is not a setting"},
        std::pair{R"({"hidden_act":"silu"})", "\"hidden_act\" = \"silu\" is not a setting"},
        std::pair{R"({"position_embedding_type":"rotary"})",
                  "position_embedding_type = \"rotary\" is not supported"},
        std::pair{R"({"add_cross_attention":true})", "add_cross_attention = true is not supported"}})
    CHECK_THAT(message(parsed(change)), Contains(says));
  CHECK(message(parsed(R"({"hidden_act":"gelu_new","position_embedding_type":"absolute"})")) == "(no error)");
  // The same function under another name, or another function.
  CHECK(message(parsed(R"({"hidden_act":"gelu_fast"})")) == "(no error)");
  CHECK(message(parsed(R"({"activation_function":"silu","hidden_act":"swish"})")) == "(no error)");
  CHECK_THAT(message(parsed(R"({"activation_function":"silu","hidden_act":"quick_gelu"})")),
             Contains("\"hidden_act\" = \"quick_gelu\" is not a setting"));
}

TEST_CASE("activation functions are read by transformers' names, and written as they were", "[config]") {
  using A = ActivationFunction;
  for (auto [name, function] :
       {std::pair("relu", A::relu), std::pair("gelu", A::gelu_erf), std::pair("gelu_new", A::gelu_tanh),
        std::pair("gelu_pytorch_tanh", A::gelu_tanh), std::pair("gelu_fast", A::gelu_tanh),
        std::pair("quick_gelu", A::gelu_quick), std::pair("silu", A::silu), std::pair("swish", A::silu)}) {
    CAPTURE(name);
    auto config = parsed("{}", {std::string("activation_function=") + name});
    REQUIRE(message(config) == "(no error)");
    CHECK(gpt2::Settings::of(*config).activation == function);
    CHECK(config->toJson()["activation_function"] == name);
  }
}

TEST_CASE("settings replace what config.json says", "[config]") {
  CHECK_THAT(message(parsed(R"({"rotary_dim":64})")),
             Contains("'linnet compile --set rotary_dim=null' compiles without it"));
  auto config = parsed(R"({"rotary_dim":64,"layer_norm_epsilon":1e-5})",
                       {"rotary_dim=null", "layer_norm_epsilon=1e-6", "n_layer=3"});
  REQUIRE(message(config) == "(no error)");
  CHECK(config->toJson()["layer_norm_epsilon"] == 1e-6);
  CHECK(config->ignored_keys == std::vector<std::string>{"rotary_dim"});
  REQUIRE(config->overridden.size() == 2); // tiny has three layers
  CHECK(config->overridden[0] == "rotary_dim: null instead of 64");
  CHECK(config->overridden[1] == "layer_norm_epsilon: 1e-06 instead of 1e-05");
  CHECK(parsed("{}", {"activation_function=relu"})->toJson()["activation_function"] == "relu");
  CHECK_THAT(message(parsed("{}", {"activation_function=\xff"})), Contains("is not supported"));
  CHECK_THAT(message(parsed("{}", {"n_embd=\xff"})), Contains("n_embd is expected to be a whole number"));
  CHECK_THAT(message(parsed("{}", {"n_head=5"})), Contains("n_embd 64 is not a multiple of n_head 5"));
  CHECK_THAT(message(parsed("{}", {"n_head"})), Contains("--set: expected KEY=VALUE, found 'n_head'"));
  CHECK_THAT(message(parsed("{}", {"=4"})), Contains("--set: expected KEY=VALUE"));
  CHECK(parsed("{}", {"n_inner=" + std::string(100'000, '[')}).ok() == false);
}
