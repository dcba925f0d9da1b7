#include "server/generation_answer.h"
#include "tokenizer/unicode.h"

#include <ctime>
#include <random>

namespace linnet::server {
namespace {

std::string newId(const char *kind) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return fmt::format("{}-{:016x}{:08x}", kind, generator(), static_cast<uint32_t>(generator()));
}

const char *reasonName(FinishReason reason) {
  return reason == FinishReason::Stop || reason == FinishReason::Eos ? "stop" : "length";
}

size_t countCharacters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

} // namespace

GenerationAnswer::GenerationAnswer(std::shared_ptr<const Served> s, const GenerationRequest &request)
    : served(std::move(s)), chat(request.chat), stream(request.stream), include_usage(request.include_usage),
      token_ids(request.token_ids), choices_per_prompt(request.choices), top_logprobs(request.top_logprobs),
      shared_counted(request.prompts.size(), false) {
  choices.resize(request.prompts.size() * static_cast<size_t>(request.choices));
  unfinished = choices.size();
  for (const auto &prompt : request.prompts) prompt_tokens += static_cast<int64_t>(prompt.size());
  for (Choice &choice : choices) choice.logprobs = emptyLogprobs();
  prefix = dumped(head());
  prefix.back() = ','; // more keys follow
}

Json GenerationAnswer::head() const {
  const char *object = chat ? (stream ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return {{"id", newId(chat ? "chatcmpl" : "cmpl")},
          {"object", object},
          {"created", static_cast<int64_t>(std::time(nullptr))},
          {"model", served->name}};
}

Json GenerationAnswer::usage() const {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", generated_tokens},
          {"total_tokens", prompt_tokens + generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}}};
}

Json GenerationAnswer::emptyLogprobs() const {
  if (top_logprobs < 0) return nullptr;
  if (chat) return {{"content", Json::array()}};
  return {{"tokens", Json::array()},
          {"token_logprobs", Json::array()},
          {"top_logprobs", Json::array()},
          {"text_offset", Json::array()}};
}

/// A token's text. Part of a character is spelled "bytes:\xe2\x80", as in OpenAI's completions.
std::string GenerationAnswer::tokenText(TokenId id) const {
  const auto &tokenizer = served->model.tokenizer();
  if (!tokenizer) return fmt::format("token_id:{}", id);
  const std::string_view bytes = tokenizer->tokenBytes(id);
  if (unicode::isValid(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

Json GenerationAnswer::chatToken(TokenId id, float logprob) const {
  Json bytes = nullptr;
  if (const auto &tokenizer = served->model.tokenizer()) {
    bytes = Json::array();
    for (const char byte : tokenizer->tokenBytes(id)) bytes.push_back(static_cast<unsigned char>(byte));
  }
  return {{"token", tokenText(id)}, {"logprob", logprob}, {"bytes", bytes}};
}

void GenerationAnswer::addLogprobs(Json &into, const Choice &choice, const BatchEvent &event) const {
  if (chat) {
    Json token = chatToken(event.id, event.logprob), top = Json::array();
    for (const auto &[id, logprob] : event.top) top.push_back(chatToken(id, logprob));
    token["top_logprobs"] = std::move(top);
    into["content"].push_back(std::move(token));
    return;
  }
  Json top = Json::object();
  for (const auto &[id, logprob] : event.top) top[tokenText(id)] = logprob;
  into["tokens"].push_back(tokenText(event.id));
  into["token_logprobs"].push_back(event.logprob);
  into["top_logprobs"].push_back(top_logprobs > 0 ? std::move(top) : Json(nullptr));
  into["text_offset"].push_back(choice.characters);
}

std::string GenerationAnswer::take(const EngineEvent &engine_event) {
  Choice &choice = choices[engine_event.text];
  const BatchEvent &event = engine_event.event;
  // The copies of a prompt share it. The first copy's count of cached tokens is the request's.
  const size_t prompt = engine_event.text / static_cast<size_t>(choices_per_prompt);
  if (!shared_counted[prompt]) cached_tokens += event.shared_tokens;
  shared_counted[prompt] = true;
  const bool ended_by_token = event.finished == FinishReason::Eos && event.id >= 0;
  Json added = nullptr;
  if (event.id >= 0) {
    ++generated_tokens;
    if (token_ids && !stream) choice.ids.push_back(event.id);
    if (top_logprobs >= 0 && !ended_by_token) {
      if (stream) added = emptyLogprobs();
      addLogprobs(stream ? added : choice.logprobs, choice, event);
    }
  }
  choice.characters += countCharacters(event.text);
  if (event.finished) {
    choice.finish_reason = reasonName(*event.finished);
    --unfinished;
  }
  if (!stream) {
    choice.text += event.text;
    return {};
  }
  // A token whose text is not complete yet is sent with the one that completes it.
  const bool says = !event.text.empty() || !added.is_null() || (token_ids && event.id >= 0);
  std::string out;
  if (chat && !choice.begun) {
    choice.begun = true;
    out += fmt::format(
        "data: {}\"choices\":[{{\"index\":{},\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},"
        "\"logprobs\":null,\"finish_reason\":null}}]{}}}\n\n",
        prefix, engine_event.text, include_usage ? ",\"usage\":null" : "");
  }
  if (says || (event.finished && !chat)) {
    out += chunk(engine_event.text, event.text, event, added, chat ? "" : choice.finish_reason);
  }
  if (event.finished && chat)
    out += fmt::format(
        "data: {}\"choices\":[{{\"index\":{},\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"{}\"}}]"
        "{}}}\n\n",
        prefix, engine_event.text, choice.finish_reason, include_usage ? ",\"usage\":null" : "");
  return out;
}

/// One server-sent event. It is written without a JSON library: building a JSON object for each token takes longer than
/// all other work.
std::string GenerationAnswer::chunk(size_t index, std::string_view text, const BatchEvent &event,
                                    const Json &logprobs, const std::string &finish_reason) {
  const std::string quoted = dumped(Json(text));
  std::string out = fmt::format("data: {}\"choices\":[{{\"index\":{},", prefix, index);
  out += chat ? fmt::format("\"delta\":{{\"content\":{}}}", quoted) : fmt::format("\"text\":{}", quoted);
  if (token_ids) out += event.id >= 0 ? fmt::format(",\"token_ids\":[{}]", event.id) : ",\"token_ids\":[]";
  out += ",\"logprobs\":" + (logprobs.is_null() ? "null" : dumped(logprobs)) + ",\"finish_reason\":";
  out += finish_reason.empty() ? "null" : "\"" + finish_reason + "\"";
  out += include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n";
  return out;
}

std::string GenerationAnswer::end() const {
  std::string out;
  if (include_usage) out = fmt::format("data: {}\"choices\":[],\"usage\":{}}}\n\n", prefix, dumped(usage()));
  return out + "data: [DONE]\n\n";
}

std::string GenerationAnswer::body() const {
  Json list = Json::array();
  for (size_t i = 0; i < choices.size(); ++i) {
    const Choice &choice = choices[i];
    Json one = {{"index", i}};
    if (chat)
      one["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    else
      one["text"] = choice.text;
    if (token_ids) one["token_ids"] = choice.ids;
    one["logprobs"] = choice.logprobs;
    one["finish_reason"] = choice.finish_reason;
    list.push_back(std::move(one));
  }
  return fmt::format("{}\"choices\":{},\"usage\":{}}}", prefix, dumped(list), dumped(usage()));
}

} // namespace linnet::server
