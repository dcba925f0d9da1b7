#include "frontend/checkpoint/gguf_tokenizer.h"
#include "support/json.h"

#include <algorithm>

namespace linnet {
namespace {

// The published patterns of the families. llama.cpp spells out both cases of the letters instead of (?i:..).
const std::string kContraction = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))";
const std::string kEnd = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kWordsThenDigits = R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})";
const std::string kOthers = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)";
const std::string kLlama3 = kContraction + kWordsThenDigits + "{1,3}" + kOthers + kEnd;
const std::string kQwen2 = kContraction + kWordsThenDigits + kOthers + kEnd;
const char *const kGpt2 = ""; // ByteLevel's own pattern
// Before other splits it stands as an expression. What it does not match is one character of white space.
const std::string kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Named {
  std::vector<const char *> names;
  std::vector<std::string> splits; // regular expressions, one after the other
  bool then_gpt2 = false;          // after them, GPT-2's pre-split
  bool ignore_merges = false;
};

const std::vector<Named> &named() {
  static const std::vector<Named> all = {
      {{"gpt-2", "phi-2", "olmo", "mpt", "jais"}, {}, true, false},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "minerva-7b"}, {R"(\p{N})"}, true, false},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3"}, {kLlama3}, false, true},
      {{"default"}, {R"([\p{P}$+<=>^~|]+)", kGpt2Expression, R"(\p{N}+)", "[0-9][0-9][0-9]"}, false, false},
      {{"falcon"}, {R"([\p{P}$+<=>^~|`]+)", kGpt2Expression, "[0-9][0-9][0-9]"}, false, false},
      {{"dbrx", "smaug-bpe"}, {kLlama3}, false, false},
      {{"qwen2", "stablelm2", "deepseek-r1-qwen"}, {kQwen2}, false, false},
      {{"deepseek-v3"},
       {R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
        R"(| ?[\p{P}\p{S}]+[\r\n]*)" +
            kEnd},
       false,
       false},
  };
  return all;
}

std::string stagesOf(const Named &its) {
  if (its.splits.empty()) return kGpt2;
  Json steps = Json::array();
  for (const std::string &expression : its.splits) {
    Json pattern = {{"Regex", expression}};
    steps.push_back({{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}});
  }
  Json bytes = {{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", its.then_gpt2}};
  steps.push_back(bytes);
  Json stages = {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}, {"decoder", bytes}};
  return stages.dump();
}

// The steps of a pre_tokenizer as expressions: "" is GPT-2's pre-split. Nothing if there is another step.
std::optional<std::vector<std::string>> expressionsOf(const std::string &stages) {
  if (stages.empty()) return std::vector<std::string>{kGpt2};
  auto json = parseJson(stages, "stages");
  if (!json || !json->contains("pre_tokenizer")) return std::nullopt;
  const Json &stage = (*json)["pre_tokenizer"];
  std::vector<Json> steps = {stage};
  if (stage.value("type", "") == "Sequence") steps = stage.value("pretokenizers", std::vector<Json>());
  std::vector<std::string> expressions;
  for (const Json &step : steps) {
    const std::string type = step.value("type", "");
    if (type == "ByteLevel" && !step.value("add_prefix_space", true)) {
      if (step.value("use_regex", true)) expressions.push_back(kGpt2);
    } else if (type == "Digits" && step.value("individual_digits", false)) {
      expressions.push_back(R"(\p{N})");
    } else if (type == "Split" && step.value("behavior", "") == "Isolated" &&
               step["pattern"].contains("Regex")) {
      std::string expression = step["pattern"]["Regex"].get<std::string>();
      const std::string any_case = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"; // differs from kContraction in U+017F only
      if (size_t at = expression.find(any_case); at != std::string::npos)
        expression.replace(at, any_case.size(), kContraction);
      expressions.push_back(std::move(expression));
    } else {
      return std::nullopt;
    }
  }
  return expressions;
}

} // namespace

std::optional<GgufPreTokenizer> preTokenizerOfGguf(const std::string &name) {
  for (const Named &its : named())
    if (std::find(its.names.begin(), its.names.end(), name) != its.names.end())
      return GgufPreTokenizer{stagesOf(its), its.ignore_merges};
  return std::nullopt;
}

std::vector<std::string> knownPreTokenizersOfGguf() {
  std::vector<std::string> names;
  for (const Named &its : named()) names.insert(names.end(), its.names.begin(), its.names.end());
  return names;
}

std::optional<std::string> nameInGguf(const std::string &stages, bool ignore_merges) {
  auto expressions = expressionsOf(stages);
  if (!expressions) return std::nullopt;
  for (const Named &its : named()) {
    std::vector<std::string> same = its.splits;
    if (its.then_gpt2) same.push_back(kGpt2);
    if (same == *expressions && its.ignore_merges == ignore_merges) return its.names.front();
  }
  return std::nullopt;
}

} // namespace linnet
