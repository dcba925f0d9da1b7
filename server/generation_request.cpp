#include "server/generation_request.h"
#include "support/error.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

namespace linnet::server {
namespace {

constexpr int64_t kMaxTexts = 2048;  ///< most prompts or inputs of a request, as in OpenAI's API
constexpr int64_t kMaxChoices = 128; ///< as in OpenAI's API
constexpr int64_t kMaxTop = 20;      ///< as in OpenAI's API
constexpr size_t kMaxStops = 16, kMaxStopBytes = 1024;
/// The most log probabilities of an answer that is sent at once. They wait in memory until the answer is complete.
constexpr int64_t kMaxLogprobs = 200'000;
constexpr size_t kMaxBiases = 1024;
constexpr int64_t kCompletionTokens = 16; ///< OpenAI's default for completions
constexpr double kMaxBias = 100, kMaxPenalty = 2, kMaxTemperature = 2;

/// A seed for a request without one.
uint64_t drawSeed() {
  thread_local std::mt19937_64 generator{(uint64_t(std::random_device()()) << 32) ^ std::random_device()()};
  return generator();
}

std::vector<TokenId> readIds(const Json &list, const std::string &place, const Served &served) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  const int64_t limit = served.model.config().vocab_size;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json &id = list[i];
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= limit)
      throw wrong(fmt::format("{}[{}]", place, i), fmt::format("a token id from 0 to {}", limit - 1), id);
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

std::vector<TokenId> encoded(const std::string &text, const std::string &place, const Served &served) {
  const auto &tokenizer = served.model.tokenizer();
  if (!tokenizer) throw wrong(place, "token ids, because the model has no tokenizer", "a text");
  auto encoding = tokenizer->encode(text);
  if (!encoding) throw ApiError{.message = place + ": " + encoding.error().message, .param = place};
  if (encoding->ids.empty() && tokenizer->bosId()) encoding->ids = {*tokenizer->bosId()};
  if (encoding->ids.empty())
    throw wrong(place, "a text with tokens, because the tokenizer names none that begins a text",
                "an empty text");
  return std::move(encoding->ids);
}

void checkLength(const std::vector<TokenId> &ids, const std::string &place, int64_t most,
                 const Served &served) {
  const auto size = static_cast<int64_t>(ids.size());
  if (size <= most) return;
  throw ApiError{.message =
                     fmt::format("{}: expected at most {} tokens, because the context has {}, found {}",
                                 place, most, served.model.config().context, size),
                 .param = place,
                 .code = "context_length_exceeded"};
}

std::vector<std::string> readStops(Fields &fields, const Served &served) {
  const Json *value = fields.find("stop");
  if (!value) return {};
  const std::string expected =
      fmt::format("a text or a list of up to {} texts of 1 to {} bytes", kMaxStops, kMaxStopBytes);
  std::vector<std::string> stops;
  auto add = [&](const Json &text) {
    if (!text.is_string() || text.get_ref<const std::string &>().empty() ||
        text.get_ref<const std::string &>().size() > kMaxStopBytes)
      throw wrong("stop", expected, text);
    stops.push_back(text.get<std::string>());
  };
  if (value->is_array())
    for (const Json &text : *value) add(text);
  else
    add(*value);
  if (stops.size() > kMaxStops) throw wrong("stop", expected, fmt::format("{} texts", stops.size()));
  if (!stops.empty() && !served.model.tokenizer())
    throw wrong("stop", "no stop text, because the model has no tokenizer", *value);
  return stops;
}

std::vector<std::pair<TokenId, float>> readBias(Fields &fields, const Served &served) {
  const Json *value = fields.find("logit_bias");
  if (!value) return {};
  const int64_t limit = served.model.config().vocab_size;
  if (!value->is_object()) throw wrong("logit_bias", "an object from token ids to numbers", *value);
  if (value->size() > kMaxBiases)
    throw wrong("logit_bias", fmt::format("at most {} tokens", kMaxBiases), std::to_string(value->size()));
  std::vector<std::pair<TokenId, float>> biases;
  for (const auto &[name, bias] : value->items()) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    const bool canonical =
        error == std::errc() && end == name.data() + name.size() && std::to_string(id) == name;
    if (!canonical || id < 0 || id >= limit)
      throw wrong("logit_bias", fmt::format("token ids from 0 to {} as names", limit - 1), Json(name));
    if (!bias.is_number() || std::abs(bias.get<double>()) > kMaxBias)
      throw wrong("logit_bias." + name, fmt::format("a number from -{0:g} to {0:g}", kMaxBias), bias);
    biases.emplace_back(id, bias.get<float>());
  }
  return biases;
}

/// The defaults of a request. If the model's generation_config.json asks for sampling, its settings are used. Otherwise
/// they are OpenAI's: the whole distribution at temperature 1.
GenerateOptions defaults(const Served &served) {
  GenerateOptions options = served.model.generation();
  if (!options.do_sample) {
    options.temperature = 1;
    options.top_p = 1;
    options.top_k = 0;
  }
  options.do_sample = true;
  return options;
}

/// Fields that both endpoints have. `most` is the default of max_tokens.
void readCommon(Fields &fields, const Served &served, GenerationRequest &request) {
  GenerateOptions &options = request.options;
  options = defaults(served);
  if (auto value = fields.number("temperature", 0, kMaxTemperature))
    options.temperature = static_cast<float>(*value);
  if (auto value = fields.number("top_p", 0, 1)) options.top_p = static_cast<float>(*value);
  if (auto value = fields.integer("top_k", 0, int64_t(1) << 31)) options.top_k = *value;
  if (auto value = fields.number("repetition_penalty", 1e-3, 1e3))
    options.repetition_penalty = static_cast<float>(*value);
  if (auto value = fields.number("frequency_penalty", -kMaxPenalty, kMaxPenalty))
    options.frequency_penalty = static_cast<float>(*value);
  if (auto value = fields.number("presence_penalty", -kMaxPenalty, kMaxPenalty))
    options.presence_penalty = static_cast<float>(*value);
  options.logit_bias = readBias(fields, served);
  const auto seed =
      fields.integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  options.seed = seed ? static_cast<uint64_t>(*seed) : drawSeed();
  options.stop = readStops(fields, served);
  if (auto value = fields.boolean("ignore_eos")) options.ignore_eos = *value;
  request.choices = fields.integer("n", 1, kMaxChoices).value_or(1);
  request.stream = fields.boolean("stream").value_or(false);
  request.token_ids = fields.boolean("return_token_ids").value_or(false);
  if (const Json *value = fields.find("stream_options")) {
    if (!request.stream) throw wrong("stream_options", "\"stream\": true with it", "a request without");
    Fields stream(*value, "stream_options");
    request.include_usage = stream.boolean("include_usage").value_or(false);
    stream.unsupported("include_obfuscation", {false});
    stream.finish();
  }
  // These fields are names of users and hints to caches, for statistics that this server does not keep.
  for (const char *name : {"user", "safety_identifier", "prompt_cache_key"}) fields.ignore(name);
  fields.unsupported("metadata", {Json::object()});
  fields.unsupported("store", {false});
  fields.unsupported("service_tier", {"auto", "default"});
}

void checkCount(const GenerationRequest &request, const Served &served) {
  const auto prompts = static_cast<int64_t>(request.prompts.size());
  if (prompts * request.choices > served.max_texts)
    throw ApiError{
        .message = fmt::format("expected at most {} texts in a request (--max-batch and --max-queue), found "
                               "{}: {} prompts, n is {}",
                               served.max_texts, prompts * request.choices, prompts, request.choices),
        .param = request.choices > 1 ? "n" : "prompt",
        .code = "too_many_texts"};
  const int64_t entries =
      prompts * request.choices * request.options.max_new_tokens * (request.top_logprobs + 1);
  if (!request.stream && entries > kMaxLogprobs)
    throw ApiError{.message = fmt::format(
                       "expected at most {} log probabilities in an answer that is not streamed, found "
                       "up to {}: set max_tokens, or stream",
                       kMaxLogprobs, entries),
                   .param = "logprobs",
                   .code = "too_many_logprobs"};
}

/// The content of a message: a text, or a list of parts {"type": "text", "text": ...}.
std::string readContent(const Json &content, const std::string &place) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw wrong(place, "a text or a list of parts", content);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string part_place = fmt::format("{}[{}]", place, i);
    Fields part(content[i], part_place);
    const auto type = part.text("type");
    if (type != "text") throw wrong(part_place + ".type", "\"text\"", type ? Json(*type) : Json(nullptr));
    const auto piece = part.text("text");
    if (!piece) throw wrong(part_place + ".text", "a text", "nothing");
    part.finish();
    text += *piece;
  }
  return text;
}

std::vector<chat::Message> readMessages(Fields &fields) {
  const Json *list = fields.find("messages");
  if (!list || !list->is_array() || list->empty())
    throw wrong("messages", "a list of messages", list ? *list : Json(nullptr));
  std::vector<chat::Message> messages;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string place = fmt::format("messages[{}]", i);
    Fields message((*list)[i], place);
    auto role = message.text("role").value_or("");
    if (role == "developer") role = "system"; // OpenAI's newer name, which templates do not know
    if (role != "system" && role != "user" && role != "assistant") {
      const Json *found = message.find("role");
      throw wrong(place + ".role", "\"system\", \"developer\", \"user\" or \"assistant\"",
                  found ? *found : Json(nullptr));
    }
    const Json *content = message.find("content");
    if (!content) throw wrong(place + ".content", "a text or a list of parts", "nothing");
    messages.push_back({role, readContent(*content, place + ".content")});
    for (const char *name : {"name", "tool_calls", "tool_call_id", "function_call", "audio", "refusal"})
      message.unsupported(name);
    message.unsupported("annotations", {Json::array()}); // present if the client sends an answer back
    message.finish();
  }
  return messages;
}

} // namespace

void checkModel(Fields &fields, const Served &served) {
  const auto model = fields.text("model");
  if (model && *model != served.name)
    throw ApiError{.status = 404,
                   .message = fmt::format("model: expected \"{}\", the model of this server, found {}",
                                          served.name, foundText(*model)),
                   .param = "model",
                   .code = "model_not_found"};
}

std::vector<std::vector<TokenId>> readTexts(Fields &fields, const std::string &name, const Served &served,
                                            int64_t most, int64_t most_texts) {
  const Json *value = fields.find(name);
  const std::string expected =
      "a text, a list of texts, a list of token ids, or a list of lists of token ids";
  if (!value) throw wrong(name, expected, "nothing");
  std::vector<std::vector<TokenId>> texts;
  if (value->is_string()) {
    texts.push_back(encoded(value->get_ref<const std::string &>(), name, served));
    checkLength(texts.back(), name, most, served);
    return texts;
  }
  if (!value->is_array() || value->empty()) throw wrong(name, expected, *value);
  if (value->front().is_number()) {
    texts.push_back(readIds(*value, name, served));
    checkLength(texts.back(), name, most, served);
    return texts;
  }
  if (value->size() > static_cast<size_t>(kMaxTexts))
    throw wrong(name, fmt::format("at most {} texts", kMaxTexts), std::to_string(value->size()));
  if (static_cast<int64_t>(value->size()) > most_texts)
    throw ApiError{.message =
                       fmt::format("{}: expected at most {} texts (--max-batch and --max-queue), found {}",
                                   name, most_texts, value->size()),
                   .param = name,
                   .code = "too_many_texts"};
  const bool lists = value->front().is_array();
  for (size_t i = 0; i < value->size(); ++i) {
    const std::string place = fmt::format("{}[{}]", name, i);
    const Json &text = (*value)[i];
    if (lists ? !text.is_array() || text.empty() : !text.is_string())
      throw wrong(place, lists ? "a list of token ids" : "a text", text);
    texts.push_back(lists ? readIds(text, place, served)
                          : encoded(text.get_ref<const std::string &>(), place, served));
    checkLength(texts.back(), place, most, served);
  }
  return texts;
}

GenerationRequest readCompletion(const Json &json, const Served &served) {
  Fields fields(json);
  GenerationRequest request;
  checkModel(fields, served);
  readCommon(fields, served, request);
  const int64_t context = served.model.config().context;
  request.options.max_new_tokens =
      fields.integer("max_tokens", 1, std::numeric_limits<int64_t>::max()).value_or(kCompletionTokens);
  request.options.max_new_tokens = std::min(request.options.max_new_tokens, context);
  request.top_logprobs = fields.integer("logprobs", 0, kMaxTop).value_or(-1);
  fields.unsupported("echo", {false});
  fields.unsupported("best_of", {1});
  fields.unsupported("suffix", {""});
  request.prompts = readTexts(fields, "prompt", served, context - 1, served.max_texts);
  fields.finish();
  checkCount(request, served);
  return request;
}

GenerationRequest readChat(const Json &json, const Served &served) {
  Fields fields(json);
  GenerationRequest request;
  request.chat = true;
  checkModel(fields, served);
  if (!served.format)
    throw ApiError{.message = served.no_format, .param = "messages", .code = "no_chat_template"};
  readCommon(fields, served, request);
  const int64_t context = served.model.config().context;
  const auto most = std::numeric_limits<int64_t>::max();
  const auto older = fields.integer("max_tokens", 1, most),
             newer = fields.integer("max_completion_tokens", 1, most);
  if (older && newer && *older != *newer)
    throw wrong("max_tokens", "the value of max_completion_tokens, or one of the two alone", Json(*older));
  request.options.max_new_tokens = std::min(newer.value_or(older.value_or(context)), context);
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, kMaxTop);
  if (top && !logprobs) throw wrong("top_logprobs", "\"logprobs\": true with it", "a request without");
  request.top_logprobs = logprobs ? top.value_or(0) : -1;
  for (const char *name : {"tools", "functions"}) fields.unsupported(name, {Json::array()});
  fields.unsupported("parallel_tool_calls", {true, false}); // accepted because there are no tools
  fields.unsupported("tool_choice", {"none"});
  fields.unsupported("function_call", {"none"});
  fields.unsupported("response_format", {Json::object({{"type", "text"}})});
  fields.unsupported("modalities", {Json::array({"text"})});
  for (const char *name : {"audio", "prediction", "reasoning_effort", "verbosity", "web_search_options"})
    fields.unsupported(name);
  const std::vector<chat::Message> messages = readMessages(fields);
  fields.finish();
  auto text = served.format->render(messages, true);
  if (!text) throw ApiError{.message = "messages: " + text.error().message, .param = "messages"};
  auto encoding = served.format->encode(*text);
  if (!encoding) throw ApiError{.message = "messages: " + encoding.error().message, .param = "messages"};
  if (encoding->ids.empty()) throw wrong("messages", "messages with at least one token", "none");
  checkLength(encoding->ids, "messages", context - 1, served);
  request.prompts.push_back(std::move(encoding->ids));
  if (request.options.eos_ids.empty()) request.options.eos_ids = served.format->ends();
  checkCount(request, served);
  return request;
}

std::vector<BatchRequest> GenerationRequest::texts() const {
  std::vector<BatchRequest> out;
  for (size_t i = 0; i < prompts.size(); ++i) {
    // Equal prompts with the same seed are different copies, as in Session::generateBatch.
    const auto equal =
        std::count(prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(i), prompts[i]);
    for (int64_t choice = 0; choice < choices; ++choice)
      out.push_back({.prompt = prompts[i],
                     .options = options,
                     .copy = static_cast<uint32_t>(equal * choices + choice),
                     .top_logprobs = top_logprobs});
  }
  return out;
}

} // namespace linnet::server
